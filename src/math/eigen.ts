/**
 * Eigenvectors of any real matrix and how far from orthogonal they are: A = V Lambda V^-1 is only as good as V is well
 * conditioned, and for many matrices (LegS, LegT) no double precision survives it. From the real Schur form by back
 * substitution. For normal matrices `normal.ts` is the better way.
 */
import { add, complex, type Complex, div, mul, scale, sub } from "./complex.ts";
import { addScaled, entry, frobenius, identity, type Matrix, matrix, multiply, transpose } from "./matrix.ts";
import { schur, type Schur } from "./schur.ts";
import type { Mode } from "./skew.ts";
import { solve } from "./solve.ts";
import { largestSymmetric } from "./symmetric.ts";

export interface GeneralEigen {
  /** Right eigenvectors of unit length, one of each conjugate pair. */
  readonly modes: readonly Mode[];
  /** V^-1 x of a real x, mode by mode. */
  readonly coordinates: (x: ArrayLike<number>) => Complex[];
  /** ||V Lambda V^-1 - A|| / ||A|| in the Frobenius norm. */
  readonly residual: number;
  /** cond(V) in the 2-norm; Infinity where V is singular. */
  readonly condition: number;
}

/** The eigenvalue of a block, of a pair the one with Im < 0. */
function blockEigenvalue(T: Matrix, start: number, size: 1 | 2): Complex {
  const a = entry(T, start, start);
  if (size === 1) return complex(a);
  const d = entry(T, start + 1, start + 1);
  const half = (a - d) / 2;
  const square = -half * half - entry(T, start, start + 1) * entry(T, start + 1, start);
  return complex((a + d) / 2, -Math.sqrt(Math.max(0, square)));
}

/** Solves (T - lambda I) v = 0 upwards from the block's own rows, where v is an eigenvector of the block. */
function schurVector({ T, blocks }: Schur, block: number, lambda: Complex, tiny: number): Complex[] {
  const { start, size } = blocks[block] ?? { start: 0, size: 1 };
  const v = Array.from({ length: T.rows }, () => complex(0));
  v[start] = complex(1);
  if (size === 2) {
    // (a - lambda) x + b y = 0
    v[start + 1] = scale(sub(lambda, complex(entry(T, start, start))), 1 / entry(T, start, start + 1));
  }
  const end = start + size;
  const rest = (i: number, from: number): Complex => {
    let sum = complex(0);
    for (let j = from; j < end; j++) sum = sub(sum, scale(v[j] ?? complex(NaN), entry(T, i, j)));
    return sum;
  };
  const safe = (z: Complex): Complex => (Math.hypot(z.re, z.im) < tiny ? complex(tiny) : z);
  for (let k = block - 1; k >= 0; k--) {
    const { start: i, size: rows } = blocks[k] ?? { start: 0, size: 1 };
    const [a, r] = [sub(complex(entry(T, i, i)), lambda), rest(i, i + rows)];
    if (rows === 1) {
      v[i] = div(r, safe(a));
      continue;
    }
    const [b, c, d] = [entry(T, i, i + 1), entry(T, i + 1, i), sub(complex(entry(T, i + 1, i + 1)), lambda)];
    const s = rest(i + 1, i + rows);
    const determinant = safe(sub(mul(a, d), complex(b * c)));
    v[i] = div(sub(mul(d, r), scale(s, b)), determinant);
    v[i + 1] = div(sub(mul(a, s), scale(r, c)), determinant);
  }
  return v;
}

const normalised = (v: readonly Complex[]): Complex[] => {
  const length = Math.hypot(...v.flatMap(({ re, im }) => [re, im]));
  return v.map((z) => scale(z, 1 / length));
};

/** Shapes: A `[N N]`. */
export function generalEigen(A: Matrix): GeneralEigen {
  const n = A.rows;
  const form = schur(A);
  const tiny = Number.EPSILON * Math.max(frobenius(A), Number.MIN_VALUE);
  const modes = form.blocks.map(({ start, size }, k): Mode => {
    const lambda = blockEigenvalue(form.T, start, size);
    const inSchur = normalised(schurVector(form, k, lambda, tiny));
    const vector = Array.from({ length: n }, (_, i) => inSchur.reduce((sum, z, j) => add(sum, scale(z, entry(form.Q, i, j))), complex(0)));
    return { lambda, vector, paired: size === 2 };
  });
  // x = 2 Re(v z) on a pair is sqrt 2 Re v times sqrt 2 Re z less sqrt 2 Im v times sqrt 2 Im z.
  const columns = modes.flatMap(({ vector, paired }) =>
    paired ? [vector.map((z) => Math.SQRT2 * z.re), vector.map((z) => -Math.SQRT2 * z.im)] : [vector.map((z) => z.re)],
  );
  const W = matrix(n, n, (i, j) => columns[j]?.[i] ?? NaN);
  const inverse = W.data.every(Number.isFinite) ? solve(W, identity(n)) : undefined;
  if (inverse === undefined || !inverse.data.every(Number.isFinite))
    return { modes, coordinates: () => modes.map(() => complex(NaN)), residual: Infinity, condition: Infinity };
  const square = (M: Matrix): number => largestSymmetric(multiply(transpose(M), M));
  return {
    modes,
    coordinates: (x) => coordinates(modes, inverse, x),
    residual: frobenius(addScaled(multiply(W, multiply(rotations(modes), inverse)), A, -1)) / Math.max(frobenius(A), Number.MIN_VALUE),
    condition: Math.sqrt(square(W) * square(inverse)),
  };
}

/** Lambda over the real columns: of a pair [[re, -im], [im, re]]. */
function rotations(modes: readonly Mode[]): Matrix {
  const n = modes.reduce((sum, m) => sum + (m.paired ? 2 : 1), 0);
  const D = matrix(n, n, () => 0);
  let at = 0;
  for (const { lambda, paired } of modes) {
    D.data[at * n + at] = lambda.re;
    if (paired) {
      D.data[(at + 1) * n + at + 1] = lambda.re;
      D.data[at * n + at + 1] = -lambda.im;
      D.data[(at + 1) * n + at] = lambda.im;
    }
    at += paired ? 2 : 1;
  }
  return D;
}

function coordinates(modes: readonly Mode[], inverse: Matrix, x: ArrayLike<number>): Complex[] {
  const z = Float64Array.from({ length: inverse.rows }, (_, i) => {
    let sum = 0;
    for (let j = 0; j < inverse.cols; j++) sum += entry(inverse, i, j) * (x[j] ?? NaN);
    return sum;
  });
  let at = 0;
  return modes.map(({ paired }) => {
    const [re = NaN, im = NaN] = [z[at], z[at + 1]];
    at += paired ? 2 : 1;
    return paired ? complex(re * Math.SQRT1_2, im * Math.SQRT1_2) : complex(re);
  });
}
