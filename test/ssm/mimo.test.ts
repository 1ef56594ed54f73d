/** Systems of all channels: golden S5 and LRU layers in every form and on the device, random ones through the pass, their starts. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { lru, model, s5, sequence, type S5Options, type Seq, type Tensor } from "../../src/dsl/index.ts";
import { graphBuilder } from "../../src/ir/build.ts";
import type { Constant, Constants, Graph } from "../../src/ir/graph.ts";
import { interpret } from "../../src/ir/interpret.ts";
import { init } from "../../src/passes/init.ts";
import { structure } from "../../src/passes/structure.ts";
import { evaluateSystem } from "../../src/ssm/evaluate.ts";
import { nplr } from "../../src/ssm/nplr.ts";
import { random } from "../../src/math/random.ts";
import { goldenCases, relativeError, type GoldenComplex } from "../math/golden.ts";
import { expectMeaning, expectOnDevice, type Case } from "../models/golden.ts";

type Rows<T> = readonly (readonly T[])[];
const tensor = (data: Iterable<number>, ...shape: number[]): Constant => ({ shape, data: Float64Array.from(data) });
/** re and im side by side, row by row. */
const interleaved = ({ re, im }: GoldenComplex<Rows<number>>): number[] =>
  re.flatMap((row, i) => row.flatMap((x, j) => [x, im[i]?.[j] ?? NaN]));
const times = (rows: Rows<number>): Constant => tensor(rows.flat(), 1, rows.length, rows[0]?.length ?? 0);

interface GoldenS5 {
  disc: "zoh" | "bilinear";
  bidirectional: boolean;
  lambda: GoldenComplex;
  B: GoldenComplex<Rows<number>>;
  C: GoldenComplex<Rows<number>>;
  D: number[];
  log_step: number[];
  u: Rows<number>;
  y: Rows<number>;
}

function goldenS5(c: GoldenS5): Case {
  const [P, H] = [c.lambda.re.length, c.D.length];
  const { graph } = model("s5", { u: sequence(H) }, ({ u }) => ({ y: s5(u, { state: 2 * P, discretize: c.disc, name: "" }) }));
  const constants = new Map([
    ["Lambda_re", tensor(c.lambda.re, P)],
    ["Lambda_im", tensor(c.lambda.im, P)],
    ["B", tensor(interleaved(c.B), P, H, 2)],
    ["C", tensor(interleaved(c.C), H, P, 2)],
    ["D", tensor(c.D, H)],
    ["log_step", tensor(c.log_step, P, 1)],
  ]);
  return { graph, constants, inputs: new Map([["u", times(c.u)]]), outputs: new Map([["y", times(c.y)]]) };
}

interface GoldenLru {
  nu_log: number[];
  theta_log: number[];
  gamma_log: number[];
  B: GoldenComplex<Rows<number>>;
  C: GoldenComplex<Rows<number>>;
  D: number[];
  u: Rows<number>;
  y: Rows<number>;
}

function goldenLru(c: GoldenLru): Case {
  const [N, H] = [c.nu_log.length, c.D.length];
  const { graph } = model("lru", { u: sequence(H) }, ({ u }) => ({ y: lru(u, { state: N, name: "" }) }));
  const constants = new Map([
    ["nu_log", tensor(c.nu_log, N)],
    ["theta_log", tensor(c.theta_log, N)],
    ["gamma_log", tensor(c.gamma_log, N)],
    ["B_re", tensor(c.B.re.flat(), N, H)],
    ["B_im", tensor(c.B.im.flat(), N, H)],
    ["C_re", tensor(c.C.re.flat(), H, N)],
    ["C_im", tensor(c.C.im.flat(), H, N)],
    ["D", tensor(c.D, H)],
  ]);
  return { graph, constants, inputs: new Map([["u", times(c.u)]]), outputs: new Map([["y", times(c.y)]]) };
}

const cases: readonly (readonly [string, Case])[] = [
  ...goldenCases<GoldenS5>("s5.json")
    .filter((c) => !c.bidirectional)
    .map((c) => [`s5 ${c.disc}`, goldenS5(c)] as const),
  ...goldenCases<GoldenLru>("lru.json").map((c) => ["lru", goldenLru(c)] as const),
];

describe.each(cases)("golden %s", (_name, c) => {
  test("is the oracle's to 1e-12 of scale in float64, as a family and after each pass", () => expectMeaning(c, 1e-12));

  test("is within 1e-5 of scale on the device, in every mode", () => expectOnDevice(c, 1e-5, ["convolution", "recurrence", "scan"]));
});

/** A model of one layer with random weights, structured and not. */
function started(layer: (x: Tensor<Seq<number>>) => Tensor<Seq<number>>, H: number, seed: number): { before: Graph; constants: Constants } {
  const { graph } = model("m", { u: sequence(H) }, ({ u }) => ({ y: layer(u) }));
  const made = init.run({ graph, constants: new Map() }, { seed, note: () => undefined, warn: () => undefined });
  return { before: made.graph, constants: made.constants };
}

