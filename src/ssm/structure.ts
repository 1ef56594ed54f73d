/**
 * Finds structure in a dense system instead of being told: diagonal and normal state matrices become poles, normal plus low
 * rank becomes DPLR. What is found is exact, or it is refused with the reason. How each form is found is in `src/math/`.
 */
import { CompileError, type Loc } from "../ir/error.ts";
import { complex, complexArray, type Complex, scale } from "../math/complex.ts";
import { generalEigen } from "../math/eigen.ts";
import { type NormalPlusLowRank, normalPlusLowRank } from "../math/low-rank.ts";
import { addScaled, entry, frobenius, type Matrix, matrixOf, multiply, transpose } from "../math/matrix.ts";
import { normalEigen } from "../math/normal.ts";
import type { Mode } from "../math/skew.ts";
import type { Discretization } from "./discretization.ts";
import { canonicalPhase, pairReal, project } from "./half.ts";
import type { ContinuousSystem, DenseSystem } from "./system.ts";

/** The largest residual a form may have, relative to ||A||. */
export const residualLimit = 1e-12;
/** The largest cond(V) of a diagonal form: rounding in float32 grows by it, and 100 times 6e-8 is still below 1e-5. */
export const conditionLimit = 100;

/** The form a user asks for; `auto` is the cheapest exact one. */
export const structureChoices = ["auto", "dense", "diagonal", "dplr"] as const;
export type StructureChoice = (typeof structureChoices)[number];

export interface StructureRequest {
  readonly choice: StructureChoice;
  /** Of the layer, for messages. */
  readonly name: string;
  readonly rule: Discretization;
  readonly loc?: Loc | undefined;
}

/** A system in its final form, and one sentence on how exact it is or why it is no simpler one. */
export interface Structured {
  readonly system: ContinuousSystem;
  readonly note: string;
}

/** A stored state: its pole, and what drives, feeds back and reads it. */
interface Stored {
  readonly A: Complex;
  readonly P: readonly Complex[];
  readonly B: Complex;
  readonly C: Complex;
}

/** One group's system in some form: its states, and whether each stands for its conjugate too. */
interface Form {
  readonly states: readonly Stored[];
  readonly pairs: boolean;
  readonly note: string;
}

/**
 * The ranks for which a step of normal plus low rank, 4 N (1 + 2 R) flops, is cheaper than one of a dense matrix, 2 N^2.
 */
const cheapRank = (N: number): number => Math.ceil((N - 2) / 4) - 1;

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

/** A group's matrices. */
interface Group {
  readonly A: Matrix;
  readonly B: Float64Array;
  readonly C: Float64Array;
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
    C: scale(read(vector, C), pairs && !paired ? 0.5 : 1),
  }));
}

const hasPairs = (modes: readonly Mode[]): boolean => modes.some((m) => m.paired);

function diagonalForm(group: Group): Form {
  const { A } = group;
  const unit = (n: number): Complex[] => Array.from({ length: A.rows }, (_, i) => complex(i === n ? 1 : 0));
  const modes = Array.from({ length: A.rows }, (_, n): Mode => ({ lambda: complex(entry(A, n, n)), vector: unit(n), paired: false }));
  return { states: statesOf(modes, group, false), pairs: false, note: "A is diagonal" };
}

/** ||A A^T - A^T A|| / ||A||^2, far above rounding where A is not normal. */
function commutator(A: Matrix): number {
  const size = frobenius(A);
  const T = transpose(A);
  return size === 0 ? 0 : frobenius(addScaled(multiply(A, T), multiply(T, A), -1)) / size ** 2;
}

function normalForm(group: Group): Form | string {
  const distance = commutator(group.A);
  // A residual below the limit cannot have a commutator this large; most matrices need no eigenvectors to be refused.
  if (distance > 1e3 * residualLimit) return `A is not normal (||A A^T - A^T A|| = ${short(distance)} ||A||^2)`;
  const { modes, residual, defect } = normalOf(group.A);
  if (!(residual <= residualLimit))
    return `A is not normal (||A V - V Lambda|| = ${short(residual)} ||A||, at most ${residualLimit} is exact)`;
  const note = `A is normal; ||A V - V Lambda|| = ${short(residual)} ||A||, |V* V - I| = ${short(defect)}`;
  return { states: statesOf(modes, group, hasPairs(modes)), pairs: hasPairs(modes), note };
}

