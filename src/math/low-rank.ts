/**
 * A real matrix as normal plus low rank in Hurwitz form, A = M - P P^T with M normal: found from A alone, in whatever
 * orthogonal basis it is given. Two cases. Where all of M decays alike, the symmetric part of A is c I - P P^T and its
 * eigenvalues show it. Otherwise M is diagonal in the basis of the skew part of A, which is M's, and P is what explains the
 * rest of the symmetric part off the diagonal. Nothing is assumed: the residual of the rebuilt matrix decides.
 */
import { complex, type Complex, conj, mul } from "./complex.ts";
import { applyLeft, reflector } from "./hessenberg.ts";
import { entry, frobenius, type Matrix, matrix, multiply, transpose } from "./matrix.ts";
import { normalEigen } from "./normal.ts";
import { type Mode, orthogonalise, skewModes } from "./skew.ts";
import { symmetricEigen } from "./symmetric.ts";

/** A = M - sum_r P_r P_r^T. Shapes: each row of P `[N]`. */
export interface NormalPlusLowRank {
  /** Of M, in orthonormal vectors; one of each conjugate pair. */
  readonly modes: readonly Mode[];
  readonly P: readonly Float64Array[];
  /** ||M - P P^T - A|| / ||A|| in the Frobenius norm. */
  readonly residual: number;
}

/** Rounding of entries of A, relative to ||A||: smaller ones are no structure. */
const rounding = 1e-13;
/** Below these, relative to ||A||, what the symmetric part has off the diagonal is no row of P; the smaller where the larger fails. */
const rankTolerances = [1e-6, 1e-9, 1e-12];
/** A residual that is exact, and one that nothing need be done about. */
const exactResidual = 1e-12;
const goodResidual = 1e-14;
/** Frequencies closer than this, of the difference of their decays, are mixed by more than 1000 times rounding. */
const close = 1e-3;
/** Steps that polish P; each shrinks the error of its start. */
const polish = 40;

const symmetricPart = (A: Matrix): Matrix => matrix(A.rows, A.cols, (i, j) => (entry(A, i, j) + entry(A, j, i)) / 2);
const skewPart = (A: Matrix): Matrix => matrix(A.rows, A.cols, (i, j) => (entry(A, i, j) - entry(A, j, i)) / 2);
const column = (V: Matrix, j: number, scale: number): Float64Array =>
  Float64Array.from({ length: V.rows }, (_, i) => scale * entry(V, i, j));
const lowRankEntry = (P: readonly Float64Array[], i: number, j: number): number =>
  P.reduce((sum, p) => sum + (p[i] ?? NaN) * (p[j] ?? NaN), 0);

/** ||M - P P^T - A|| / ||A||, M rebuilt from its modes. */
export function rebuildResidual(A: Matrix, modes: readonly Mode[], P: readonly Float64Array[]): number {
  const n = A.rows;
  const rest = A.data.map((a, k) => a + lowRankEntry(P, Math.floor(k / n), k % n));
  for (const { lambda, vector, paired } of modes) {
    const weight = paired ? 2 : 1;
    for (let i = 0; i < n; i++) {
      const left = mul(lambda, vector[i] ?? complex(NaN));
      for (let j = 0; j < n; j++) {
        const product = mul(left, conj(vector[j] ?? complex(NaN))).re;
        rest[i * n + j] = (rest[i * n + j] ?? NaN) - weight * product;
      }
    }
  }
  const size = frobenius(A);
  return size === 0 ? 0 : frobenius({ ...A, data: rest }) / size;
}

/**
 * The form of A of the lowest rank, or a sentence that says why there is none with a rank up to `maxRank`.
 * Shapes: A `[N N]`.
 */
export function normalPlusLowRank(A: Matrix, maxRank: number): NormalPlusLowRank | string {
  const size = frobenius(A);
  const S = symmetricPart(A);
  const alike = shiftedLowRank(S, maxRank, rounding * size);
  if (typeof alike === "string") return alike;
  const half = skewModes(skewPart(A));
  if (alike !== undefined) {
    const modes = half.map((m): Mode => ({ ...m, lambda: complex(alike.shift, m.lambda.im) }));
    return { modes, P: alike.P, residual: rebuildResidual(A, modes, alike.P) };
  }
  let best: NormalPlusLowRank | string = "";
  for (const tolerance of rankTolerances) {
    const found = inSkewBasis(S, half, maxRank, tolerance * size);
    if (typeof found === "string") {
      best = best === "" ? found : best;
      continue;
    }
    const refined = refine(A, S, half, found);
    if (typeof best === "string" || refined.residual < best.residual) best = refined;
    if (best.residual <= exactResidual) break;
  }
  return best;
}

