/**
 * Complex arithmetic in float64: scalars as plain objects, arrays as interleaved pairs (re, im), which is how a tensor
 * `[.. c=2]` lies in memory. Not a number class: families and discretizations read as formulas over these functions.
 *
 * All of src/math is written here rather than taken from a library: the well-kept ones (ml-matrix, mathjs) have no
 * complex matrices, no expm, no real Schur form, or bring hundreds of kilobytes that a compiler running in a page
 * would have to load.
 */

export interface Complex {
  readonly re: number;
  readonly im: number;
}

export const complex = (re: number, im = 0): Complex => ({ re, im });
export const add = (a: Complex, b: Complex): Complex => ({ re: a.re + b.re, im: a.im + b.im });
export const sub = (a: Complex, b: Complex): Complex => ({ re: a.re - b.re, im: a.im - b.im });
export const mul = (a: Complex, b: Complex): Complex => ({ re: a.re * b.re - a.im * b.im, im: a.re * b.im + a.im * b.re });
export const scale = (a: Complex, s: number): Complex => ({ re: a.re * s, im: a.im * s });
export const abs = (a: Complex): number => Math.hypot(a.re, a.im);
export const conj = (a: Complex): Complex => ({ re: a.re, im: -a.im });

/** Smith's division: no overflow of the intermediate |b|^2. */
export function div(a: Complex, b: Complex): Complex {
  if (Math.abs(b.re) >= Math.abs(b.im)) {
    const r = b.im / b.re;
    const d = b.re + b.im * r;
    return { re: (a.re + a.im * r) / d, im: (a.im - a.re * r) / d };
  }
  const r = b.re / b.im;
  const d = b.re * r + b.im;
  return { re: (a.re * r + a.im) / d, im: (a.im * r - a.re) / d };
}

export function exp(a: Complex): Complex {
  const r = Math.exp(a.re);
  return { re: r * Math.cos(a.im), im: r * Math.sin(a.im) };
}

/** The principal logarithm. */
export const log = (a: Complex): Complex => ({ re: Math.log(abs(a)), im: Math.atan2(a.im, a.re) });

/** e^a - 1 without cancellation: expm1(x) cos y - 2 sin^2(y/2) + i e^x sin y. */
export function expm1(a: Complex): Complex {
  const half = Math.sin(a.im / 2);
  return { re: Math.expm1(a.re) * Math.cos(a.im) - 2 * half * half, im: Math.exp(a.re) * Math.sin(a.im) };
}

/** (e^a - 1) / a, 1 at 0. */
export const phi1 = (a: Complex): Complex => (a.re === 0 && a.im === 0 ? { re: 1, im: 0 } : div(expm1(a), a));

/** The i-th number of an interleaved array. */
export const complexAt = (data: Float64Array, i: number): Complex => ({ re: data[2 * i] ?? NaN, im: data[2 * i + 1] ?? NaN });

/** Writes the i-th number of an interleaved array. */
export function setComplex(data: Float64Array, i: number, value: Complex): void {
  data[2 * i] = value.re;
  data[2 * i + 1] = value.im;
}

/** The interleaved array of `count` numbers `f(i)`. */
export function complexArray(count: number, f: (i: number) => Complex): Float64Array {
  const data = new Float64Array(2 * count);
  for (let i = 0; i < count; i++) setComplex(data, i, f(i));
  return data;
}
