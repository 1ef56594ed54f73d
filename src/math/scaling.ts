/**
 * Diagonal scalings that uncover structure: positive d for which X = D^-1 A D is normal plus a low-rank part, found from A alone. What
 * they are worth is for others to prove: a search that ends has made its own condition hold, and no more.
 *
 * X = M - P P^T with M normal and P of rank R makes one of two symmetric matrices simple on all but a few directions. Where all of M decays
 * alike, the symmetric part of X is c I - P P^T, so that all eigenvalues but the R lowest agree. Whatever M, the commutator X X^T - X^T X
 * is P P^T (M - M^T) - (M - M^T) P P^T, so that all eigenvalues but 2 R are 0. Both are smooth in log d; to first order the eigenvectors
 * stay, which makes each step a linear least squares problem (Gauss and Newton, damped).
 */
import { entry, frobenius, type Matrix, matrix, multiply, transpose } from "./matrix.ts";
import { solve } from "./solve.ts";
import { symmetricEigen } from "./symmetric.ts";

/** A scaling of the basis. Shapes: d `[N]`, of geometric mean 1. */
export interface Scaling {
  readonly d: Float64Array;
  /** D^-1 A D */
  readonly scaled: Matrix;
  /** The largest of d over the smallest. */
  readonly condition: number;
}

/** Entries below this, relative to ||A||, say nothing about sizes. */
const rounding = 1e-14;
/** What eigenvalues that should agree may differ by, relative to the matrix, where a search has ended well. */
const converged = 1e-9;
const maxSteps = 40;
/** A step that leaves more than this of the error leads nowhere. */
const slow = 0.98;
/** The longest step of log d that first order is trusted for. */
const longest = 3;

/** A symmetric matrix made of X that has to be a multiple of I on most directions. */
interface Condition {
  /** The matrix, and what its eigenvalues are measured by. */
  readonly of: (X: Matrix) => { readonly symmetric: Matrix; readonly size: number };
  /** Those that have to agree, of eigenvalues that ascend. */
  readonly kept: (values: Float64Array) => readonly number[];
  /** Whether they have to agree on 0. */
  readonly zero: boolean;
  /**
   * Its derivative by log d_k is the sum over terms of w (a_k b_k^T + b_k a_k^T), with a_k and b_k the k-th columns of the
   * factors that a term names.
   */
  readonly factors: (X: Matrix) => readonly Matrix[];
  readonly terms: readonly (readonly [a: number, b: number, w: number])[];
}

const identity = (n: number): Matrix => matrix(n, n, (i, j) => (i === j ? 1 : 0));

/** The symmetric part S of X: dS/d(log d_k) = K e_k e_k^T + its transpose, K the skew part. */
const decaysAlike = (rank: number): Condition => ({
  of: (X) => ({ symmetric: matrix(X.rows, X.cols, (i, j) => (entry(X, i, j) + entry(X, j, i)) / 2), size: frobenius(X) }),
  kept: (values) => Array.from(values.keys()).slice(rank),
  zero: false,
  factors: (X) => [matrix(X.rows, X.cols, (i, j) => (entry(X, i, j) - entry(X, j, i)) / 2), identity(X.rows)],
  terms: [[0, 1, 1]],
});

/** X X^T - X^T X. With T = X X^T + X^T X its derivative is 2 X e_k e_k^T X^T + 2 X^T e_k e_k^T X - e_k e_k^T T - T e_k e_k^T. */
const commutes = (rank: number): Condition => {
  const squares = (X: Matrix, sign: 1 | -1): Matrix => {
    const [left, right] = [multiply(X, transpose(X)), multiply(transpose(X), X)];
    return { ...left, data: left.data.map((x, k) => x + sign * (right.data[k] ?? NaN)) };
  };
  return {
    of: (X) => ({ symmetric: squares(X, -1), size: frobenius(X) ** 2 }),
    kept: (values) => {
      const size = (k: number): number => Math.abs(values[k] ?? NaN);
      return Array.from(values.keys())
        .sort((a, b) => size(a) - size(b))
        .slice(0, values.length - 2 * rank);
    },
    zero: true,
    factors: (X) => [X, transpose(X), squares(X, 1), identity(X.rows)],
    terms: [
      [0, 0, 1],
      [1, 1, 1],
      [2, 3, -1],
    ],
  };
};

const scaledBy = (A: Matrix, logs: Float64Array): Matrix =>
  matrix(A.rows, A.cols, (i, j) => entry(A, i, j) * Math.exp((logs[j] ?? NaN) - (logs[i] ?? NaN)));

/**
 * Where a search starts, as log d: |A_ij| = d_i / d_j |X_ij|, with |X_ij| taken for a product x_i x_j, is linear in the logarithms. Of entries on
 * both sides of the diagonal their ratio remains; a triangle of rank 1 is met exactly.
 */
