/**
 * What the kernels of `selective-ssd` share: sizes, and the buffers between them. Not a schedule.
 */
import type { SsmNode, ValueId } from "../../ir/graph.ts";
import { add, dim, div, type KernelBuilder, type KExpr, mul } from "./kit.ts";
import { groupsOf, type LowerContext } from "./schedule.ts";
import type { Selective } from "./selective.ts";

/** A node, its sizes, and the buffers between its kernels. */
export interface Ssd {
  readonly node: SsmNode;
  readonly id: ValueId;
  readonly context: LowerContext;
  readonly s: Selective;
  /** Steps of a chunk, Q. */
  readonly chunk: number;
  /** Steps of a tile, of which a chunk has a whole number. */
  readonly steps: number;
  /** Sides of tiles along steps, along N and along P, and how many cover N and P. */
  readonly sides: { readonly steps: number; readonly state: number; readonly width: number };
  readonly tiles: { readonly state: number; readonly width: number };
  /** Rows of gains beside the decays. */
  readonly gains: number;
  /** `[B][H]` of decays of every step, gains of every write and step, and the decays of whole chunks. */
  readonly packed: number;
  /** `[B][G][R][W][chunks][Q][Q]`, q_i k_j where j <= i. */
  readonly scores: number;
  /** `[B][chunks][N][H P]`: what a chunk adds to the state; then the state it starts from. */
  readonly states: number;
}

/** How many chunks there are, the last one perhaps not full. */
export const chunksSource = (chunk: number): string => groupsOf("d.L", chunk);
export const chunksOf = (k: KernelBuilder, { chunk }: Ssd): KExpr => k.let("chunks", div(add(dim("L"), chunk - 1), chunk));

/** Pairs of steps j <= i of the same chunk. */
export const pairsSource = (chunk: number): string =>
  `(Math.floor(d.L/${chunk})*${(chunk * (chunk + 1)) / 2}+(d.L%${chunk})*(d.L%${chunk}+1)/2)`;

/** Where a head finds decays, gains and totals. */
export function packedOf(k: KernelBuilder, ssd: Ssd, b: KExpr, head: KExpr, chunks: KExpr) {
  const rows = 1 + ssd.gains;
  const base = k.let("base", mul(add(mul(b, ssd.s.form.heads), head), add(mul(dim("L"), rows), chunks)));
  return {
    decay: (l: KExpr): KExpr => add(base, l),
    gain: (w: number, l: KExpr): KExpr => add(base, add(mul(dim("L"), 1 + w), l)),
    total: (chunk: KExpr): KExpr => add(base, add(mul(dim("L"), rows), chunk)),
  };
}
