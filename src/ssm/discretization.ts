/** What a discretization is: a rule from (A, B, delta) to (Abar, Bbar), stated for one pole and for a matrix. */
import type { Complex } from "../math/complex.ts";
import type { Matrix } from "../math/matrix.ts";

export interface Discretization {
  readonly name: string;
  readonly source: string;
  /** abar = e^{lambda delta} + O(delta^{order + 1}); Infinity where it is exact. */
  readonly order: number;
  /** Of a generalized bilinear rule, the only kind that keeps a system of normal plus low rank one in O(N R). */
  readonly alpha?: number;
  /** Samples are events: what one adds to the state, bbar, does not depend on the time to the next. */
  readonly events?: boolean;
  /** One pole with B = 1. Units: lambda is per unit of time, delta is the time between samples. */
  readonly scalar: (lambda: Complex, delta: number) => { readonly abar: Complex; readonly bbar: Complex };
  /** The same rule for a matrix; undefined where the step it needs does not exist (a singular I - alpha delta A). */
  readonly dense: (A: Matrix, B: Matrix, delta: number) => { readonly abar: Matrix; readonly bbar: Matrix } | undefined;
}

/** Whether every stable pole stays stable at every step size. */
export const keepsStability = ({ alpha, order }: Discretization): boolean => (alpha === undefined ? order === Infinity : alpha >= 0.5);
