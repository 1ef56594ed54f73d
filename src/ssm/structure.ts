/**
 * Finds structure in a dense system instead of being told: diagonal and normal state matrices become poles, normal plus low
 * rank becomes DPLR, and so does what only a diagonal scaling of the states hides. What is found is exact, or it is refused with
 * the reason. The forms are in `forms.ts`; how each is found is in `src/math/`.
 */
import { CompileError, type Loc } from "../ir/error.ts";
import { complex, complexArray, scale } from "../math/complex.ts";
import { matrixOf } from "../math/matrix.ts";
import type { Discretization } from "./discretization.ts";
import { anyLowRankForm, cheapLowRankForm, cheapRank, exactForm, type Form, type Group, similarForm, type Stored } from "./forms.ts";
import type { ContinuousSystem, DenseSystem } from "./system.ts";

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

/** A pole that decays, is driven by nothing and read by nothing, where groups have different numbers of states. */
const idle: Stored = { A: complex(-1), P: [], B: complex(0), C: [] };

/**
 * Channel h of the result is that of the input, with every output of a DPLR system; a diagonal one has a channel for each output, those of input
 * channel h from h P on.
 */
function assemble(system: DenseSystem, inputs: number, forms: readonly Form[], structure: "diagonal" | "dplr"): ContinuousSystem {
  const states = Math.max(...forms.map((f) => f.states.length));
  const P = system.outputs;
  const each = structure === "diagonal" ? P : 1;
  const channels = inputs * each;
  const group = (h: number): number => (system.groups === 1 ? 0 : Math.floor(h / each));
  const at = (h: number, n: number): Stored => forms[group(h)]?.states[n] ?? idle;
  const of = (key: "A" | "B"): Float64Array => complexArray(channels * states, (i) => at(Math.floor(i / states), i % states)[key]);
  const shared = {
    channels,
    states,
    A: of("A"),
    B: of("B"),
    C: complexArray(inputs * P * states, (i) => {
      const row = Math.floor(i / states);
      return at(Math.floor((row * each) / P), i % states).C[row % P] ?? complex(0);
    }),
    D: Float64Array.from({ length: inputs * P }, (_, i) => system.D[group(Math.floor((i * each) / P)) * P + (i % P)] ?? NaN),
    delta: Float64Array.from({ length: channels * states }, (_, i) => system.delta[group(Math.floor(i / states))] ?? NaN),
  };
  if (structure === "diagonal") return { structure, pairs: forms.some((f) => f.pairs), ...shared };
  const rank = Math.max(1, ...forms.flatMap((f) => f.states.map((s) => s.P.length)));
  const lowRank = complexArray(channels * rank * states, (i) => {
    const h = Math.floor(i / (rank * states));
    return at(h, i % states).P[Math.floor(i / states) % rank] ?? complex(0);
  });
  return { structure, rank, P: lowRank, ...shared };
}

/** The same form of every group's system, or why one has none. */
function everyForm<F extends Form>(system: DenseSystem, form: (group: Group) => F | string): readonly F[] | string {
  const { states: n, outputs } = system;
  const forms: F[] = [];
  let A = matrixOf(n, n, system.A.slice(0, n * n));
  for (let g = 0; g < system.groups; g++) {
    const own = system.A.slice(g * n * n, (g + 1) * n * n);
    if (!own.every((x, i) => x === A.data[i])) A = matrixOf(n, n, own);
    const made = form({
      name: "A",
      A,
      B: system.B.slice(g * n, (g + 1) * n),
      C: Array.from({ length: outputs }, (_, p) => system.C.slice((g * outputs + p) * n, (g * outputs + p + 1) * n)),
    });
    if (typeof made === "string") return made;
    forms.push(made);
  }
  return forms;
}

/** Groups may differ in whether their poles come in pairs; where one's do, a real pole of the others counts twice too. */
function alikePairs(forms: readonly Form[]): readonly Form[] {
  if (!forms.some((f) => f.pairs)) return forms;
  return forms.map((f) => (f.pairs ? f : { ...f, states: f.states.map((s) => ({ ...s, C: s.C.map((c) => scale(c, 0.5)) })) }));
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
  const exact = everyForm(system, exactForm);
  if (typeof exact !== "string") return made(system, channels, exact, "diagonal");
  if (choice === "diagonal") {
    const similar = everyForm(system, similarForm);
    if (typeof similar === "string")
      throw refused(request, "diagonal", `${exact}, and ${similar}`, "let A stay dense or, with bilinear, be dplr");
    return made(system, channels, similar, "diagonal");
  }
  if (cheapRank(system.states) < 1) return { system, note: `${exact}, stays dense` };
  const lowRank = everyForm(system, cheapLowRankForm);
  if (typeof lowRank === "string") return { system, note: `${exact}; ${lowRank}; stays dense` };
  if (rule.alpha !== undefined) return made(system, channels, lowRank, "dplr");
  const [found = ""] = lowRank.map((f) => f.note.split(";", 1)[0]);
  return { system, note: `${exact} but ${found}, which ${rule.name} does not keep and bilinear would; stays dense` };
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
  const forms = everyForm(system, anyLowRankForm);
  if (typeof forms === "string") throw refused(request, "dplr", forms, "let A stay dense");
  return made(system, channels, forms, "dplr");
}

const refused = ({ name, loc }: StructureRequest, form: string, reason: string, fix: string): CompileError =>
  new CompileError({ code: "structure-refused", message: `A of ${name} is not made ${form}: ${reason}`, fix, loc });
