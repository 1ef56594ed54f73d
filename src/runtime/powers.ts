/** Steps and powers of state matrices in float64, dense ones and those of normal plus low rank. */

/** out = a b for rows of N numbers and an N x N matrix, row-major: four rows of b at a time, so that each element of out is read and written N / 4 times. */
export function multiply(a: Float64Array, b: Float64Array, N: number, out: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> {
  out.fill(0);
  for (let i = 0; i * N < a.length; i++) {
    const of = (k: number): number => (k < N ? (a[i * N + k] ?? 0) : 0);
    const row = i * N;
    for (let k = 0; k < N; k += 4) {
      const [a0, a1, a2, a3] = [of(k), of(k + 1), of(k + 2), of(k + 3)];
      const [p0, p1, p2, p3] = [k * N, (k + 1) * N, (k + 2) * N, (k + 3) * N];
      for (let j = 0; j < N; j++)
        out[row + j] = (out[row + j] ?? 0) + a0 * (b[p0 + j] ?? 0) + a1 * (b[p1 + j] ?? 0) + a2 * (b[p2 + j] ?? 0) + a3 * (b[p3 + j] ?? 0);
    }
  }
  return out;
}

/** M x. */
export function apply(m: Float64Array, x: Float64Array): Float64Array<ArrayBuffer> {
  const N = x.length;
  const out = new Float64Array(N);
  for (let i = 0; i < N; i++) {
    let sum = 0;
    for (let j = 0; j < N; j++) sum += (m[i * N + j] ?? 0) * (x[j] ?? 0);
    out[i] = sum;
  }
  return out;
}

/** A system of one channel, and scratch for its R inner products. */
export interface Dplr {
  readonly a: Float64Array;
  readonly p: Float64Array;
  readonly q: Float64Array;
  readonly inner: Float64Array;
}

/** x <- Abar x; with p and q in each other's place x <- x Abar, for a row that gives Re(sum_n x_n y_n). */
export function step(x: Float64Array, { a, p, q, inner }: Dplr): void {
  for (let r = 0, at = 0; r < inner.length; r++, at += x.length) {
    let sum = 0;
    for (let m = 0; m < x.length; m += 2) sum += (x[m] ?? 0) * (q[at + m] ?? 0) - (x[m + 1] ?? 0) * (q[at + m + 1] ?? 0);
    inner[r] = sum;
  }
  for (let m = 0; m < x.length; m += 2) {
    const re = x[m] ?? 0;
    const im = x[m + 1] ?? 0;
    x[m] = re * (a[m] ?? 0) - im * (a[m + 1] ?? 0);
    x[m + 1] = re * (a[m + 1] ?? 0) + im * (a[m] ?? 0);
  }
  for (let r = 0, at = 0; r < inner.length; r++, at += x.length) {
    const s = inner[r] ?? 0;
    for (let m = 0; m < x.length; m++) x[m] = (x[m] ?? 0) - s * (p[at + m] ?? 0);
  }
}

/** Steps taken one by one before powers of Abar are squared: a step of every column costs less than a product of matrices. */
const stepped = 32;

/** Abar^block on (Re x_0, Im x_0, Re x_1, ..), columns outermost. */
export function jumpOf(system: Dplr, block: number): Float64Array {
  const S = system.a.length;
  let [jump, spare] = [new Float64Array(S * S), new Float64Array(S * S)];
  for (let j = 0; j < S; j++) {
    const column = jump.subarray(j * S, (j + 1) * S);
    column[j] = 1;
    for (let i = 0; i < Math.min(block, stepped); i++) step(column, system);
  }
  for (let size = stepped; size < block; size *= 2) [jump, spare] = [multiply(jump, jump, S, spare), jump];
  return jump;
}
