/** Linear systems by LU decomposition with partial pivoting. */
import { entry, type Matrix } from "./matrix.ts";

/** Swaps two rows of row-major data in place. */
function swapRows(data: Float64Array, cols: number, i: number, j: number): void {
  if (i === j) return;
  const row = data.slice(i * cols, (i + 1) * cols);
  data.copyWithin(i * cols, j * cols, (j + 1) * cols);
  data.set(row, j * cols);
}

/** Row `i` minus `factor` times row `k`, from column `from` on, in place. */
function eliminate(data: Float64Array, cols: number, i: number, k: number, factor: number, from: number): void {
  for (let j = from; j < cols; j++) data[i * cols + j] = (data[i * cols + j] ?? NaN) - factor * (data[k * cols + j] ?? NaN);
}

/** X with `a X = b`; undefined where a is singular to working precision. */
export function solve(a: Matrix, b: Matrix): Matrix | undefined {
  const n = a.rows;
  const m = b.cols;
  const lu = a.data.slice();
  const x = b.data.slice();
  for (let k = 0; k < n; k++) {
    let pivot = k;
    for (let i = k + 1; i < n; i++) if (Math.abs(lu[i * n + k] ?? 0) > Math.abs(lu[pivot * n + k] ?? 0)) pivot = i;
    const top = lu[pivot * n + k] ?? 0;
    if (top === 0 || Number.isNaN(top)) return undefined;
    swapRows(lu, n, k, pivot);
    swapRows(x, m, k, pivot);
    for (let i = k + 1; i < n; i++) {
      const factor = (lu[i * n + k] ?? 0) / top;
      if (factor === 0) continue;
      eliminate(lu, n, i, k, factor, k + 1);
      eliminate(x, m, i, k, factor, 0);
    }
  }
  const upper: Matrix = { rows: n, cols: n, data: lu };
  for (let k = n - 1; k >= 0; k--) {
    const top = entry(upper, k, k);
    for (let j = 0; j < m; j++) x[k * m + j] = (x[k * m + j] ?? NaN) / top;
    for (let i = 0; i < k; i++) eliminate(x, m, i, k, entry(upper, i, k), 0);
  }
  return { rows: n, cols: m, data: x };
}