/** By eigenvectors that are not orthogonal: only where they are well conditioned, and only where asked for. */
function similarForm(group: Group): Form | string {
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

function lowRankForm(group: Group, find: (A: Matrix) => NormalPlusLowRank | string): (Form & { readonly rank: number }) | string {
  const found = find(group.A);
  if (typeof found === "string") return found;
  const { modes, P, residual } = found;
  if (!(residual <= residualLimit)) return `rebuilt as normal plus rank ${P.length} it is off by ${short(residual)} ||A||`;
  const states = halves(modes, group.B).map(({ lambda, vector }) => ({
    A: lambda,
    P: P.map((p) => project(vector, p)),
    B: project(vector, group.B),
    C: read(vector, group.C),
  }));
  return {
    states,
    pairs: true,
    rank: P.length,
    note: `A is normal plus rank ${P.length}; ||V (Lambda - P P*) V* - A|| = ${short(residual)} ||A||`,
  };
}

/** A pole that decays, is driven by nothing and read by nothing, where groups have different numbers of states. */
const idle: Stored = { A: complex(-1), P: [], B: complex(0), C: complex(0) };

function assemble(system: DenseSystem, channels: number, forms: readonly Form[], structure: "diagonal" | "dplr"): ContinuousSystem {
  const states = Math.max(...forms.map((f) => f.states.length));
  const group = (h: number): number => (system.groups === 1 ? 0 : h);
  const at = (h: number, n: number): Stored => forms[group(h)]?.states[n] ?? idle;
  const of = (key: "A" | "B" | "C"): Float64Array => complexArray(channels * states, (i) => at(Math.floor(i / states), i % states)[key]);
  const shared = {
    channels,
    states,
    A: of("A"),
    B: of("B"),
    C: of("C"),
    D: Float64Array.from({ length: channels }, (_, h) => system.D[group(h)] ?? NaN),
    delta: Float64Array.from({ length: channels * states }, (_, i) => system.delta[group(Math.floor(i / states))] ?? NaN),
  };
  if (structure === "diagonal") return { structure, pairs: forms.some((f) => f.pairs), ...shared };
  const rank = Math.max(1, ...forms.flatMap((f) => f.states.map((s) => s.P.length)));
  const P = complexArray(channels * rank * states, (i) => {
    const h = Math.floor(i / (rank * states));
    return at(h, i % states).P[Math.floor(i / states) % rank] ?? complex(0);
  });
  return { structure, rank, P, ...shared };
}

/** The same form of every group's system, or why one has none. */
function everyForm<F extends Form>(system: DenseSystem, form: (group: Group) => F | string): readonly F[] | string {
  const n = system.states;
  const forms: F[] = [];
  let A = matrixOf(n, n, system.A.slice(0, n * n));
  for (let g = 0; g < system.groups; g++) {
    const own = system.A.slice(g * n * n, (g + 1) * n * n);
    if (!own.every((x, i) => x === A.data[i])) A = matrixOf(n, n, own);
    const made = form({
      A,
      B: system.B.slice(g * n, (g + 1) * n),
      C: system.C.slice(g * n, (g + 1) * n),
    });
    if (typeof made === "string") return made;
    forms.push(made);
  }
  return forms;
}

/** Groups may differ in whether their poles come in pairs; where one's do, a real pole of the others counts twice too. */
function alikePairs(forms: readonly Form[]): readonly Form[] {
  if (!forms.some((f) => f.pairs)) return forms;
  return forms.map((f) => (f.pairs ? f : { ...f, states: f.states.map((s) => ({ ...s, C: scale(s.C, 0.5) })) }));
}

const describe = (system: ContinuousSystem): string =>
  `${system.states} states a channel, ${system.structure === "dplr" || (system.structure === "diagonal" && system.pairs) ? "one of each conjugate pair" : "real poles"}`;

function made(system: DenseSystem, channels: number, forms: readonly Form[], structure: "diagonal" | "dplr"): Structured {
  const result = assemble(system, channels, structure === "diagonal" ? alikePairs(forms) : forms, structure);
  const [first = "", ...rest] = [...new Set(forms.map((f) => f.note))];
  const [what, ...facts] = first.split("; ");
  const others = rest.length === 0 ? "" : ` (the first of ${forms.length} systems)`;
  return { system: result, note: [`${what}, ${describe(result)}`, ...facts].join("; ") + others };
}

/**
 * The same system in the form that was asked for, or the cheapest that is exact.
 * Throws: CompileError `structure-refused`.
 */
export function findStructure(system: DenseSystem, channels: number, request: StructureRequest): Structured {
  const { choice, rule } = request;
  if (choice === "dense") return { system, note: "A stays dense, as asked" };
  if (choice === "dplr") return askedLowRank(system, channels, request);
  const exact = everyForm(system, (g) => (isDiagonal(g.A) ? diagonalForm(g) : normalForm(g)));
  if (typeof exact !== "string") return made(system, channels, exact, "diagonal");
  if (choice === "diagonal") {
    const similar = everyForm(system, similarForm);
    if (typeof similar === "string")
      throw refused(request, "diagonal", `${exact}, and ${similar}`, "let A stay dense or, with bilinear, be dplr");
    return made(system, channels, similar, "diagonal");
  }
  if (cheapRank(system.states) < 1) return { system, note: `${exact}, stays dense` };
  const lowRank = everyForm(system, (g) => lowRankForm(g, lowRankOf));
  if (typeof lowRank === "string") return { system, note: `${exact}; ${lowRank}; stays dense` };
  if (rule.alpha !== undefined) return made(system, channels, lowRank, "dplr");
  const rank = Math.max(...lowRank.map((f) => f.rank));
  return { system, note: `${exact} but normal plus rank ${rank}, which ${rule.name} does not keep and bilinear would; stays dense` };
}

function askedLowRank(system: DenseSystem, channels: number, request: StructureRequest): Structured {
  const { rule } = request;
  if (rule.alpha === undefined)
    throw refused(
      request,
      "dplr",
      `the ${rule.name} discretization of normal plus low rank is a dense matrix`,
      "discretize it by bilinear, euler, backward-euler or gbt(alpha)",
    );
  const forms = everyForm(system, (g) => lowRankForm(g, anyLowRankOf));
  if (typeof forms === "string") throw refused(request, "dplr", forms, "let A stay dense");
  return made(system, channels, forms, "dplr");
}

const refused = ({ name, loc }: StructureRequest, form: string, reason: string, fix: string): CompileError =>
  new CompileError({ code: "structure-refused", message: `A of ${name} is not made ${form}: ${reason}`, fix, loc });