/**
 * Vectors of close frequencies are mixed by rounding, and what the symmetric part has between them is then not P's alone. With
 * the decays at hand it is known which: P is found again without them, and the normal part by itself.
 */
function refine(A: Matrix, S: Matrix, half: readonly Mode[], start: Omit<NormalPlusLowRank, "residual">): NormalPlusLowRank {
  let best: NormalPlusLowRank = { ...start, residual: rebuildResidual(A, start.modes, start.P) };
  if (best.residual <= goodResidual) return best;
  const W = realBasis(half);
  const T = multiply(transpose(W), multiply(S, W));
  const paired = half.filter((m) => m.paired).length;
  const mode = (i: number): Complex => start.modes[i < 2 * paired ? Math.floor(i / 2) : i - paired]?.lambda ?? complex(NaN);
  const mixed = (i: number, j: number): boolean => Math.abs(mode(i).im - mode(j).im) < close * Math.abs(mode(i).re - mode(j).re);
  const inBasis = start.P.map((p) => multiply(transpose(W), { rows: p.length, cols: 1, data: p }).data);
  const P = polished(T, inBasis, (i, j) => i !== j && !(i >= 2 * paired && j >= 2 * paired) && !mixed(i, j)).map((p) => toBasis(W, p));
  const { modes } = normalEigen({ ...A, data: A.data.map((a, k) => a + lowRankEntry(P, Math.floor(k / A.rows), k % A.rows)) });
  const residual = rebuildResidual(A, modes, P);
  if (residual < best.residual) best = { modes, P, residual };
  return best;
}

/** S = c I - P P^T: all eigenvalues but few agree, and those lie below. */
function shiftedLowRank(
  S: Matrix,
  maxRank: number,
  tolerance: number,
): { readonly shift: number; readonly P: readonly Float64Array[] } | string | undefined {
  const { values, vectors } = symmetricEigen(S);
  const median = values[Math.floor(S.rows / 2)] ?? NaN;
  const alike = values.filter((v) => Math.abs(v - median) <= tolerance);
  if (S.rows - alike.length > maxRank) return undefined;
  const shift = alike.reduce((sum, v) => sum + v, 0) / alike.length;
  const above = values.filter((v) => v > median + tolerance).length;
  if (above > 0)
    return `its low-rank part is indefinite: ${above} of ${S.rows - alike.length} eigenvalues of its symmetric part lie above the others, where a Hurwitz form has none`;
  const below = Array.from(values.keys()).filter((k) => (values[k] ?? NaN) < median - tolerance);
  return { shift, P: below.map((k) => column(vectors, k, Math.sqrt(shift - (values[k] ?? NaN)))) };
}

/** The orthonormal real basis of the modes: of each pair two columns, then the real ones. */
function realBasis(half: readonly Mode[]): Matrix {
  const columns = half.flatMap(({ vector, paired }) =>
    paired ? [vector.map((z) => Math.SQRT2 * z.re), vector.map((z) => Math.SQRT2 * z.im)] : [vector.map((z) => z.re)],
  );
  return matrix(columns.length, columns.length, (i, j) => columns[j]?.[i] ?? NaN);
}

/**
 * With the symmetric part of A in the basis of its skew part, T = D - P P^T: D diagonal, the same on both of a pair, any
 * symmetric matrix on the real modes. So all of P P^T is known but its diagonal and that block.
 */
