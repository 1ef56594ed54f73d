/**
 * What the two kernels of `selective-delta` share: sizes, and the buffer between them. Not a schedule.
 *
 * Within a chunk of Q steps that starts with state S, write L(j, t) for the product of the decays after step j up to t. With
 * A[t, j] = b_t L(j, t-1) c_j and K[t, j] = b_t L(j, t-1) k_j for j < t, what the correction writes is U = b^T S before each
 * step: (1 - A) U = B S + K V, B's rows b_t L(0, t-1). T = (1 - A)^-1 is lower triangular, so U = T B S + (T K) V, and
 * results and the next state are products with U and V. Source: Yang et al., Parallelizing linear transformers with the
 * delta rule, 2024, section 3.
 */
import type { SsmNode, ValueId } from "../../ir/graph.ts";
import { add, type KExpr, mul } from "./kit.ts";
import { groupsOf, type LowerContext } from "./schedule.ts";
import type { Selective } from "./selective.ts";

export interface Delta {
  readonly node: SsmNode;
  readonly id: ValueId;
  readonly context: LowerContext;
  readonly s: Selective;
  /** Steps of a chunk, Q. */
  readonly chunk: number;
  /** Columns of a state that a workgroup keeps. */
  readonly columns: number;
  /** `[B][H][chunks]` of blocks, see `BlockLayout`. */
  readonly blocks: number;
}

/** Where things are in the block of a chunk, and its size. */
export interface BlockLayout {
  /** Rows `[(1 + R) Q][N]` that the state at the start is read with: for the correction, then for the results. */
  readonly reading: (row: KExpr, n: KExpr) => KExpr;
  /** `[N][(1 + W) Q]`: what the correction, then the writes, are worth at the end. */
  readonly writing: (n: KExpr, row: KExpr) => KExpr;
  /** `[N]`, the decay of the whole chunk. */
  readonly decay: (n: KExpr) => KExpr;
  /** `[1 + R][1 + W][Q][Q]`: what the correction (row 0) or a result takes of the corrections (column 0) or writes before. */
  readonly between: (reader: number, writer: number, t: KExpr, j: KExpr) => KExpr;
  readonly size: number;
}

export function layoutOf({ s, chunk }: Pick<Delta, "s" | "chunk">): BlockLayout {
  const { state: N, reads: R, writes: W } = s.form;
  const writing = (1 + R) * chunk * N;
  const decay = writing + N * (1 + W) * chunk;
  const between = decay + N;
  return {
    reading: (row, n) => add(mul(row, N), n),
    writing: (n, row) => add(add(mul(n, (1 + W) * chunk), row), writing),
    decay: (n) => add(n, decay),
    between: (reader, writer, t, j) => add(add(mul(t, chunk), j), between + (reader * (1 + W) + writer) * chunk * chunk),
    size: between + (1 + R) * (1 + W) * chunk * chunk,
  };
}

export const deltaChunks = (chunk: number): string => groupsOf("d.L", chunk);

/** Words of a chunk's block but for what results take of steps before. */
export function carriedWords(delta: Pick<Delta, "s" | "chunk">): number {
  const { reads: R, writes: W } = delta.s.form;
  const Q = delta.chunk;
  return layoutOf(delta).size - (1 + R) * (1 + W) * Q * Q + (Q * (Q + 1)) / 2 + (W * Q * (Q - 1)) / 2;
}

/** Matrices of a block that results are made of. */
export const resultMatrices = ({ form }: Selective): number => form.reads * (1 + form.writes);

/** Pairs of steps that one such matrix has, of so many steps. */
export const pairsOf = ({ form }: Selective, steps: number | string): string => `(${steps})*(${steps}${form.before ? "-" : "+"}1)/2`;
