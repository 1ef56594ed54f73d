/**
 * Unitary diagonalisation of a real normal matrix (A A^T = A^T A: symmetric, skew, orthogonal, and their sums that
 * commute) through its real Schur form, and the residual that says whether a matrix is one. Eigenvalues are Rayleigh
 * quotients, so their error is of the order of the residual squared. A multiple of I plus a skew matrix takes the shorter
 * way of `skew.ts`.
 */
import { abs, add, complex, type Complex, conj, mul, scale, sub } from "./complex.ts";
import { applyComplex, entry, frobenius, type Matrix, matrix } from "./matrix.ts";
import { schur } from "./schur.ts";
import { type Mode, skewModes } from "./skew.ts";

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

/** c where A is c I plus a skew matrix, to rounding. */
function skewShift(A: Matrix): number | undefined {
  const n = A.rows;
  let trace = 0;
  for (let i = 0; i < n; i++) trace += entry(A, i, i);
  const shift = trace / n;
  const limit = Number.EPSILON * frobenius(A);
  for (let i = 0; i < n; i++)
    for (let j = 0; j <= i; j++) if (!(Math.abs((entry(A, i, j) + entry(A, j, i)) / 2 - (i === j ? shift : 0)) <= limit)) return undefined;
  return shift;
}

function schurVectors(A: Matrix): Pick<Mode, "vector" | "paired">[] {
  const { Q, blocks } = schur(A);
  return blocks.map(({ start, size }) => ({ vector: blockVector(Q, start, size === 2), paired: size === 2 }));
}

function skewVectors(A: Matrix): readonly Mode[] {
  return skewModes(matrix(A.rows, A.rows, (i, j) => (entry(A, i, j) - entry(A, j, i)) / 2));
}

/** Shapes: A `[N N]`. A residual above rounding says that A is not normal, and that the modes are not its eigenvectors. */
export function normalEigen(A: Matrix): NormalEigen {
  let sum = 0;
  const vectors = skewShift(A) === undefined ? schurVectors(A) : skewVectors(A);
  const modes = vectors.map(({ vector: v, paired }): Mode => {
    const image = applyComplex(A, v);
    const lambda = scale(dot(v, image), 1 / dot(v, v).re);
    const error = v.reduce((total, x, i) => total + abs(sub(image[i] ?? complex(NaN), mul(lambda, x))) ** 2, 0);
    sum += paired ? 2 * error : error;
    return lambda.im > 0 ? { lambda: conj(lambda), vector: v.map(conj), paired } : { lambda, vector: v, paired };
  });
  const norm = frobenius(A);
  return { modes, residual: norm === 0 ? 0 : Math.sqrt(sum) / norm, defect: defectOf(modes, A.rows) };
}

/** The largest entry of |W^T W - I|, W the real vectors and of each pair sqrt 2 times the two parts. */
function defectOf(modes: readonly Mode[], n: number): number {
  const W = modes.flatMap(({ vector, paired }) =>
    paired
      ? [Float64Array.from(vector, (z) => Math.SQRT2 * z.re), Float64Array.from(vector, (z) => Math.SQRT2 * z.im)]
      : [Float64Array.from(vector, (z) => z.re)],
  );
  let worst = 0;
  W.forEach((a, i) => {
    for (let j = 0; j <= i; j++) {
      const b = W[j];
      let sum = i === j ? -1 : 0;
      for (let k = 0; k < n; k++) sum += (a[k] ?? NaN) * (b?.[k] ?? NaN);
      worst = Math.max(worst, Math.abs(sum));
    }
  });
  return worst;
}
