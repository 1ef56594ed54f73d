/**
 * The forms that one group's system may have: diagonal, normal, similar to diagonal, normal plus low rank, and those behind a diagonal
 * scaling. A form is exact, or it is a sentence that says why there is none. Which is taken is decided in `structure.ts`.
 */
import { complex, type Complex, scale } from "../math/complex.ts";
import { generalEigen } from "../math/eigen.ts";
import { type NormalPlusLowRank, normalPlusLowRank } from "../math/low-rank.ts";
import { addScaled, entry, frobenius, type Matrix, multiply, transpose } from "../math/matrix.ts";
import { normalEigen } from "../math/normal.ts";
import { type Scaling, scalingOf } from "../math/scaling.ts";
import type { Mode } from "../math/skew.ts";
import { canonicalPhase, pairReal, project } from "./half.ts";

/** The largest residual a form may have, relative to ||A||. */
const residualLimit = 1e-12;
/** The largest condition of a change of basis: rounding in float32 grows by it, and 100 times 6e-8 is still below 1e-5. */
const conditionLimit = 100;

/** A stored state: its pole, and what drives, feeds back and reads it. */
export interface Stored {
  readonly A: Complex;
  readonly P: readonly Complex[];
  readonly B: Complex;
  /** Of each output. */
  readonly C: readonly Complex[];
}

/** One group's system in some form: its states, and whether each stands for its conjugate too. */
export interface Form {
  readonly states: readonly Stored[];
  readonly pairs: boolean;
  readonly note: string;
}

interface LowRankForm extends Form {
  readonly rank: number;
}

/**
 * The ranks for which a step of normal plus low rank, 4 N (1 + 2 R) flops, is cheaper than one of a dense matrix, 2 N^2.
 */
export const cheapRank = (N: number): number => Math.ceil((N - 2) / 4) - 1;
/** Those of them that are looked for behind a scaling, each by a search of its own. */
const scaledRank = 4;

/** What is found about a matrix is found once, where groups share it. */
function once<R>(find: (A: Matrix) => R): (A: Matrix) => R {
  const known = new WeakMap<Matrix, { readonly found: R }>();
  return (A) => {
    const entry = known.get(A) ?? { found: find(A) };
    known.set(A, entry);
    return entry.found;
  };
}
const normalOf = once(normalEigen);
const generalOf = once(generalEigen);
const lowRankOf = once((A) => normalPlusLowRank(A, cheapRank(A.rows)));
const anyLowRankOf = once((A) => normalPlusLowRank(A, Math.max(1, Math.floor(A.rows / 2))));

const scalingsOf = once((A) => {
  const known = new Map<number, Scaling | undefined>();
  return (rank: number): Scaling | undefined => {
    const found = known.has(rank) ? known.get(rank) : scalingOf(A, rank);
    known.set(rank, found);
    return found;
  };
});

/** A group's matrices. */
export interface Group {
  /** What notes call A. */
  readonly name: string;
  readonly A: Matrix;
  readonly B: Float64Array;
  /** Of each output. */
  readonly C: readonly Float64Array[];
}

const short = (x: number): string => x.toExponential(1);
const isDiagonal = (A: Matrix): boolean => A.data.every((x, i) => x === 0 || i % (A.cols + 1) === 0);
/** v^T x = sum_i v_i x_i of a real x. */
const read = (v: readonly Complex[], x: Float64Array): Complex => {
  const { re, im } = project(v, x);
  return complex(re, -im);
};

/** The states of orthonormal modes. With pairs every state counts twice: a real pole, which has no conjugate, gives half. */
function statesOf(modes: readonly Mode[], { B, C }: Group, pairs: boolean): readonly Stored[] {
  return modes.map(({ lambda, vector, paired }) => ({
    A: lambda,
    P: [],
    B: project(vector, B),
    C: C.map((row) => scale(read(vector, row), pairs && !paired ? 0.5 : 1)),
  }));
}

const hasPairs = (modes: readonly Mode[]): boolean => modes.some((m) => m.paired);

function diagonalForm(group: Group): Form {
  const { A, name } = group;
  const unit = (n: number): Complex[] => Array.from({ length: A.rows }, (_, i) => complex(i === n ? 1 : 0));
  const modes = Array.from({ length: A.rows }, (_, n): Mode => ({ lambda: complex(entry(A, n, n)), vector: unit(n), paired: false }));
  return { states: statesOf(modes, group, false), pairs: false, note: `${name} is diagonal` };
}

/** ||A A^T - A^T A|| / ||A||^2, far above rounding where A is not normal. */
function commutator(A: Matrix): number {
  const size = frobenius(A);
  const T = transpose(A);
  return size === 0 ? 0 : frobenius(addScaled(multiply(A, T), multiply(T, A), -1)) / size ** 2;
}

function normalForm(group: Group): Form | string {
  const { A, name } = group;
  const distance = commutator(A);
  // A residual below the limit cannot have a commutator this large; most matrices need no eigenvectors to be refused.
  if (distance > 1e3 * residualLimit) return `${name} is not normal (||A A^T - A^T A|| = ${short(distance)} ||A||^2)`;
  const { modes, residual, defect } = normalOf(A);
  if (!(residual <= residualLimit))
    return `${name} is not normal (||A V - V Lambda|| = ${short(residual)} ||A||, at most ${residualLimit} is exact)`;
  const note = `${name} is normal; ||${name} V - V Lambda|| = ${short(residual)} ||${name}||, |V* V - I| = ${short(defect)}`;
  return { states: statesOf(modes, group, hasPairs(modes)), pairs: hasPairs(modes), note };
}

