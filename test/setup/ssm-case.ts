/** Random time-invariant systems, and the check that every mode of the device agrees with the float64 interpreter on them. */
import fc from "fast-check";
import { sequence } from "../../src/dsl/index.ts";
import { evaluatePlan } from "../../src/codegen/plan-source.ts";
import { compileGraph, type Compiled } from "../../src/compile.ts";
import { graphBuilder } from "../../src/ir/build.ts";
import type { Constant, Dim, Graph } from "../../src/ir/graph.ts";
import { type GraphState, interpret } from "../../src/ir/interpret.ts";
import { printGraph } from "../../src/ir/print.ts";
import type { Mode, Plan } from "../../src/runtime/plan.ts";
import { asIfWide, loadPlan } from "./execute.ts";
import { sharedDevice } from "./shared-device.ts";
import { random } from "./random-graph.ts";

/** What a random system is made from; prints and shrinks well. */
export interface SsmCase {
  readonly structure: "s4d" | "normal" | "dense" | "dplr";
  readonly discretization: "zoh" | "bilinear" | "euler";
  readonly B: number;
  readonly L: number;
  readonly H: number;
  /** Full state size. */
  readonly N: number;
  /** Outputs of each channel's system, of all but s4d. */
  readonly P: number;
  /** log10 of the step size. */
  readonly logDelta: number;
  readonly seed: number;
}

export const arbitraryCase = (maxL = 4096): fc.Arbitrary<SsmCase> =>
  fc.record({
    structure: fc.constantFrom("s4d", "s4d", "normal", "dense", "dplr", "dplr"),
    discretization: fc.constantFrom("zoh", "zoh", "bilinear", "euler"),
    B: fc.integer({ min: 1, max: 3 }),
    L: fc.oneof(
      { weight: 3, arbitrary: fc.integer({ min: 1, max: Math.min(64, maxL) }) },
      { weight: 4, arbitrary: fc.integer({ min: Math.min(65, maxL), max: Math.min(512, maxL) }) },
      { weight: 1, arbitrary: fc.integer({ min: Math.min(513, maxL), max: maxL }) },
    ),
    H: fc.integer({ min: 1, max: 4 }),
    N: fc.integer({ min: 1, max: 16 }).map((n) => 2 * n),
    P: fc.constantFrom(1, 1, 2, 3),
    logDelta: fc.integer({ min: -400, max: 0 }).map((n) => n / 100),
    seed: fc.nat(2 ** 31),
  });

const dims = (...sizes: readonly (readonly [string, number])[]): Dim[] => sizes.map(([name, size]) => ({ name, size }));

const filled = (shape: readonly number[], value: (i: number) => number): Constant => ({
  shape,
  data: Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => value(i)),
});

/** A real A of size N: stable, normal where asked. */
function denseMatrix(N: number, normal: boolean, uniform: () => number): Float64Array {
  const A = new Float64Array(N * N);
  for (let i = 0; i < N; i++) {
    A[i * N + i] = -0.5;
    for (let j = 0; j < i; j++) {
      const w = (2 * uniform() - 1) * 2;
      A[i * N + j] = w;
      A[j * N + i] = normal ? -w : -w - 0.2 * (uniform() - 0.5);
    }
  }
  for (let i = 0; i < N && !normal; i++) A[i * N + i] = -0.3 - 0.15 * N * uniform();
  return A;
}

