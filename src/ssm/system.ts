/**
 * A continuous state space model as numbers: what families produce and the structure pass rewrites. Plain data in
 * float64; tensors are row-major, complex ones interleaved `[.. c=2]`. Its discrete counterpart is the interpreter's.
 */

import type { Constant } from "../ir/graph.ts";
import { complexAt } from "../math/complex.ts";

/** What systems of one input and one output a channel have in the basis where A is diagonal, or nearly so. */
interface ChannelSystem {
  readonly channels: number;
  /** Stored states per channel. */
  readonly states: number;
  /** `[H N c=2]`, as are B and C. C is applied without conjugation. */
  readonly A: Float64Array;
  readonly B: Float64Array;
  readonly C: Float64Array;
  /** `[H]` */
  readonly D: Float64Array;
  /** `[H N]`: each state has a step of its own. */
  readonly delta: Float64Array;
}

/** x' = diag(A) x + B u, y = C x + D u on every channel by itself. */
export interface DiagonalSystem extends ChannelSystem {
  readonly structure: "diagonal";
  /**
   * Each stored state stands for itself and its conjugate, so that y = 2 Re(C x) + D u. A real eigenvalue among them
   * has no conjugate: its C is stored halved. Without pairs y = Re(C x) + D u.
   */
  readonly pairs: boolean;
}

/** x' = A x + B u, y = C x + D u on every group of `inputs` neighbouring channels by itself. */
export interface DenseSystem {
  readonly structure: "dense";
  /** Systems stored: 1 where all groups of channels share one. */
  readonly groups: number;
  readonly states: number;
  readonly inputs: number;
  readonly outputs: number;
  /** `[G N N2]` */
  readonly A: Float64Array;
  /** `[G N M]` */
  readonly B: Float64Array;
  /** `[G P N]` */
  readonly C: Float64Array;
  /** `[G P M]` */
  readonly D: Float64Array;
  /** `[G]` */
  readonly delta: Float64Array;
}

/**
 * x' = A x + B u, y = C x + D u on every channel by itself, with A = diag(A) - sum_r P_r P_r^* over the stored states and
 * their conjugates: normal plus low rank in the basis of its normal part, in Hurwitz form, so that Re A <= 0 is stable.
 * Of each conjugate pair one is stored: y = 2 Re(C x) + D u. With P outputs of every channel C is `[H P N c=2]`, D `[H P]`.
 */
export interface DplrSystem extends ChannelSystem {
  readonly structure: "dplr";
  readonly rank: number;
  /** `[H R N c=2]` */
  readonly P: Float64Array;
}

/**
 * x' = diag(A) x + B u, y = C x + D u, one system that reads and writes all channels (MIMO), D on each by itself.
 * Only families give it: the pass `structure` turns it into a matmul, diagonal systems of one state, and a matmul.
 */
export interface MimoSystem {
  readonly structure: "mimo";
  /** H: inputs, and outputs. */
  readonly channels: number;
  /** Stored states of the whole system. */
  readonly states: number;
  /** Each stored state stands for itself and its conjugate: y = 2 Re(C x) + D u. Without pairs y = Re(C x) + D u. */
  readonly pairs: boolean;
  /** `[N c=2]` */
  readonly A: Float64Array;
  /** `[N H c=2]` */
  readonly B: Float64Array;
  /** `[H N c=2]`, applied without conjugation. */
  readonly C: Float64Array;
  /** `[H]` */
  readonly D: Float64Array;
  /** `[N]` */
  readonly delta: Float64Array;
}

export type ContinuousSystem = DiagonalSystem | DenseSystem | DplrSystem;

/** A finite response: y_t = sum_k kernel[k] u_{t-k} on every channel by itself. Discrete as it is: no step size, no rule. */
export interface FirSystem {
  readonly structure: "fir";
  readonly channels: number;
  readonly taps: number;
  /** `[H K]` */
  readonly kernel: Float64Array;
}

