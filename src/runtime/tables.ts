/**
 * Tables made in float64 when a bundle loads, rounded to float32 once: powers of discrete systems by repeated
 * multiplication, roots of unity. Kernels multiply table entries; they never evaluate a transcendental function.
 */
import type { Dims } from "./plan.ts";

/** F64 tensors and their shapes by role in, float32 tables by role out. */
export type TableMaker = (
  tensors: Readonly<Record<string, Float64Array>>,
  shapes: Readonly<Record<string, readonly number[]>>,
  options: Readonly<Record<string, number>>,
  d: Dims,
) => Record<string, Float32Array<ArrayBuffer>>;

const none = new Float64Array();

/**
 * A diagonal system's tables; see `passes/schedules/lti.ts`.
 * Shapes: abar, gain `[H N 2]`; left `[H 2N block]`, right `[H blocks 2N]`, recurrence `[6][N][H]`.
 */
export const diagonal: TableMaker = ({ abar = none, gain = none }, { abar: shape = [] }, { block = 0, blocks = 0 }) => {
  const [H = 0, N = 0] = shape;
  const left = new Float32Array(H * 2 * N * block);
  const right = new Float32Array(H * blocks * 2 * N);
  const recurrence = new Float32Array(6 * N * H);
  for (let h = 0; h < H; h++) {
    for (let n = 0; n < N; n++) {
      const at = 2 * (h * N + n);
      const [ar = 0, ai = 0, gr = 0, gi = 0] = [abar[at], abar[at + 1], gain[at], gain[at + 1]];
      let [re, im] = [1, 0];
      for (let i = 0; i < block; i++) {
        left[(h * 2 * N + 2 * n) * block + i] = gr * re - gi * im;
        left[(h * 2 * N + 2 * n + 1) * block + i] = -(gr * im + gi * re);
        [re, im] = [re * ar - im * ai, re * ai + im * ar];
      }
      const [br, bi] = [re, im];
      [re, im] = [1, 0];
      for (let j = 0; j < blocks; j++) {
        right[(h * blocks + j) * 2 * N + 2 * n] = re;
        right[(h * blocks + j) * 2 * N + 2 * n + 1] = im;
        [re, im] = [re * br - im * bi, re * bi + im * br];
      }
      const [hr, hi] = [Math.fround(ar), Math.fround(ai)];
      [hr, hi, ar - hr, ai - hi, gr, gi].forEach((value, q) => (recurrence[(q * N + n) * H + h] = value));
    }
  }
  return { left, right, recurrence };
};

/** out = a b for N x N matrices, row-major. */
function multiply(a: Float64Array, b: Float64Array, N: number): Float64Array {
  const out = new Float64Array(N * N);
  for (let i = 0; i < N; i++)
    for (let k = 0; k < N; k++) {
      const aik = a[i * N + k] ?? 0;
      for (let j = 0; j < N; j++) out[i * N + j] = (out[i * N + j] ?? 0) + aik * (b[k * N + j] ?? 0);
    }
  return out;
}

/** M x, or x^T M where `transpose`. */
function apply(m: Float64Array, x: Float64Array, transpose: boolean): Float64Array {
  const N = x.length;
  const out = new Float64Array(N);
  for (let i = 0; i < N; i++)
    for (let j = 0; j < N; j++) out[i] = (out[i] ?? 0) + (m[transpose ? j * N + i : i * N + j] ?? 0) * (x[j] ?? 0);
  return out;
}

/**
 * A dense system's tables. Shapes: abar `[G N N]`, bbar, c `[G N]`; left `[G N block]`, right `[G blocks N]`,
 * recurrence `[G]` of Abar high `[N N]` and low `[N N]` (columns outermost), Bbar, C.
 */
export const dense: TableMaker = ({ abar = none, bbar = none, c = none }, { abar: shape = [] }, { block = 0, blocks = 0 }) => {
  const [G = 0, N = 0] = shape;
  const left = new Float32Array(G * N * block);
  const right = new Float32Array(G * blocks * N);
  const recurrence = new Float32Array(G * N * (2 * N + 2));
  for (let g = 0; g < G; g++) {
    const A = abar.slice(g * N * N, (g + 1) * N * N);
    let row: Float64Array = c.slice(g * N, (g + 1) * N);
    for (let i = 0; i < block; i++) {
      for (let m = 0; m < N; m++) left[(g * N + m) * block + i] = row[m] ?? 0;
      row = apply(A, row, true);
    }
    let jump: Float64Array = A;
    for (let size = 1; size < block; size *= 2) jump = multiply(jump, jump, N);
    let column: Float64Array = bbar.slice(g * N, (g + 1) * N);
    for (let j = 0; j < blocks; j++) {
      right.set(column, (g * blocks + j) * N);
      column = apply(jump, column, false);
    }
    const base = g * N * (2 * N + 2);
    for (let m = 0; m < N; m++) {
      for (let k = 0; k < N; k++) {
        const value = A[m * N + k] ?? 0;
        recurrence[base + k * N + m] = value;
        recurrence[base + N * N + k * N + m] = value - Math.fround(value);
      }
      recurrence[base + 2 * N * N + m] = bbar[g * N + m] ?? 0;
      recurrence[base + 2 * N * N + N + m] = c[g * N + m] ?? 0;
    }
  }
  return { left, right, recurrence };
};

/** `count` complex numbers e^{2 pi i k step}, into `out` from complex index `from`. */
function roots(out: Float32Array, from: number, count: number, step: number): void {
  for (let k = 0; k < count; k++) {
    out[2 * (from + k)] = Math.cos(2 * Math.PI * k * step);
    out[2 * (from + k) + 1] = Math.sin(2 * Math.PI * k * step);
  }
}

/** One FFT of M points: M roots e^{-2 pi i k / M}, then weights e^{i pi n / 2M} of n below `fine` and of its multiples. */
export const fft: TableMaker = (_, __, { fine = 1 }, { M, F }) => {
  if (M > F) return { roots: new Float32Array(0) };
  const out = new Float32Array(2 * (M + fine + Math.ceil(M / fine)));
  roots(out, 0, M, -1 / M);
  roots(out, M, fine, 1 / (4 * M));
  roots(out, M + fine, Math.ceil(M / fine), fine / (4 * M));
  return { roots: out };
};

/** An FFT in rows and columns: roots of both, and e^{-2 pi i x / 4M} as a product of `fine` and coarse entries. */
export const largeFft: TableMaker = (_, __, { fine: count = 0 }, { M, F }) => {
  if (M <= F) return { columns: new Float32Array(0), rows: new Float32Array(0), fine: new Float32Array(0) };
  const columnPoints = 2 ** Math.floor(Math.log2(M) / 2);
  const columns = new Float32Array(2 * columnPoints);
  const rows = new Float32Array((2 * M) / columnPoints);
  const fine = new Float32Array(2 * count + (8 * M) / count);
  roots(columns, 0, columnPoints, -1 / columnPoints);
  roots(rows, 0, M / columnPoints, -columnPoints / M);
  roots(fine, 0, count, -1 / (4 * M));
  roots(fine, count, (4 * M) / count, -count / (4 * M));
  return { columns, rows, fine };
};
