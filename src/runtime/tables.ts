/**
 * Tables made in float64 when a bundle loads, rounded to float32 once: powers of discrete systems by repeated
 * multiplication, roots of unity. Kernels multiply table entries; they never evaluate a transcendental function.
 */
import type { Dims } from "./plan.ts";
import { apply, jumpOf, multiply, step } from "./powers.ts";

/** F64 tensors and their shapes by role in, float32 tables by role out. */
export type TableMaker = (
  tensors: Readonly<Record<string, Float64Array>>,
  shapes: Readonly<Record<string, readonly number[]>>,
  options: Readonly<Record<string, number>>,
  d: Dims,
) => Record<string, Float32Array<ArrayBuffer>>;

const none = new Float64Array();
/** What a pole has above 2^-12: so few bits that products with as few are exact in float32. */
const upper = (x: number): number => Math.round(x * 2048) / 2048;

/**
 * A diagonal system's tables; see `passes/schedules/lti.ts`.
 * Shapes: abar, gain `[H N 2]`; left `[H 2N block]`, right `[H blocks 2N]`, recurrence `[6][N][H]` of abar high and low, gain.
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
      const [hr, hi] = [upper(ar), upper(ai)];
      [hr, hi, ar - hr, ai - hi, gr, gi].forEach((value, q) => (recurrence[(q * N + n) * H + h] = value));
    }
  }
  return { left, right, recurrence };
};

/** out from `at` = m transposed. */
function transposeInto(out: Float32Array, at: number, m: Float64Array, N: number): void {
  for (let i = 0; i < N; i++) for (let j = 0; j < N; j++) out[at + j * N + i] = m[i * N + j] ?? 0;
}

/**
 * A dense system's tables. Shapes: abar `[G N N]`, bbar `[G N]`, c `[G P N]`; left `[G P N block]`, right `[G blocks N]`,
 * recurrence `[G]` of Abar high `[N N]` and low `[N N]` (columns outermost), Bbar, C; inputs `[G block N]` of Abar^i Bbar,
 * jump `[G N N]` of Abar^block, columns outermost.
 */
export const dense: TableMaker = ({ abar = none, bbar = none, c = none }, { abar: shape = [] }, { block = 0, blocks = 0 }) => {
  const [G = 0, N = 0] = shape;
  const P = c.length / (G * N);
  const left = new Float32Array(G * P * N * block);
  const right = new Float32Array(G * blocks * N);
  const recurrence = new Float32Array(G * N * (2 * N + 1 + P));
  const inputs = new Float32Array(G * block * N);
  const columns = new Float32Array(G * N * N);
  for (let g = 0; g < G; g++) {
    const A = abar.slice(g * N * N, (g + 1) * N * N);
    for (let p = g * P; p < (g + 1) * P; p++) {
      let row: Float64Array = c.slice(p * N, (p + 1) * N);
      for (let i = 0; i < block; i++) {
        for (let m = 0; m < N; m++) left[(p * N + m) * block + i] = row[m] ?? 0;
        row = multiply(row, A, N, new Float64Array(N));
      }
    }
    let jump = A;
    for (let size = 1; size < block; size *= 2) jump = multiply(jump, jump, N, new Float64Array(N * N));
    let column: Float64Array = bbar.slice(g * N, (g + 1) * N);
    for (let j = 0; j < blocks; j++) {
      right.set(column, (g * blocks + j) * N);
      column = apply(jump, column);
    }
    transposeInto(columns, g * N * N, jump, N);
    column = bbar.slice(g * N, (g + 1) * N);
    for (let i = 0; i < block; i++) {
      inputs.set(column, (g * block + i) * N);
      column = apply(A, column);
    }
    const base = g * N * (2 * N + 1 + P);
    for (let m = 0; m < N; m++) {
      for (let k = 0; k < N; k++) {
        const value = A[m * N + k] ?? 0;
        recurrence[base + k * N + m] = value;
        recurrence[base + N * N + k * N + m] = value - Math.fround(value);
      }
      recurrence[base + 2 * N * N + m] = bbar[g * N + m] ?? 0;
    }
    recurrence.set(c.subarray(g * P * N, (g + 1) * P * N), base + 2 * N * N + N);
  }
  return { left, right, recurrence, inputs, jump: columns };
};

/**
 * The tables of a system of normal plus low rank. Shapes: abar, bbar `[H N 2]`, c `[H P N 2]`, p, q `[H R N 2]`; left `[H P 2N block]`,
 * right `[H blocks 2N]`, recurrence `[6 + 4R + 2P][N][H]` of abar high and low, bbar, p_r and q_r, then c; inputs `[H block 2N]` of
 * Abar^i Bbar, jump `[H 2N 2N]` of Abar^block, columns outermost.
 */