/** A system that has a state. */
export type StateSystem = ContinuousSystem | MimoSystem;
/** What a family may give. */
export type FamilySystem = StateSystem | FirSystem;

/** The taps of a convolution, `[H K]`: the last meets the present. */
export function tapsOf({ channels, taps, kernel }: FirSystem): Constant {
  const reversed = (i: number): number => kernel[i + taps - 1 - 2 * (i % taps)] ?? NaN;
  return { shape: [channels, taps], data: kernel.map((_, i) => reversed(i)) };
}

/**
 * The same model as systems of one input, whose outputs are to be added up: (A, B[:, m], C, D[:, m]) for every group and input m, in
 * that order. `copies` is the number of groups of channels.
 */
export function splitInputs(system: DenseSystem, copies: number): DenseSystem {
  const { groups, states: n, inputs: M, outputs: P, A, B, C, D, delta } = system;
  if (M === 1) return system;
  const made = (count: number, f: (g: number, m: number, k: number) => number | undefined): Float64Array =>
    Float64Array.from({ length: copies * M * count }, (_, i) => {
      const of = Math.floor(i / count);
      return f(Math.floor(of / M) % groups, of % M, i % count) ?? NaN;
    });
  return {
    structure: "dense",
    groups: copies * M,
    states: n,
    inputs: 1,
    outputs: P,
    A: made(n * n, (g, _, k) => A[g * n * n + k]),
    B: made(n, (g, m, k) => B[(g * n + k) * M + m]),
    C: made(P * n, (g, _, k) => C[g * P * n + k]),
    D: made(P, (g, m, k) => D[(g * P + k) * M + m]),
    delta: made(1, (g) => delta[g]),
  };
}

/**
 * The same system in real numbers: the state is (Re x, Im x), and the step sizes are in A and B, delta = 1.
 * Shapes: A `[H 2N 2N]`, B `[H 2N]`, C `[H P 2N]`.
 */
export function denseForm(system: DplrSystem): DenseSystem {
  const { channels, states: n, rank, A, P, B, C, D, delta } = system;
  const size = 2 * n;
  const outputs = D.length / channels;
  const dense = {
    A: new Float64Array(channels * size * size),
    B: new Float64Array(channels * size),
    C: Float64Array.from({ length: channels * outputs * size }, (_, i) => {
      const { re, im } = complexAt(C, Math.floor(i / size) * n + (i % n));
      return i % size < n ? 2 * re : -2 * im;
    }),
  };
  for (let h = 0; h < channels; h++) {
    for (let i = 0; i < n; i++) {
      const step = delta[h * n + i] ?? NaN;
      const own = complexAt(A, h * n + i);
      const rows = [(h * size + i) * size, (h * size + n + i) * size] as const;
      const put = (row: 0 | 1, column: number, value: number): void => {
        dense.A[rows[row] + column] = (dense.A[rows[row] + column] ?? 0) + step * value;
      };
      put(0, i, own.re);
      put(0, n + i, -own.im);
      put(1, i, own.im);
      put(1, n + i, own.re);
      for (let r = 0; r < rank; r++) {
        const left = complexAt(P, (h * rank + r) * n + i);
        for (let j = 0; j < n; j++) {
          // P_r^* x over a pair is 2 (Re P Re x + Im P Im x).
          const right = complexAt(P, (h * rank + r) * n + j);
          put(0, j, -2 * left.re * right.re);
          put(0, n + j, -2 * left.re * right.im);
          put(1, j, -2 * left.im * right.re);
          put(1, n + j, -2 * left.im * right.im);
        }
      }
      const b = complexAt(B, h * n + i);
      dense.B.set([step * b.re], h * size + i);
      dense.B.set([step * b.im], h * size + n + i);
    }
  }
  return {
    structure: "dense",
    groups: channels,
    states: size,
    inputs: 1,
    outputs,
    ...dense,
    D,
    delta: new Float64Array(channels).fill(1),
  };
}
