/** Random selective models of every family, and the check that every mode of the device agrees with the float64 interpreter on them. */
import fc from "fast-check";
import { evaluatePlan } from "../../src/codegen/plan-source.ts";
import { compileGraph, type Compiled } from "../../src/compile.ts";
import type { Constant, Constants } from "../../src/ir/graph.ts";
import { interpret } from "../../src/ir/interpret.ts";
import { printGraph } from "../../src/ir/print.ts";
import type { Mode, Plan } from "../../src/runtime/plan.ts";
import { type Recurrence, type RecurrenceSizes, sizeOfDims } from "../../src/ssm/recurrence.ts";
import { recurrences } from "../../src/ssm/recurrences.ts";
import { relativeError } from "../math/golden.ts";
import { asIfWide, loadPlan, toInputs } from "../setup/execute.ts";
import { random } from "../setup/random-graph.ts";
import { sharedDevice } from "../setup/shared-device.ts";
import { cutInputs, joinPieces } from "../setup/tensors.ts";
import { recurrenceGraph } from "./build.ts";

/** What a random model is made from; prints and shrinks well. */
export interface SelectiveCase {
  readonly family: string;
  readonly B: number;
  readonly L: number;
  /** Groups, and heads of each. */
  readonly G: number;
  readonly perGroup: number;
  readonly N: number;
  readonly P: number;
  readonly R: number;
  /** log10 of the step size or of the decay. */
  readonly speed: number;
  readonly seed: number;
}

export const arbitrarySelective = (maxL = 300, names = recurrences.map((r) => r.name)): fc.Arbitrary<SelectiveCase> =>
  fc.record({
    family: fc.constantFrom(...names),
    B: fc.integer({ min: 1, max: 3 }),
    L: fc.oneof(fc.integer({ min: 1, max: Math.min(40, maxL) }), fc.integer({ min: 1, max: maxL })),
    G: fc.integer({ min: 1, max: 2 }),
    perGroup: fc.integer({ min: 1, max: 3 }),
    N: fc.oneof(fc.integer({ min: 1, max: 8 }), fc.constantFrom(16, 17, 24, 40)),
    P: fc.oneof(fc.integer({ min: 1, max: 6 }), fc.constantFrom(16, 40)),
    R: fc.integer({ min: 1, max: 3 }),
    speed: fc.integer({ min: -30, max: 5 }).map((n) => n / 10),
    seed: fc.nat(2 ** 31),
  });

/** The sizes of a case as its family has them. */
function sizesOf(family: Recurrence, { G, perGroup, N, P, R }: SelectiveCase): RecurrenceSizes {
  const letters = new Set(Object.values(family.operands).flatMap(({ dims }) => dims));
  const H = G * perGroup;
  const even = letters.has("S") ? 2 * Math.ceil(N / 2) : N;
  const heads = letters.has("G") ? G : letters.has("N") ? H : 1;
  return {
    H,
    N: letters.has("N") ? even : 1,
    P: letters.has("P") ? P : 1,
    G: heads,
    R: family.name === "mamba3-mimo" ? R : 1,
    S: Math.max(1, Math.floor(even / 4)),
  };
}

/** The case as a model with its weights and inputs. */
export async function compileSelective(c: SelectiveCase): Promise<{ readonly compiled: Compiled; readonly inputs: Constants }> {
  const family = recurrences.find(({ name }) => name === c.family) ?? fail(c.family);
  const sizes = sizesOf(family, c);
  const uniform = random(c.seed);
  const signed = (): number => 2 * uniform() - 1;
  const fast = 10 ** c.speed;
  const valueOf = (operand: string): (() => number) => {
    switch (family.operands[operand]?.domain) {
      case "positive":
        return () => fast * (0.1 + uniform());
      case "negative":
        return () => -fast * (0.05 + uniform());
      case "unit":
        return uniform;
      case undefined:
        return operand === "A_log" ? () => Math.log(0.1 + 2 * uniform()) : () => signed() / (operand === "kappa" ? Math.sqrt(sizes.N) : 1);
    }
  };
  const filled = (shape: readonly number[], value: () => number): Constant => ({
    shape,
    data: Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => Math.fround(value())),
  });
  const without = Object.entries(family.operands).flatMap(([name, { optional }]) => (optional === true && c.seed % 2 === 1 ? [name] : []));
  const { graph, constants } = recurrenceGraph(family, sizes, { without });
  const values = new Map<string, Constant>();
  const weights = new Map(constants);
  for (const [name, { dims, param }] of Object.entries(family.operands)) {
    if (without.includes(name)) continue;
    const size = sizeOfDims(dims, sizes);
    if (param === true) weights.set(name, filled([size], valueOf(name)));
    else values.set(name, filled([c.B, c.L, size], valueOf(name)));
  }
  return { compiled: await compileGraph(graph, weights, { maxLength: 4096 }), inputs: values };
}