function inSkewBasis(S: Matrix, half: readonly Mode[], maxRank: number, tolerance: number): Omit<NormalPlusLowRank, "residual"> | string {
  const W = realBasis(half);
  const n = S.rows;
  const T = multiply(transpose(W), multiply(S, W));
  const paired = half.filter((m) => m.paired).length;
  const isReal = (i: number): boolean => i >= 2 * paired;
  // Real modes and every second pair on one side, the other pairs on the other.
  const sides = Array.from({ length: n }, (_, i) => (isReal(i) || Math.floor(i / 2) % 2 === 1 ? 0 : 1));
  const [one, other] = [0, 1].map((side) => Array.from(sides.keys()).filter((i) => sides[i] === side));
  if (one === undefined || other === undefined || n - 2 * paired > n / 2)
    return `its skew part has rank ${2 * paired}, too low to tell a normal part from a low-rank one`;
  const range = rangeOf(T, one, other, maxRank, tolerance);
  if (range === undefined) return `no low-rank part of rank up to ${maxRank} explains its symmetric part`;
  const start = completeLowRank(T, one, other, range, isReal, tolerance);
  if (typeof start === "string") return start;
  return fromSkewBasis(
    W,
    T,
    half,
    polished(T, start, (i, j) => i !== j && !(isReal(i) && isReal(j))),
  );
}

/** D = T + P P^T as the decay of each mode, of the real ones by the eigenvectors of their block; all back in the basis of A. */
function fromSkewBasis(W: Matrix, T: Matrix, half: readonly Mode[], P: readonly Float64Array[]): Omit<NormalPlusLowRank, "residual"> {
  const n = T.rows;
  const paired = half.filter((m) => m.paired).length;
  const isReal = (i: number): boolean => i >= 2 * paired;
  const shift = (i: number, j: number): number => entry(T, i, j) + lowRankEntry(P, i, j);
  const pairs = half.slice(0, paired).map((m, k): Mode => {
    return { ...m, lambda: complex((shift(2 * k, 2 * k) + shift(2 * k + 1, 2 * k + 1)) / 2, m.lambda.im) };
  });
  const block = matrix(n - 2 * paired, n - 2 * paired, (i, j) => shift(2 * paired + i, 2 * paired + j));
  const { values, vectors } = symmetricEigen(block);
  const real = Array.from(values, (value, k): Mode => {
    const inBasis = Float64Array.from({ length: n }, (_, i) => (isReal(i) ? entry(vectors, i - 2 * paired, k) : 0));
    return { lambda: complex(value), vector: Array.from(toBasis(W, inBasis), (x) => complex(x)), paired: false };
  });
  return { modes: [...pairs, ...real], P: P.map((p) => toBasis(W, p)) };
}

const toBasis = (W: Matrix, x: Float64Array): Float64Array =>
  Float64Array.from({ length: W.rows }, (_, i) => x.reduce((sum, v, k) => sum + entry(W, i, k) * v, 0));

/** Orthonormal vectors over `one` that span the columns of -T[one, other]; undefined where they are more than `maxRank`. */
function rangeOf(
  T: Matrix,
  one: readonly number[],
  other: readonly number[],
  maxRank: number,
  tolerance: number,
): readonly Float64Array[] | undefined {
  const rests = other.map((j) => Float64Array.from(one, (i) => -entry(T, i, j)));
  const basis: Float64Array[] = [];
  for (;;) {
    const longest = rests.reduce((best, rest) => (Math.hypot(...rest) > Math.hypot(...best) ? rest : best), new Float64Array());
    if (Math.hypot(...longest) <= tolerance) return basis;
    if (basis.length === maxRank) return undefined;
    const next = longest.slice();
    const length = orthogonalise(next, basis);
    const unit = next.map((x) => x / length);
    for (const rest of rests) orthogonalise(rest, [unit]);
    basis.push(unit);
  }
}

/**
 * P over `one` is U X for some X; H = X X^T is the symmetric matrix whose U H U^T best has the known entries off the diagonal.
 * P over `other` follows from the block between both.
 */