/** The case's model: x -> ssm -> y, with its weights; forward Euler keeps to step sizes that leave it stable. */
export async function compileCase(c: SsmCase): Promise<Compiled> {
  const uniform = random(c.seed);
  const signed = (): number => 2 * uniform() - 1;
  const g = graphBuilder("case");
  const constants = new Map<string, Constant>();
  const param = (name: string, shape: readonly (readonly [string, number])[], value: (i: number) => number): number => {
    constants.set(
      name,
      filled(
        shape.map(([, s]) => s),
        value,
      ),
    );
    return g.param(name, dims(...shape));
  };
  const { H, N, P } = c;
  const x = g.input("x", sequence(H).type);
  const euler = c.discretization === "euler";
  if (c.structure === "s4d") {
    const half = N / 2;
    const frequency = euler ? 0.5 : 4 * half;
    const args = [
      param(
        "C",
        [
          ["H", H],
          ["N", half],
          ["c", 2],
        ],
        signed,
      ),
      param("log_dt", [["H", H]], () => Math.LN10 * Math.min(c.logDelta + 0.2 * signed(), euler ? -0.4 : 0)),
      param(
        "log_A_real",
        [
          ["H", H],
          ["N", half],
        ],
        () => Math.log(0.5) + signed(),
      ),
      param(
        "A_imag",
        [
          ["H", H],
          ["N", half],
        ],
        () => frequency * signed(),
      ),
      param("D", [["H", H]], signed),
    ];
    const y = g.ssm({ stage: "family", family: "s4d", discretization: c.discretization, state: N, options: {} }, [x, ...args]);
    return compileGraph(g.finish([{ name: "y", value: y }]), constants, { maxLength: Math.max(4096, c.L) });
  }
  if (c.structure === "dplr") return compileGraph(dplrGraph(g, x, c, signed, param), constants, { maxLength: Math.max(4096, c.L) });
  const A = denseMatrix(N, c.structure === "normal", uniform);
  const delta = euler ? Math.min(10 ** c.logDelta, 0.1 / N) : 10 ** c.logDelta;
  const args = [
    param(
      "A",
      [
        ["N", N],
        ["N2", N],
      ],
      (i) => A[i] ?? 0,
    ),
    param(
      "B",
      [
        ["N", N],
        ["M", 1],
      ],
      signed,
    ),
    param(
      "C",
      [
        ["P", P],
        ["N", N],
      ],
      signed,
    ),
    param(
      "D",
      [
        ["P", P],
        ["M", 1],
      ],
      signed,
    ),
    param("delta", [], () => delta),
  ];
  const form = { stage: "family", family: "dense", discretization: c.discretization, state: N, width: H * P, options: {} } as const;
  const y = g.ssm(form, [x, ...args]);
  return compileGraph(g.finish([{ name: "y", value: y }]), constants, { maxLength: Math.max(4096, c.L) });
}

type Declare = (name: string, shape: readonly (readonly [string, number])[], value: (i: number) => number) => number;

/** Stable normal parts with 0 to 3 ranks; sizes of P from nothing to what LegS has. */
function dplrGraph(g: ReturnType<typeof graphBuilder>, x: number, c: SsmCase, signed: () => number, param: Declare): Graph {
  const { H, N, P } = c;
  const half = N / 2;
  const rank = c.seed % 4;
  const euler = c.discretization === "euler";
  const size = euler ? 0.3 : 2 ** (2 * signed());
  const pole = (i: number): number => (i % 2 === 0 ? -0.5 * Math.exp(signed()) : (euler ? 0.3 : 4 * half) * signed());
  const state = [
    ["H", H],
    ["N", half],
  ] as const;
  const pairs = [...state, ["c", 2]] as const;
  const outputs = P === 1 ? [] : [["P", P] as const];
  const args = [
    param("A", pairs, pole),
    param(
      "P",
      [
        ["H", H],
        ["R", rank],
        ["N", half],
        ["c", 2],
      ],
      () => size * signed(),
    ),
    param("B", pairs, signed),
    param("C", [["H", H], ...outputs, ["N", half], ["c", 2]], signed),
    param("D", [["H", H], ...outputs], signed),
    param("delta", state, () => 10 ** Math.min(c.logDelta, euler ? -1 : 0)),
  ];
  const several = P === 1 ? {} : { outputs: P };
  const form = { stage: "continuous", structure: "dplr", discretization: c.discretization, state: half, pairs: true, ...several } as const;
  return g.finish([{ name: "y", value: g.ssm(form, [x, ...args]) }]);
}

/** The largest errors of one mode, of the output's scale. */
export interface ModeError {
  readonly mode: Mode;
  /** Whole, from the zero state. */
  readonly whole: number;
  /** Pushed in two parts from a random state: the second goes on from the state the first leaves. */
  readonly resumed: number;
}

