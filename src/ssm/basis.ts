/**
 * What a basis of memory is: a state matrix A and input vector B whose states are coefficients of the past input in known
 * functions. One file a kind of functions in `bases/`, the table in `bases.ts`. Not a family: families start from these.
 */
import type { Matrix } from "../math/matrix.ts";
import type { Random } from "../math/random.ts";

/** What a basis may depend on. Each reads those that it names in `reads`. */
export interface BasisOptions {
  /** Length theta of the window it remembers. Units: the model's time. */
  readonly window: number;
  /** Laguerre's alpha, from 0 up to but without 1. */
  readonly alpha: number;
  /** Laguerre's beta: the tilt of the weight, above 0. */
  readonly beta: number;
  /** Turns of each wave within the window, one for every two states: 0, 1, 2, .. where absent. */
  readonly frequencies?: readonly number[] | undefined;
}

/** Shapes: A `[N N]`, B `[N]`. */
export interface Operator {
  readonly A: Matrix;
  readonly B: Float64Array;
}

/** A + sum_r P_r P_r^T = shift I + skew. Shapes: each row of P `[N]`. */
export interface LowRank {
  readonly P: readonly Float64Array[];
  readonly shift: number;
}

/** What is known of the functions of a basis. Units: s, the age of an input, in the model's time. */
export interface BasisFunctions {
  /** (e^{sA} B)_n, so that x_n(t) is the integral of it times u(t - s) over s >= 0. */
  readonly kernel?: (n: number, s: number, options: BasisOptions) => number;
  /** Whether `kernel` is exact for every N, or the limit of large N. */
  readonly exact: boolean;
  /** u(t - s) is near sum_n x_n weight(n, s). */
  readonly weight?: (n: number, s: number, options: BasisOptions) => number;
}

export interface Basis {
  readonly name: string;
  readonly source: string;
  /** What the state remembers, and how much of the past at step size delta. */
  readonly timescale: string;
  /** The options that it reads. */
  readonly reads: readonly (keyof BasisOptions)[];
  /** Its functions end after `window`; the others fade. */
  readonly memory: "window" | "fading";
  /** Where reads says `window`: the window that `operator` and `functions` are written for; other windows stretch time. */
  readonly window?: number;
  /** Whether an odd N above 1 leaves a function without its partner. */
  readonly pairs: boolean;
  readonly operator: (N: number, options: BasisOptions, random: Random) => Operator;
  /** Where A is normal plus low rank in closed form. */
  readonly lowRank?: (N: number, options: BasisOptions) => LowRank;
  readonly functions?: BasisFunctions;
}

/** sqrt(2n + 1) */
export const legendreNorm = (n: number): number => Math.sqrt(2 * n + 1);
export const vectorOf = (N: number, f: (n: number) => number): Float64Array => Float64Array.from({ length: N }, (_, n) => f(n));