/** By eigenvectors that are not orthogonal: only where they are well conditioned, and only where asked for. */
export function similarForm(group: Group): Form | string {
  const { modes, coordinates, residual, condition } = generalOf(group.A);
  const facts = `cond(V) = ${short(condition)}, ||V Lambda V^-1 - A|| = ${short(residual)} ||A||`;
  if (!(condition <= conditionLimit) || !(residual <= residualLimit))
    return `its eigenvectors would cost accuracy: ${facts}, where at most ${conditionLimit} and ${residualLimit} are safe`;
  const pairs = hasPairs(modes);
  const B = coordinates(group.B);
  const states = statesOf(modes, group, pairs).map((s, i) => ({ ...s, B: B[i] ?? complex(NaN) }));
  return { states, pairs, note: `A is diagonalised by eigenvectors that are not orthogonal; ${facts}` };
}

/** Real modes of one pole two by two as pairs, an odd one as a pair of itself: x / sqrt 2 and its conjugate, the same. */
function halves(modes: readonly Mode[], B: Float64Array): { readonly lambda: Complex; readonly vector: readonly Complex[] }[] {
  const stored = modes.filter((m) => m.paired).map(({ lambda, vector }) => ({ lambda, vector: canonicalPhase(vector, B) }));
  const real = modes.filter((m) => !m.paired);
  for (const pole of new Set(real.map((m) => m.lambda.re))) {
    const same = real.filter((m) => m.lambda.re === pole);
    const even = same.length - (same.length % 2);
    const vectors = pairReal(same.slice(0, even), B);
    const alone = same.slice(even).map((m) => m.vector.map((z) => scale(z, Math.SQRT1_2)));
    for (const vector of [...vectors, ...alone]) stored.push({ lambda: complex(pole), vector: canonicalPhase(vector, B) });
  }
  return stored;
}

function lowRankForm(group: Group, find: (A: Matrix) => NormalPlusLowRank | string): LowRankForm | string {
  const found = find(group.A);
  if (typeof found === "string") return found;
  const { modes, P, residual } = found;
  const { name } = group;
  if (!(residual <= residualLimit)) return `rebuilt as normal plus rank ${P.length} it is off by ${short(residual)} ||${name}||`;
  const states = halves(modes, group.B).map(({ lambda, vector }) => ({
    A: lambda,
    P: P.map((p) => project(vector, p)),
    B: project(vector, group.B),
    C: group.C.map((row) => read(vector, row)),
  }));
  return {
    states,
    pairs: true,
    rank: P.length,
    note: `${name} is normal plus rank ${P.length}; ||V (Lambda - P P*) V* - ${name}|| = ${short(residual)} ||${name}||`,
  };
}

/**
 * A form of D^-1 A D with D diagonal: x = D z, and z is what is stored. Where D is far from a multiple of I, states of very different sizes
 * are mixed, and rounding of the large ones hides the small ones.
 */
function scaledForm<F extends Form>({ B, C }: Group, { d, scaled, condition }: Scaling, form: (group: Group) => F | string): F | string {
  const by = (x: Float64Array, power: 1 | -1): Float64Array => x.map((v, i) => v * (d[i] ?? NaN) ** power);
  const found = form({ name: "D^-1 A D", A: scaled, B: by(B, -1), C: C.map((row) => by(row, 1)) });
  if (typeof found === "string") return `behind a diagonal scaling, ${found}`;
  const facts = `D is diagonal, cond(D) = ${short(condition)}`;
  if (condition <= conditionLimit) return { ...found, note: `${found.note}; ${facts}` };
  return `the scaling after which ${found.note.split(";", 1)[0]} would cost accuracy: ${facts}, where at most ${conditionLimit} is safe`;
}

/** A form of A as it is or, where it has none, behind the first diagonal scaling for one of the ranks. */
function orScaled<F extends Form>(group: Group, ranks: readonly number[], form: (group: Group) => F | string): F | string {
  const plain = form(group);
  if (typeof plain !== "string") return plain;
  let why = plain;
  for (const rank of ranks) {
    const scaling = scalingsOf(group.A)(rank);
    if (scaling === undefined) continue;
    const found = scaledForm(group, scaling, form);
    if (typeof found !== "string") return found;
    why = `${plain}; ${found}`;
  }
  return why;
}

/** Poles, by orthonormal vectors. */
export const exactForm = (group: Group): Form | string => (isDiagonal(group.A) ? diagonalForm(group) : orScaled(group, [0], normalForm));

function lowRankOrScaled(group: Group, find: (A: Matrix) => NormalPlusLowRank | string, highest: number): LowRankForm | string {
  const ranks = Array.from({ length: Math.min(scaledRank, highest) }, (_, r) => r + 1);
  return orScaled(group, ranks, (g) => lowRankForm(g, find));
}

/** Normal plus low rank, where that is cheaper than dense. */
export const cheapLowRankForm = (group: Group): LowRankForm | string => lowRankOrScaled(group, lowRankOf, cheapRank(group.A.rows));
/** Normal plus low rank, cheap or not. */
export const anyLowRankForm = (group: Group): LowRankForm | string => lowRankOrScaled(group, anyLowRankOf, scaledRank);