export const dplr: TableMaker = (
  { abar = none, p = none, q = none, bbar = none, c = none },
  { p: shape = [] },
  { block = 0, blocks = 0 },
) => {
  const [H = 0, R = 0, N = 0] = shape;
  const S = 2 * N;
  const P = c.length / (H * S);
  const parts = 6 + 4 * R + 2 * P;
  const left = new Float32Array(H * P * S * block);
  const right = new Float32Array(H * blocks * S);
  const recurrence = new Float32Array(parts * N * H);
  const inputs = new Float32Array(H * block * S);
  const jump = new Float32Array(H * S * S);
  for (let h = 0; h < H; h++) {
    const of = (data: Float64Array, ranks = 1): Float64Array => data.subarray(h * ranks * S, (h + 1) * ranks * S);
    const system = { a: of(abar), p: of(p, R), q: of(q, R), inner: new Float64Array(R) };
    const dual = { ...system, p: system.q, q: system.p };
    const reads = Array.from({ length: P }, (_, i) => c.subarray((h * P + i) * S, (h * P + i + 1) * S));
    reads.forEach((read, output) => {
      const row = read.slice();
      for (let i = 0; i < block; i++) {
        writeColumn(left, (h * P + output) * S * block + i, block, row);
        step(row, dual);
      }
    });
    const power = jumpOf(system, block);
    jump.set(power, h * S * S);
    let [column, next] = [of(bbar).slice(), new Float64Array(S)];
    for (let j = 0; j < blocks; j++) {
      right.set(column, (h * blocks + j) * S);
      [column, next] = [multiply(column, power, S, next), column];
    }
    column.set(of(bbar));
    for (let i = 0; i < block; i++) {
      inputs.set(column, (h * block + i) * S);
      step(column, system);
    }
    const high = system.a.map(upper);
    const rows = [high, system.a.map((value, m) => value - (high[m] ?? 0)), of(bbar)];
    for (let r = 0; r < R; r++) rows.push(system.p.subarray(r * S, (r + 1) * S), system.q.subarray(r * S, (r + 1) * S));
    rows.push(...reads);
    for (const [part, values] of rows.entries()) writeParts(recurrence, part, H, h, values);
  }
  return { left, right, recurrence, inputs, jump };
};

/** Complex numbers of channel `h` into part `part` of a table `[parts][2][N][H]`. */
function writeParts(out: Float32Array, part: number, H: number, h: number, values: Float64Array): void {
  const N = values.length / 2;
  for (let m = 0; m < values.length; m++) out[((2 * part + (m % 2)) * N + (m >> 1)) * H + h] = values[m] ?? 0;
}

/** Writes a row that gives Re(sum_n row_n x_n) as one on (Re x_0, Im x_0, ..), its elements `stride` apart. */
function writeColumn(out: Float32Array, from: number, stride: number, row: Float64Array): void {
  for (let m = 0; m < row.length; m++) out[from + m * stride] = m % 2 === 0 ? (row[m] ?? 0) : -(row[m] ?? 0);
}

/** `count` complex numbers e^{2 pi i k step}, into `out` from complex index `from`. */
function roots(out: Float32Array, from: number, count: number, step: number): void {
  for (let k = 0; k < count; k++) {
    out[2 * (from + k)] = Math.cos(2 * Math.PI * k * step);
    out[2 * (from + k) + 1] = Math.sin(2 * Math.PI * k * step);
  }
}

/** One FFT of M points: M roots e^{-2 pi i k / M}, then weights e^{i pi n / 2M} of n below `fine` and of its multiples. */
export const fft: TableMaker = (_, __, { fine = 1, points }, { M: own, F }) => {
  const M = points ?? own;
  if (points === undefined && M > F) return { roots: new Float32Array(0) };
  const out = new Float32Array(2 * (M + fine + Math.ceil(M / fine)));
  roots(out, 0, M, -1 / M);
  roots(out, M, fine, 1 / (4 * M));
  roots(out, M + fine, Math.ceil(M / fine), fine / (4 * M));
  return { roots: out };
};

/** An FFT in rows and columns: roots of both, and e^{-2 pi i x / 4M} as a product of `fine` and coarse entries. */
export const largeFft: TableMaker = (_, __, { fine: count = 0, points }, { M: own, F }) => {
  const M = points ?? own;
  if (points === undefined && M <= F) return { columns: new Float32Array(0), rows: new Float32Array(0), fine: new Float32Array(0) };
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

/**
 * Rotary places: cos and sin of the angles of every digit of a place, to the base 256.
 * Shape: turns `[digits 256 dims/2 2]`, entry (k, m, i) of the angle m 256^k base^(-2i/dims).
 */
export const rotary: TableMaker = (_, __, { dims = 2, base = 1, digits = 1 }) => {
  const turns = new Float32Array(digits * 256 * dims);
  for (let at = 0; at < turns.length; at += 2) {
    const row = Math.floor(at / dims);
    const angle = (row % 256) * 256 ** Math.floor(row / 256) * base ** (-(at % dims) / dims);
    turns[at] = Math.cos(angle);
    turns[at + 1] = Math.sin(angle);
  }
  return { turns };
};
