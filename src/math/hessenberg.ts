/**
 * Householder reduction of a real matrix to upper Hessenberg form H = Q^T A Q; tridiagonal where A is symmetric or skew.
 * Source: Golub and Van Loan, Matrix Computations, algorithm 7.4.2.
 */
import { copy, identity, type Matrix } from "./matrix.ts";

/** A reflection I - 2 v v^T / (v^T v) on the coordinates from `start` on. */
export interface Reflector {
  readonly start: number;
  readonly v: Float64Array;
  /** 2 / (v^T v) */
  readonly beta: number;
}

/** The reflector that maps x to a multiple of the first unit vector; undefined where x is that already. */
export function reflector(x: Float64Array, start: number): Reflector | undefined {
  let tail = 0;
  for (let i = 1; i < x.length; i++) tail += (x[i] ?? 0) ** 2;
  const head = x[0] ?? 0;
  if (tail === 0) return undefined;
  const v = x.slice();
  v[0] = head + (head < 0 ? -1 : 1) * Math.sqrt(head * head + tail);
  return { start, v, beta: 2 / ((v[0] ?? 0) ** 2 + tail) };
}

/** P A in place, on columns from `from` on; row by row, as the matrix lies in memory. */
export function applyLeft(a: Matrix, { start, v, beta }: Reflector, from = 0): void {
  const { cols, data } = a;
  const sums = new Float64Array(cols);
  for (let i = 0; i < v.length; i++) {
    const [weight, row] = [beta * (v[i] ?? 0), (start + i) * cols];
    for (let j = from; j < cols; j++) sums[j] = (sums[j] ?? 0) + weight * (data[row + j] ?? 0);
  }
  for (let i = 0; i < v.length; i++) {
    const [weight, row] = [v[i] ?? 0, (start + i) * cols];
    for (let j = from; j < cols; j++) data[row + j] = (data[row + j] ?? 0) - weight * (sums[j] ?? 0);
  }
}

/** A P in place, on rows before `to`. */
export function applyRight(a: Matrix, { start, v, beta }: Reflector, to = a.rows): void {
  const { cols, data } = a;
  for (let i = 0; i < to; i++) {
    let sum = 0;
    for (let j = 0; j < v.length; j++) sum += (v[j] ?? 0) * (data[i * cols + start + j] ?? 0);
    sum *= beta;
    for (let j = 0; j < v.length; j++) data[i * cols + start + j] = (data[i * cols + start + j] ?? 0) - sum * (v[j] ?? 0);
  }
}

/** Shapes: A, H, Q `[N N]`; Q is orthogonal. */
export function hessenberg(A: Matrix): { readonly H: Matrix; readonly Q: Matrix } {
  const n = A.rows;
  const H = copy(A);
  const Q = identity(n);
  for (let k = 0; k < n - 2; k++) {
    const column = Float64Array.from({ length: n - k - 1 }, (_, i) => H.data[(k + 1 + i) * n + k] ?? 0);
    const p = reflector(column, k + 1);
    if (p === undefined) continue;
    applyLeft(H, p, k);
    applyRight(H, p);
    applyRight(Q, p);
    for (let i = k + 2; i < n; i++) H.data[i * n + k] = 0;
  }
  return { H, Q };
}