function start(A: Matrix): Float64Array {
  const n = A.rows;
  const least = rounding * frobenius(A);
  const known: (readonly [i: number, j: number, log: number])[] = [];
  A.data.forEach((a, k) => {
    const [i, j] = [Math.floor(k / n), k % n];
    if (i !== j && Math.abs(a) > least) known.push([i, j, Math.log(Math.abs(a))]);
  });
  const mean = known.reduce((sum, [, , log]) => sum + log, 0) / Math.max(1, known.length);
  // A little of I: what no entry tells stays 0.
  const normal = matrix(2 * n, 2 * n, (i, j) => (i === j ? 1e-9 : 0));
  const right = matrix(2 * n, 1, () => 0);
  for (const [i, j, log] of known) {
    const row = [[i, 1] as const, [j, -1] as const, [n + i, 1] as const, [n + j, 1] as const];
    for (const [p, u] of row) {
      right.data[p] = (right.data[p] ?? 0) + u * (log - mean);
      for (const [q, v] of row) normal.data[p * 2 * n + q] = (normal.data[p * 2 * n + q] ?? 0) + u * v;
    }
  }
  return solve(normal, right)?.data.slice(0, n) ?? new Float64Array(n);
}

/** A point of a search: what its condition leaves, relative to X, and the directions that it has to hold on. */
interface Point {
  readonly logs: Float64Array;
  readonly X: Matrix;
  readonly error: number;
  /** Of the kept eigenvalues what is to vanish, and their vectors as rows. */
  readonly values: Float64Array;
  readonly vectors: Matrix;
}

function pointAt(A: Matrix, logs: Float64Array, { of, kept, zero }: Condition): Point {
  const X = scaledBy(A, logs);
  const { symmetric, size } = of(X);
  const { values: all, vectors } = symmetricEigen(symmetric);
  const which = kept(all);
  const mean = zero ? 0 : which.reduce((sum, k) => sum + (all[k] ?? NaN), 0) / which.length;
  const values = Float64Array.from(which, (k) => (all[k] ?? NaN) - mean);
  const rows = matrix(which.length, A.rows, (m, i) => entry(vectors, i, which[m] ?? -1));
  return { logs, X, error: Math.hypot(...values) / size, values, vectors: rows };
}

/** The normal equations of a step: V^T (S + sum_k step_k dS/d(log d_k)) V = c I in the least squares. */
function stepEquations(
  { X, values, vectors }: Point,
  { factors, terms, zero }: Condition,
): { readonly left: Matrix; readonly right: Matrix } {
  const n = X.rows;
  const made = factors(X);
  const columns = made.length * n;
  const projected = made.map((f) => multiply(vectors, f));
  const F = matrix(vectors.rows, columns, (m, k) => entry(projected[Math.floor(k / n)] ?? X, m, k % n));
  const products = multiply(transpose(F), F);
  const at = (a: number, k: number, b: number, l: number): number => products.data[(a * n + k) * columns + b * n + l] ?? NaN;
  /** What step k does to c. */
  const shift = Float64Array.from({ length: n }, (_, k) => (zero ? 0 : terms.reduce((sum, [a, b, w]) => sum + 2 * w * at(a, k, b, k), 0)));
  const left = matrix(n, n, (k, l) => {
    let sum = -((shift[k] ?? 0) * (shift[l] ?? 0)) / values.length;
    for (const [a, b, w] of terms)
      for (const [c, d, v] of terms) sum += 2 * w * v * (at(a, k, c, l) * at(b, k, d, l) + at(a, k, d, l) * at(b, k, c, l));
    return sum;
  });
  const right = matrix(n, 1, (k) => {
    let sum = 0;
    for (const [a, b, w] of terms)
      for (let m = 0; m < values.length; m++) sum -= 2 * w * (values[m] ?? 0) * entry(F, m, a * n + k) * entry(F, m, b * n + k);
    return sum;
  });
  return { left, right };
}

/** From a start to where a condition holds, or to where no step makes it hold better. */
function search(A: Matrix, from: Float64Array, condition: Condition): Point {
  const n = A.rows;
  let point = pointAt(A, from, condition);
  let damping = 1e-3;
  for (let steps = 0; steps < maxSteps; steps++) {
    const { left, right } = stepEquations(point, condition);
    const largest = left.data.reduce((most, x, k) => (k % (n + 1) === 0 && x > most ? x : most), 0);
    const before = point.error;
    for (let tries = 0; tries < 8 && point.error === before; tries++, damping *= 10) {
      // All of d times one factor changes nothing: that direction is held.
      const damped = matrix(
        n,
        n,
        (k, l) => entry(left, k, l) + (k === l ? damping * entry(left, k, k) + rounding * largest : 0) + (1e-3 * largest) / n,
      );
      const step = solve(damped, right)?.data;
      if (step === undefined || !step.every((x) => Math.abs(x) < longest)) continue;
      const next = pointAt(
        A,
        point.logs.map((x, k) => x + (step[k] ?? NaN)),
        condition,
      );
      if (!(next.error < before)) continue;
      point = next;
      damping *= 1e-2;
    }
    if (!(point.error < slow * before)) break;
  }
  return point;
}

/**
 * The scaling of A that leaves it normal plus rank `rank`, as far as one of the conditions tells.
 * Shapes: A `[N N]`.
 */
export function scalingOf(A: Matrix, rank: number): Scaling | undefined {
  if (2 * rank >= A.rows) return undefined;
  const alike = search(A, start(A), decaysAlike(rank));
  // Where decays differ the first search still comes near: its end is a better start than its own.
  const found = alike.error < converged ? alike : search(A, alike.logs, commutes(rank));
  if (!(found.error < converged)) return undefined;
  const mean = found.logs.reduce((sum, x) => sum + x, 0) / A.rows;
  const d = found.logs.map((x) => Math.exp(x - mean));
  return { d, scaled: found.X, condition: Math.max(...d) / Math.min(...d) };
}