/** Time steps `from .. to` of a `[B L H]` tensor. */
function timeSlice({ shape: [B = 0, L = 0, H = 0], data }: Constant, from: number, to: number): Constant {
  const parts = Array.from({ length: B }, (_, b) => data.subarray((b * L + from) * H, (b * L + to) * H));
  return filled([B, to - from, H], (i) => parts[Math.floor(i / ((to - from) * H))]?.[i % ((to - from) * H)] ?? NaN);
}

const given = (x: Constant): { readonly x: { readonly data: Float32Array<ArrayBuffer>; readonly dims: readonly number[] } } => ({
  x: { data: Float32Array.from(x.data), dims: x.shape },
});

/** The output's scale is its largest value over at least this many steps: one number, in which terms may cancel, is no scale. */
const leastSteps = 64;

/** Runs a case in every legal mode against the interpreter, as a device of `W` lanes does. */
export async function checkCase(c: SsmCase, W = 32): Promise<{ readonly errors: readonly ModeError[]; readonly text: string }> {
  const compiled = await compileCase(c);
  const { graph, constants } = compiled.module;
  const uniform = random(c.seed + 1);
  const longer = filled([c.B, Math.max(c.L, leastSteps), c.H], () => Math.fround(2 * uniform() - 1));
  const x = timeSlice(longer, 0, c.L);
  const fromZero = interpret(graph, constants, new Map([["x", x]]));
  const nearby = (s: Float64Array): Float64Array => {
    const spread = Math.max(...s.map(Math.abs));
    return s.map((v) => Math.fround(v + 0.5 * (2 * uniform() - 1) * spread));
  };
  const before = new Map([...fromZero.state.nodes].map(([id, s]) => [id, nearby(s)]));
  const outputOf = (state?: GraphState): Constant => {
    const y = interpret(graph, constants, new Map([["x", longer]]), state === undefined ? {} : { state }).outputs.get("y");
    if (y === undefined) throw new Error("the case has no output");
    return y;
  };
  const zero = outputOf();
  const expected = outputOf({ position: 7, nodes: before });
  const cut = Math.floor(uniform() * c.L);
  let resumeMode: Mode = "recurrence";
  const plan: Plan = { ...asIfWide(evaluatePlan(compiled.plan), W), chooseResume: () => resumeMode };
  const model = await loadPlan(plan, compiled.shards, { device: await sharedDevice() });
  const stream = await model.stream({ batch: c.B });
  const saved = await stream.save();
  const errors: ModeError[] = [];
  for (const mode of model.info.modes as readonly Mode[]) {
    resumeMode = mode;
    const whole = worstOf((await model.run(given(x), { mode })).y?.data, zero, 0, c.L);
    // A state in two floats has what is lost of it behind it: nothing yet.
    const states = Object.entries(saved.states).map(([name, { length }]) => {
      const state = new Float32Array(length);
      state.set(before.get(Number(name.replace("state", ""))) ?? []);
      return [name, state] as const;
    });
    await stream.restore({ ...saved, position: 7, states: Object.fromEntries(states) });
    let resumed = 0;
    for (const [from, to] of cut === 0
      ? [[0, c.L]]
      : [
          [0, cut],
          [cut, c.L],
        ]) {
      const { y } = await stream.push(given(timeSlice(x, from ?? 0, to ?? 0)));
      resumed = Math.max(resumed, worstOf(y?.data, expected, from ?? 0, to ?? 0));
    }
    errors.push({ mode, whole, resumed });
  }
  model.destroy();
  return { errors, text: printGraph(graph) };
}

/** The largest error of steps `from .. to`, of the expected output's scale; one that is no number is infinite. */
function worstOf(actual: ArrayLike<number> | undefined, expected: Constant, from: number, to: number): number {
  const scale = expected.data.reduce((largest, v) => Math.max(largest, Math.abs(v)), 0);
  const errors = timeSlice(expected, from, to).data.map((e, i) => Math.abs((actual?.[i] ?? NaN) - e) / scale);
  return errors.reduce((a, b) => (Number.isNaN(b) ? Infinity : Math.max(a, b)), 0);
}