function completeLowRank(
  T: Matrix,
  one: readonly number[],
  other: readonly number[],
  U: readonly Float64Array[],
  isReal: (i: number) => boolean,
  tolerance: number,
): readonly Float64Array[] | string {
  const rank = U.length;
  if (rank === 0) return [];
  const unknowns = Array.from({ length: rank }, (_, r) => Array.from({ length: r + 1 }, (__, s) => [r, s] as const)).flat();
  const product = (a: number, b: number, r: number, s: number): number => (U[r]?.[a] ?? NaN) * (U[s]?.[b] ?? NaN);
  const coefficient = (a: number, b: number, r: number, s: number): number =>
    r === s ? product(a, b, r, r) : product(a, b, r, s) + product(a, b, s, r);
  const rows: number[][] = [];
  one.forEach((i, a) => {
    one.slice(0, a).forEach((j, b) => {
      if (isReal(i) && isReal(j)) return;
      rows.push([...unknowns.map(([r, s]) => coefficient(a, b, r, s)), -entry(T, i, j)]);
      // Both of a pair decay alike, so that the difference of their diagonal entries is P's.
      if (i % 2 === 1 && j === i - 1 && !isReal(i))
        rows.push([...unknowns.map(([r, s]) => coefficient(a, a, r, s) - coefficient(b, b, r, s)), entry(T, j, j) - entry(T, i, i)]);
    });
  });
  const values = leastSquares(rows);
  if (values === undefined) return `its ${T.rows} states are too few to tell a low-rank part of rank ${rank} from a normal one`;
  const at = (r: number, s: number): number => values[unknowns.findIndex(([a, b]) => a === Math.max(r, s) && b === Math.min(r, s))] ?? NaN;
  const { values: squares, vectors } = symmetricEigen(matrix(rank, rank, at));
  if (squares.some((x) => !(x > 0))) {
    const worst = Math.min(...squares) < -tolerance;
    return worst ? "its low-rank part is indefinite, where a Hurwitz form has -P P^T" : "its low-rank part cannot be told from rounding";
  }
  return Array.from(squares, (square, k) => {
    const p = new Float64Array(T.rows);
    const own = one.map((_, a) => U.reduce((sum, u, r) => sum + (u[a] ?? NaN) * entry(vectors, r, k), 0));
    one.forEach((i, a) => (p[i] = Math.sqrt(square) * (own[a] ?? NaN)));
    // -T[one, other] = P_one P_other^T, and the columns of P_one are orthogonal of length sqrt(square).
    for (const j of other) p[j] = one.reduce((sum, i, a) => sum - entry(T, i, j) * (own[a] ?? NaN), 0) / Math.sqrt(square);
    return p;
  });
}

/** The P of the same rank nearest to the known entries of T, the others filled in, step by step. */
function polished(T: Matrix, start: readonly Float64Array[], known: (i: number, j: number) => boolean): readonly Float64Array[] {
  const n = T.rows;
  const isKnown = Array.from({ length: n * n }, (_, k) => known(Math.floor(k / n), k % n));
  const error = (P: readonly Float64Array[]): number =>
    frobenius(matrix(n, n, (i, j) => (isKnown[i * n + j] === true ? entry(T, i, j) + lowRankEntry(P, i, j) : 0)));
  let P = start;
  let least = error(P);
  for (let step = 0; step < polish && P.length > 0; step++) {
    const filled = matrix(n, n, (i, j) => (isKnown[i * n + j] === true ? -entry(T, i, j) : lowRankEntry(P, i, j)));
    const { values, vectors } = symmetricEigen(filled);
    const next = P.map((_, r) => column(vectors, n - 1 - r, Math.sqrt(Math.max(0, values[n - 1 - r] ?? NaN))));
    const now = error(next);
    if (!(now < 0.99 * least)) break;
    [P, least] = [next, now];
  }
  return P;
}

/** The x that minimises |M x - b| for rows (M_i, b_i); undefined where it is not unique. */
function leastSquares(rows: readonly (readonly number[])[]): readonly number[] | undefined {
  const unknowns = (rows[0]?.length ?? 1) - 1;
  if (rows.length < unknowns) return undefined;
  const Q = matrix(rows.length, unknowns + 1, (i, j) => rows[i]?.[j] ?? NaN);
  for (let k = 0; k < unknowns; k++) {
    const p = reflector(
      Float64Array.from({ length: rows.length - k }, (_, i) => entry(Q, k + i, k)),
      k,
    );
    if (p !== undefined) applyLeft(Q, p, k);
  }
  const x = Array.from({ length: unknowns }, () => 0);
  for (let k = unknowns - 1; k >= 0; k--) {
    const pivot = entry(Q, k, k);
    if (!(Math.abs(pivot) > 1e-10 * Math.abs(entry(Q, 0, 0)))) return undefined;
    const rest = x.reduce((sum, v, j) => (j > k ? sum - entry(Q, k, j) * v : sum), entry(Q, k, unknowns));
    x[k] = rest / pivot;
  }
  return x;
}
