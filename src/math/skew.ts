/**
 * Eigenvalues and eigenvectors of a real skew-symmetric matrix, in real arithmetic: Householder reduction to a skew
 * tridiagonal T = Q^T K Q, a diagonal similarity by powers of -i that makes -iT real symmetric, implicit QL.
 * Not for matrices that are skew only nearly: the symmetric part is not read.
 *
 * T couples even and odd coordinates only, so that an eigenvector is a + i b with real a from the even and b from the odd
 * ones, |a| = |b|, and the a of different frequencies are orthogonal, as are the b. QL keeps that only up to rounding over the
 * distance of frequencies; Gram and Schmidt restore it, so that pairs stay pairs however near 0 they lie.
 */
import { complex, type Complex } from "./complex.ts";
import { hessenberg } from "./hessenberg.ts";
import { entry, identity, type Matrix } from "./matrix.ts";
import { tridiagonalEigen } from "./tridiagonal.ts";

/** An eigenvalue with a unit eigenvector; `paired` ones stand for their conjugates too and have Im < 0. */
export interface Mode {
  readonly lambda: Complex;
  readonly vector: readonly Complex[];
  readonly paired: boolean;
}

/** (-i)^k is real for even k, imaginary for odd k; this is its sign. */
const sign = (k: number): number => (k % 4 === 0 || k % 4 === 3 ? 1 : -1);

/** Subtracts from x, in place, its components along orthonormal vectors; gives the length of what remains. */
export function orthogonalise(x: Float64Array, others: readonly Float64Array[]): number {
  for (const other of others) {
    let along = 0;
    for (let i = 0; i < x.length; i++) along += (x[i] ?? 0) * (other[i] ?? 0);
    for (let i = 0; i < x.length; i++) x[i] = (x[i] ?? 0) - along * (other[i] ?? 0);
  }
  return Math.hypot(...x);
}

const normalise = (x: Float64Array, length: number): Float64Array => x.map((v) => v / length);

/** `count` orthonormal vectors of the span of `candidates`, orthogonal to `others` too; each time the longest remainder. */
function orthonormalBasis(candidates: readonly Float64Array[], count: number, others: readonly Float64Array[]): Float64Array[] {
  const chosen = [...others];
  for (let k = 0; k < count; k++) {
    const rests = candidates.map((c) => {
      const rest = c.slice();
      orthogonalise(rest, chosen);
      return { rest, length: orthogonalise(rest, chosen) };
    });
    const longest = rests.reduce((best, r) => (r.length > best.length ? r : best));
    chosen.push(normalise(longest.rest, longest.length));
  }
  return chosen.slice(others.length);
}

/** a^T K b */
function bilinear(a: Float64Array, K: Matrix, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < K.rows; i++) {
    let row = 0;
    for (let j = 0; j < K.cols; j++) row += (K.data[i * K.cols + j] ?? NaN) * (b[j] ?? NaN);
    sum += row * (a[i] ?? NaN);
  }
  return sum;
}

/**
 * The modes of K: conjugate pairs by ascending imaginary part, then the null space as real vectors.
 * Shapes: K `[N N]`.
 */
export function skewModes(K: Matrix): readonly Mode[] {
  const n = K.rows;
  const { H, Q } = hessenberg(K);
  const below = Float64Array.from({ length: Math.max(0, n - 1) }, (_, k) => entry(H, k + 1, k));
  const { values, vectors } = tridiagonalEigen(new Float64Array(n), below, identity(n));
  /** The part of the j-th eigenvector on even (0) or odd (1) coordinates of T. */
  const part = (j: number, parity: 0 | 1): Float64Array => {
    const x = new Float64Array(n);
    for (let i = 0; i < n; i++) {
      let sum = 0;
      for (let k: number = parity; k < n; k += 2) sum += sign(k) * entry(Q, i, k) * entry(vectors, k, j);
      x[i] = sum;
    }
    return x;
  };
  const tiny = 4 * n * Number.EPSILON * Math.max(...values.map(Math.abs));
  const [left, right]: [Float64Array[], Float64Array[]] = [[], []];
  const modes: Mode[] = [];
  /** Eigenvectors of what is 0 to rounding; the partner of the j-th is the one as far from the other end. */
  const still = new Set(Array.from({ length: n }, (_, j) => j));
  for (let j = 0; j < n && (values[j] ?? 0) < -tiny; j++) {
    const [a, b] = [part(j, 0), part(j, 1)];
    const lengths = [orthogonalise(a, left), orthogonalise(b, right)];
    // Much shorter than 1 / sqrt 2: mixed with its partner, which only rounding tells from it.
    if (Math.min(...lengths) < 0.5) continue;
    const [p, q] = [normalise(a, orthogonalise(a, left)), normalise(b, orthogonalise(b, right))];
    left.push(p);
    right.push(q);
    still.delete(j);
    still.delete(n - 1 - j);
    // K (p + i q) = i w (p + i q) gives w = p^T K q
    const lambda = complex(0, bilinear(p, K, q));
    modes.push({ lambda, vector: Array.from(p, (x, i) => complex(x * Math.SQRT1_2, (q[i] ?? NaN) * Math.SQRT1_2)), paired: true });
  }
  const nulls = orthonormalBasis(
    [...still].flatMap((j) => [part(j, 0), part(j, 1)]),
    still.size,
    [...left, ...right],
  );
  return [...modes, ...nulls.map((v): Mode => ({ lambda: complex(0), vector: Array.from(v, (x) => complex(x)), paired: false }))];
}
