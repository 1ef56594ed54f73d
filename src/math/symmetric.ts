/** Eigenvalues and eigenvectors of a real symmetric matrix: Householder tridiagonalisation and implicit QL. */
import { hessenberg } from "./hessenberg.ts";
import { entry, type Matrix } from "./matrix.ts";
import { tridiagonalEigen } from "./tridiagonal.ts";

const tridiagonal = (S: Matrix): { readonly diagonal: Float64Array; readonly off: Float64Array; readonly Q: Matrix } => {
  const { H, Q } = hessenberg(S);
  const n = S.rows;
  return {
    diagonal: Float64Array.from({ length: n }, (_, k) => entry(H, k, k)),
    off: Float64Array.from({ length: Math.max(0, n - 1) }, (_, k) => entry(H, k + 1, k)),
    Q,
  };
};

/** Eigenvalues ascend; the k-th column of `vectors` is the k-th eigenvector. Shapes: S, vectors `[N N]`, symmetric S. */
export function symmetricEigen(S: Matrix): { readonly values: Float64Array; readonly vectors: Matrix } {
  const { diagonal, off, Q } = tridiagonal(S);
  return tridiagonalEigen(diagonal, off, Q);
}

/** Shapes: S `[N N]` symmetric. The largest eigenvalue. */
export function largestSymmetric(S: Matrix): number {
  const { diagonal, off } = tridiagonal(S);
  const { values } = tridiagonalEigen(diagonal, off, { rows: 0, cols: S.rows, data: new Float64Array() });
  return values[S.rows - 1] ?? NaN;
}
