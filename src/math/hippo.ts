/** HiPPO matrices: LegS, exponentially warped Legendre polynomials, and the poles of its normal part. */
import { entry, type Matrix, matrix } from "./matrix.ts";
import { skewEigen } from "./skew.ts";

const r = (n: number): number => Math.sqrt(2 * n + 1);

/**
 * The LegS operator: A_nk = -r_n r_k below the diagonal, -(n + 1) on it, 0 above; B_n = r_n, with r_n = sqrt(2n + 1).
 * Shapes: A `[N N]`, B `[N]`.
 * Source: Gu et al., HiPPO, 2020, theorem 2.
 */
export function legs(N: number): { readonly A: Matrix; readonly B: Float64Array } {
  return {
    A: matrix(N, N, (n, k) => (n > k ? -r(n) * r(k) : n === k ? -(n + 1) : 0)),
    B: Float64Array.from({ length: N }, (_, n) => r(n)),
  };
}

/**
 * The positive imaginary parts of the eigenvalues of LegS + B B^T / 2 = -I/2 + skew, descending; every real part is -1/2.
 * Shapes: `[N/2]`, N even.
 */
export function legsPoles(N: number): Float64Array {
  const { A, B } = legs(N);
  const half = (n: number, k: number): number => entry(A, n, k) + ((B[n] ?? 0) * (B[k] ?? 0)) / 2;
  const { frequencies } = skewEigen(matrix(N, N, (n, k) => (half(n, k) - half(k, n)) / 2));
  return frequencies.slice(N - Math.floor(N / 2)).reverse();
}
