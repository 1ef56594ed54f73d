/**
 * Unitary diagonalisation of a real normal matrix (A A^T = A^T A: symmetric, skew, orthogonal, and their sums that
 * commute) through its real Schur form, and the residual that says whether a matrix is one. Eigenvalues are Rayleigh
 * quotients, so their error is of the order of the residual squared.
 */
import { abs, add, complex, type Complex, conj, mul, scale, sub } from "./complex.ts";
import { hessenberg } from "./hessenberg.ts";
import { applyComplex, entry, frobenius, type Matrix, multiply, transpose } from "./matrix.ts";
import { schur } from "./schur.ts";
import { tridiagonalEigen } from "./tridiagonal.ts";

/** An eigenvalue with a unit eigenvector; `paired` ones stand for their conjugates too and have Im < 0. */
export interface Mode {
  readonly lambda: Complex;
  readonly vector: readonly Complex[];
  readonly paired: boolean;
}

export interface NormalEigen {
  readonly modes: readonly Mode[];
  /** ||A V - V Lambda|| / ||A|| in the Frobenius norm, over the modes and their conjugates. */
  readonly residual: number;
  /** The largest entry of |V* V - I|: 0 for a perfectly conditioned V. */
  readonly defect: number;
}

const dot = (a: readonly Complex[], b: readonly Complex[]): Complex =>
  a.reduce((sum, x, i) => add(sum, mul(conj(x), b[i] ?? complex(NaN))), complex(0));

/** The unit vector of a block: a column of Q, or (q1 + i q2) / sqrt 2. */
function blockVector(Q: Matrix, start: number, paired: boolean): Complex[] {
  return Array.from({ length: Q.rows }, (_, i) =>
    paired ? complex(entry(Q, i, start) * Math.SQRT1_2, entry(Q, i, start + 1) * Math.SQRT1_2) : complex(entry(Q, i, start)),
  );
}

/** Shapes: A `[N N]`. A residual above rounding says that A is not normal, and that the modes are not its eigenvectors. */
export function normalEigen(A: Matrix): NormalEigen {
  const { Q, blocks } = schur(A);
  let sum = 0;
  const modes = blocks.map(({ start, size }): Mode => {
    const paired = size === 2;
    const v = blockVector(Q, start, paired);
    const image = applyComplex(A, v);
    const lambda = scale(dot(v, image), 1 / dot(v, v).re);
    const error = v.reduce((total, x, i) => total + abs(sub(image[i] ?? complex(NaN), mul(lambda, x))) ** 2, 0);
    sum += paired ? 2 * error : error;
    return lambda.im > 0 ? { lambda: conj(lambda), vector: v.map(conj), paired } : { lambda, vector: v, paired };
  });
  const gram = multiply(transpose(Q), Q);
  const defect = gram.data.reduce((worst, x, i) => Math.max(worst, Math.abs(x - (i % (A.rows + 1) === 0 ? 1 : 0))), 0);
  const norm = frobenius(A);
  return { modes, residual: norm === 0 ? 0 : Math.sqrt(sum) / norm, defect };
}

/** Shapes: S `[N N]` symmetric. The largest eigenvalue. */
export function largestSymmetric(S: Matrix): number {
  const { H } = hessenberg(S);
  const n = S.rows;
  const off = Float64Array.from({ length: Math.max(0, n - 1) }, (_, k) => entry(H, k + 1, k));
  const { values } = tridiagonalEigen(
    Float64Array.from({ length: n }, (_, k) => entry(H, k, k)),
    off,
    { rows: 0, cols: n, data: new Float64Array() },
  );
  return values[n - 1] ?? NaN;
}