test("a random system means the same as a matmul, systems of one state, and a matmul, in one piece and in two", () => {
  const layers = {
    s5: (N: number, options: S5Options) => (x: Tensor<Seq<number>>) => s5(x, { state: 2 * N, ...options }),
    lru: (N: number) => (x: Tensor<Seq<number>>) => lru(x, { state: N, radius: [0.5, 0.99] }),
  };
  fc.assert(
    fc.property(
      fc.record({
        family: fc.constantFrom("s5" as const, "lru" as const),
        discretize: fc.constantFrom("zoh" as const, "bilinear" as const, "euler" as const),
        conjSym: fc.boolean(),
        H: fc.integer({ min: 1, max: 5 }),
        N: fc.integer({ min: 1, max: 6 }),
        L: fc.integer({ min: 1, max: 30 }),
        cut: fc.nat(29),
        seed: fc.nat(1e6),
      }),
      ({ family, discretize, conjSym, H, N, L, cut, seed }) => {
        const layer = family === "s5" ? layers.s5(N, { discretize, conjSym }) : layers.lru(N);
        const { before, constants } = started(layer, H, seed);
        const after = structure.run({ graph: before, constants }, { seed, note: () => undefined, warn: () => undefined });
        const { normal } = random(seed, "u");
        const u = Float64Array.from({ length: 2 * L * H }, normal);
        const input = tensor(u, 2, L, H);
        const whole = interpret(before, constants, new Map([["u", input]]), { systems: evaluateSystem });
        const parts = interpret(after.graph, after.constants, new Map([["u", input]]), { systems: evaluateSystem });
        const want = whole.outputs.get("y")?.data ?? new Float64Array();
        expect(relativeError(parts.outputs.get("y")?.data ?? [], want)).toBeLessThan(1e-12);
        const split = Math.min(cut, L);
        const steps = (from: number, to: number): Constants => {
          const rows = [0, 1].flatMap((b) => [...u.subarray((b * L + from) * H, (b * L + to) * H)]);
          return new Map([["u", tensor(rows, 2, to - from, H)]]);
        };
        const first = interpret(before, constants, steps(0, split), { systems: evaluateSystem });
        const second = interpret(before, constants, steps(split, L), { systems: evaluateSystem, state: first.state });
        expect([...second.state.nodes]).toEqual([...whole.state.nodes]);
      },
    ),
    { numRuns: 60, seed: 20261123 },
  );
});

test("without pairs each state counts once, and clipped poles decay", () => {
  const build = (options: Readonly<Record<string, boolean>>, re: number): number[] => {
    const b = graphBuilder("m");
    const dim = (name: string, size: number): { name: string; size: number } => ({ name, size });
    const x = b.input("u", { dtype: "f32", dims: [{ name: "B", size: "B" }, { name: "L", size: "L" }, dim("H", 1)] });
    const shapes = { Lambda_re: [1], Lambda_im: [1], B: [1, 1, 2], C: [1, 1, 2], D: [1], log_step: [1] };
    const params = Object.entries(shapes).map(([name, sizes]) =>
      b.param(
        name,
        sizes.map((size, i) => dim(`D${i}`, size)),
      ),
    );
    const y = b.ssm({ stage: "family", family: "s5", discretization: "euler", state: 2, options }, [x, ...params]);
    const values = { Lambda_re: [re], Lambda_im: [0], B: [3, 0], C: [0.5, 7], D: [10], log_step: [0] };
    const constants = new Map(Object.entries(values).map(([name, v], i) => [name, tensor(v, ...(Object.values(shapes)[i] ?? []))]));
    const { outputs } = interpret(b.finish([{ name: "y", value: y }]), constants, new Map([["u", tensor([1, 0], 1, 2, 1)]]), {
      systems: evaluateSystem,
    });
    return [...(outputs.get("y")?.data ?? [])];
  };
  expect(build({}, -0.5)).toEqual([13, 1.5]);
  expect(build({ conj_sym: false }, -0.5)).toEqual([11.5, 0.75]);
  expect(build({ skip: false }, -0.5)).toEqual([3, 1.5]);
  expect(build({ clip_eigs: true }, 1)).toEqual([13, 3 * (1 - 1e-4)]);
  expect(build({}, 1)).toEqual([13, 6]);
});

test("s5 starts from the poles of LegS with Im < 0, block by block, and B of a real matrix in their basis", () => {
  const { constants } = started((x) => s5(x, { state: 16, blocks: 2, name: "" }), 3, 1);
  const poles = nplr("legs", 8, 1).lambda.map((z) => z.im);
  expect(relativeError(constants.get("Lambda_im")?.data ?? [], [...poles, ...poles])).toBeLessThan(1e-12);
  expect(constants.get("Lambda_re")?.data.every((x) => x === -0.5)).toBe(true);
  expect(constants.get("B")?.shape).toEqual([8, 3, 2]);
  // Each row is a unit vector of the eigenbasis times a real matrix of variance 1/16.
  const { constants: large } = started((x) => s5(x, { state: 64, name: "" }), 40, 1);
  const B = large.get("B")?.data ?? new Float64Array();
  const C = large.get("C")?.data ?? new Float64Array();
  const power = (data: Float64Array): number => (2 * data.reduce((sum, x) => sum + x * x, 0)) / data.length;
  expect(Math.abs(power(B) * 64 - 1)).toBeLessThan(0.1);
  expect(Math.abs(power(C) * 64 - 2)).toBeLessThan(0.2);
});

test("lru starts on its ring, its gain that which keeps the variance of white noise", () => {
  const { constants } = started((x) => lru(x, { state: 50, radius: [0.4, 0.9], maxPhase: 0.3, name: "" }), 2, 1);
  const radius = [...(constants.get("nu_log")?.data ?? [])].map((x) => Math.exp(-Math.exp(x)));
  expect(Math.min(...radius)).toBeGreaterThan(0.4);
  expect(Math.max(...radius)).toBeLessThan(0.9);
  const gains = [...(constants.get("gamma_log")?.data ?? [])].map((x) => Math.exp(2 * x));
  expect(
    relativeError(
      gains,
      radius.map((r) => 1 - r * r),
    ),
  ).toBeLessThan(1e-12);
  expect(Math.max(...[...(constants.get("theta_log")?.data ?? [])].map(Math.exp))).toBeLessThan(0.3);
});
