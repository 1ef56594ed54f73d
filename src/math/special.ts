/** Special functions in float64 that bases are written in: the gamma function and the classical orthogonal polynomials. */

/** Coefficients of Lanczos' series for g = 7. */
const lanczos = [
  0.9999999999998099, 676.5203681218851, -1259.1392167224028, 771.3234287776531, -176.6150291621406, 12.507343278686905,
  -0.13857109526572012, 9.984369578019572e-6, 1.5056327351493116e-7,
];

/**
 * The gamma function for x > 0.
 * Source: Lanczos, A precision approximation of the gamma function, SIAM J. Numer. Anal. 1 (1964).
 */
export function gamma(x: number): number {
  if (x < 1) return gamma(x + 1) / x;
  const t = x + 6.5;
  const series = lanczos.reduce((sum, c, k) => sum + (k === 0 ? c : c / (x - 1 + k)), 0);
  return Math.sqrt(2 * Math.PI) * t ** (x - 0.5) * Math.exp(-t) * series;
}

/** A sequence p_0 = 1, p_1 = `first`, p_{k+1} = `next(k, p_k, p_{k-1})` at n. */
function threeTerm(n: number, first: number, next: (k: number, p: number, before: number) => number): number {
  if (n === 0) return 1;
  let [before, p] = [1, first];
  for (let k = 1; k < n; k++) [before, p] = [p, next(k, p, before)];
  return p;
}

/** The Legendre polynomial P_n(x). */
export const legendre = (n: number, x: number): number => threeTerm(n, x, (k, p, before) => ((2 * k + 1) * x * p - k * before) / (k + 1));

/** The generalized Laguerre polynomial L_n^(alpha)(x). */
export const laguerre = (n: number, x: number, alpha = 0): number =>
  threeTerm(n, 1 + alpha - x, (k, p, before) => ((2 * k + 1 + alpha - x) * p - (k + alpha) * before) / (k + 1));

/** The Chebyshev polynomial of the first kind T_n(x). */
export const chebyshev = (n: number, x: number): number => threeTerm(n, x, (_k, p, before) => 2 * x * p - before);
