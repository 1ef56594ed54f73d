/**
 * Eigenvalues and eigenvectors of a real skew-symmetric matrix, in real arithmetic: Householder reduction to a skew
 * tridiagonal T = Q^T K Q, a diagonal similarity by powers of -i that makes -iT real symmetric, implicit QL.
 * Not for matrices that are skew only nearly: the symmetric part is not read.
 */
import { complex, type Complex } from "./complex.ts";
import { hessenberg } from "./hessenberg.ts";
import { entry, identity, type Matrix } from "./matrix.ts";
import { tridiagonalEigen } from "./tridiagonal.ts";

export interface SkewEigen {
  /** w of the eigenvalues i w, ascending. */
  readonly frequencies: Float64Array;
  /** The eigenvector of the j-th frequency, of unit length. */
  readonly vector: (j: number) => Complex[];
}

/** (-i)^k as [re, im]. */
const phases = [
  [1, 0],
  [0, -1],
  [-1, 0],
  [0, 1],
] as const;

/** Shapes: K `[N N]`. */
export function skewEigen(K: Matrix): SkewEigen {
  const n = K.rows;
  const { H, Q } = hessenberg(K);
  const below = Float64Array.from({ length: Math.max(0, n - 1) }, (_, k) => entry(H, k + 1, k));
  const { values, vectors } = tridiagonalEigen(new Float64Array(n), below, identity(n));
  const vector = (j: number): Complex[] =>
    Array.from({ length: n }, (_, row) => {
      let re = 0;
      let im = 0;
      for (let k = 0; k < n; k++) {
        const [pr, pi] = phases[(k % 4) as 0 | 1 | 2 | 3];
        const product = entry(Q, row, k) * entry(vectors, k, j);
        re += pr * product;
        im += pi * product;
      }
      return complex(re, im);
    });
  return { frequencies: values, vector };
}
