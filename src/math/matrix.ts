/** Small dense real matrices in float64, row-major: the arithmetic that expm and the eigensolvers need, and no more. */
import { complex, type Complex } from "./complex.ts";

export interface Matrix {
  readonly rows: number;
  readonly cols: number;
  readonly data: Float64Array;
}

export function matrix(rows: number, cols: number, f: (i: number, j: number) => number): Matrix {
  const data = new Float64Array(rows * cols);
  for (let i = 0; i < rows; i++) for (let j = 0; j < cols; j++) data[i * cols + j] = f(i, j);
  return { rows, cols, data };
}

/** A matrix over existing row-major data, not copied. */
export const matrixOf = (rows: number, cols: number, data: Float64Array): Matrix => ({ rows, cols, data });
export const identity = (n: number): Matrix => matrix(n, n, (i, j) => (i === j ? 1 : 0));
export const entry = (a: Matrix, i: number, j: number): number => a.data[i * a.cols + j] ?? NaN;
export const transpose = (a: Matrix): Matrix => matrix(a.cols, a.rows, (i, j) => entry(a, j, i));
export const copy = (a: Matrix): Matrix => ({ rows: a.rows, cols: a.cols, data: a.data.slice() });

/** `a + s b`. */
export function addScaled(a: Matrix, b: Matrix, s = 1): Matrix {
  return { rows: a.rows, cols: a.cols, data: a.data.map((x, i) => x + s * (b.data[i] ?? NaN)) };
}

export const scaleMatrix = (a: Matrix, s: number): Matrix => ({ rows: a.rows, cols: a.cols, data: a.data.map((x) => s * x) });

/** a b. Four rows of b at a time, so that each element of the result is read and written a quarter as often. */
export function multiply(a: Matrix, b: Matrix): Matrix {
  const [n, inner] = [b.cols, a.cols];
  const data = new Float64Array(a.rows * n);
  for (let i = 0; i < a.rows; i++) {
    const of = (k: number): number => (k < inner ? (a.data[i * inner + k] ?? NaN) : 0);
    for (let k = 0; k < inner; k += 4) {
      const [a0, a1, a2, a3] = [of(k), of(k + 1), of(k + 2), of(k + 3)];
      if (a0 === 0 && a1 === 0 && a2 === 0 && a3 === 0) continue;
      addRows(data, i * n, n, b.data, k * n, a0, a1, a2, a3);
    }
  }
  return { rows: a.rows, cols: n, data };
}

/** out[to + j] += a0 b[from + j] + a1 b[from + n + j] + .. for j below n; rows that are not there count as zero. */
function addRows(
  out: Float64Array,
  to: number,
  n: number,
  b: Float64Array,
  from: number,
  a0: number,
  a1: number,
  a2: number,
  a3: number,
): void {
  const [p1, p2, p3] = [from + n, from + 2 * n, from + 3 * n];
  for (let j = 0; j < n; j++)
    out[to + j] = (out[to + j] ?? 0) + a0 * (b[from + j] ?? 0) + a1 * (b[p1 + j] ?? 0) + a2 * (b[p2 + j] ?? 0) + a3 * (b[p3 + j] ?? 0);
}

/** The largest sum of absolute values of a column. */
export function oneNorm(a: Matrix): number {
  let largest = 0;
  for (let j = 0; j < a.cols; j++) {
    let sum = 0;
    for (let i = 0; i < a.rows; i++) sum += Math.abs(entry(a, i, j));
    largest = Math.max(largest, sum);
  }
  return largest;
}

/** The square root of the sum of squares. */
export function frobenius(a: Matrix): number {
  let sum = 0;
  for (const x of a.data) sum += x * x;
  return Math.sqrt(sum);
}

/** `a v` of a complex vector. */
export function applyComplex(a: Matrix, v: readonly Complex[]): Complex[] {
  return Array.from({ length: a.rows }, (_, i) => {
    let re = 0;
    let im = 0;
    v.forEach((x, j) => {
      re += entry(a, i, j) * x.re;
      im += entry(a, i, j) * x.im;
    });
    return complex(re, im);
  });
}