const fail = (name: string): never => {
  throw new Error(`no family ${name}`);
};

/** The largest errors of one mode, of the scale of the output and of the states. */
export interface SelectiveError {
  readonly mode: string;
  readonly whole: number;
  readonly pieces: number;
  readonly states: number;
}

const views: Readonly<Record<string, (plan: Plan) => Plan>> = { "": (plan) => plan, " on a GPU": (plan) => asIfWide(plan, 256) };

/**
 * Runs a case in every legal mode, as this device and as a GPU, against the interpreter; pieces start from a random state. Of `only` one
 * mode and one device where it is given.
 */
export async function checkSelective(
  c: SelectiveCase,
  only?: string,
): Promise<{ readonly errors: readonly SelectiveError[]; readonly text: string }> {
  const { compiled, inputs } = await compileSelective(c);
  const { graph, constants } = compiled.module;
  const uniform = random(c.seed + 1);
  const fromZero = interpret(graph, constants, inputs);
  const before = new Map(
    [...fromZero.state.nodes].map(([id, s]) => {
      const node = graph.nodes[id];
      const plain = node?.op === "ssm" || node?.op === "conv";
      return [id, s.map((v) => Math.fround(plain ? v * (0.5 + uniform()) : v))] as const;
    }),
  );
  const expected = interpret(graph, constants, inputs, { state: { position: 7, nodes: before } });
  const errors: SelectiveError[] = [];
  for (const [name, view] of Object.entries(views)) {
    let resume: Mode = "recurrence";
    const plan: Plan = { ...view(evaluatePlan(compiled.plan)), chooseResume: () => resume };
    const model = await loadPlan(plan, compiled.shards, { device: await sharedDevice() });
    const stream = await model.stream({ batch: c.B });
    const start = await stream.save();
    const states = Object.fromEntries([...before].map(([id, s]) => [`state${id}`, Float32Array.from(s)]));
    for (const mode of model.info.modes as readonly Mode[]) {
      if (only !== undefined && only !== `${mode}${name}`) continue;
      const whole = relativeError((await model.run(toInputs(compiled, inputs), { mode }))["y"]?.data ?? [], dataOf(fromZero.outputs));
      resume = mode;
      await stream.restore({ ...start, position: 7, states });
      const cut = Math.floor(uniform() * c.L);
      const found: Constants[] = [];
      for (const [from, to] of cut === 0 ? [[0, c.L] as const] : [[0, cut] as const, [cut, c.L] as const]) {
        const { y } = await stream.push(toInputs(compiled, cutInputs(graph, inputs, from, to)));
        found.push(new Map([["y", { shape: y?.dims ?? [], data: Float64Array.from(y?.data ?? []) }]]));
      }
      const pieces = relativeError(dataOf(joinPieces(graph, found)), dataOf(expected.outputs));
      const after = (await stream.save()).states;
      const stateErrors = [...expected.state.nodes].map(([id, state]) => {
        const node = graph.nodes[id];
        const found = after[`state${id}`] ?? [];
        return node?.op === "cumulate" && node.kind === "turn" ? angleError(found, state) : relativeError(found, state);
      });
      errors.push({ mode: `${mode}${name}`, whole, pieces, states: Math.max(0, ...stateErrors) });
    }
    model.destroy();
  }
  return { errors, text: printGraph(graph) };
}

/** The largest difference of two lists of angles, of pi: -pi and pi are one. */
const angleError = (got: ArrayLike<number>, want: Float64Array): number =>
  want.reduce((worst, angle, i) => {
    const apart = (got[i] ?? NaN) - angle;
    const error = Math.abs(apart - 2 * Math.PI * Math.round(apart / (2 * Math.PI))) / Math.PI;
    return Number.isNaN(error) ? Infinity : Math.max(worst, error);
  }, 0);

const dataOf = (outputs: Constants): Float64Array => outputs.get("y")?.data ?? new Float64Array();
