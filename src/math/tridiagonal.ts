/**
 * Eigenvalues and eigenvectors of a real symmetric tridiagonal matrix by QL with implicit Wilkinson shifts.
 * Source: Golub and Van Loan, Matrix Computations, section 8.3 (there QR; QL is its mirror image).
 */
import { bug } from "../ir/error.ts";
import { type Matrix, matrix, entry } from "./matrix.ts";

/** Sweeps allowed for one eigenvalue; two or three is usual. */
const maxSweeps = 60;
/** Sweeps after which an off-diagonal below the rounding of the largest entry is zero: large entries beside tiny ones keep it there. */
const patience = 30;

/** A plane rotation of columns i and i + 1 of V in place. */
function rotateColumns(V: Matrix, i: number, c: number, s: number): void {
  for (let k = 0; k < V.rows; k++) {
    const at = k * V.cols + i;
    const x = V.data[at] ?? 0;
    const y = V.data[at + 1] ?? 0;
    V.data[at] = c * x - s * y;
    V.data[at + 1] = s * x + c * y;
  }
}

/** One implicit QL sweep on rows l .. m, in place. */
function sweep(d: Float64Array, e: Float64Array, V: Matrix, l: number, m: number): void {
  const at = (x: Float64Array, i: number): number => x[i] ?? 0;
  const half = (at(d, l + 1) - at(d, l)) / (2 * at(e, l));
  const root = Math.hypot(half, 1);
  let g = at(d, m) - at(d, l) + at(e, l) / (half + (half < 0 ? -root : root));
  let [s, c, p] = [1, 1, 0];
  for (let i = m - 1; i >= l; i--) {
    const f = s * at(e, i);
    const b = c * at(e, i);
    const r = Math.hypot(f, g);
    e[i + 1] = r;
    if (r === 0) {
      d[i + 1] = at(d, i + 1) - p;
      e[m] = 0;
      return;
    }
    s = f / r;
    c = g / r;
    g = at(d, i + 1) - p;
    const t = (at(d, i) - g) * s + 2 * c * b;
    p = s * t;
    d[i + 1] = g + p;
    g = c * t - b;
    rotateColumns(V, i, c, s);
  }
  d[l] = at(d, l) - p;
  e[l] = g;
  e[m] = 0;
}

/**
 * Diagonal `diagonal`, off-diagonal `off`; `start` is multiplied from the right by the eigenvectors. Eigenvalues ascend.
 * Shapes: diagonal `[N]`, off `[N-1]`, start `[K N]`.
 */
export function tridiagonalEigen(
  diagonal: Float64Array,
  off: Float64Array,
  start: Matrix,
): { readonly values: Float64Array; readonly vectors: Matrix } {
  const n = diagonal.length;
  const d = diagonal.slice();
  const e = new Float64Array(n);
  e.set(off);
  const largest = Math.max(...d.map(Math.abs), ...e.map(Math.abs));
  const V: Matrix = { rows: start.rows, cols: n, data: start.data.slice() };
  for (let l = 0; l < n; l++) {
    for (let sweeps = 0; ; sweeps++) {
      // Below this an off-diagonal is zero whatever its neighbours: a zero diagonal must deflate too.
      const tiny = (sweeps < patience ? 1e-20 : Number.EPSILON) * largest;
      let m = l;
      while (m < n - 1 && Math.abs(e[m] ?? 0) > tiny + Number.EPSILON * (Math.abs(d[m] ?? 0) + Math.abs(d[m + 1] ?? 0))) m++;
      if (m === l) break;
      if (sweeps > maxSweeps) bug("QL does not converge");
      sweep(d, e, V, l, m);
    }
  }
  const order = Array.from(d.keys()).sort((a, b) => (d[a] ?? 0) - (d[b] ?? 0));
  return { values: Float64Array.from(order, (i) => d[i] ?? NaN), vectors: matrix(V.rows, n, (i, j) => entry(V, i, order[j] ?? 0)) };
}
