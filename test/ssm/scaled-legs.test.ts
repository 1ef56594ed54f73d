/** HiPPO-LegS as it varies in time: its definition, the golden numbers, and every way to run it on the device. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { sequence } from "../../src/dsl/index.ts";
import { evaluatePlan } from "../../src/codegen/plan-source.ts";
import { compileGraph, type Compiled } from "../../src/compile.ts";
import { graphBuilder } from "../../src/ir/build.ts";
import { arg, call, constant as num } from "../../src/ir/expr.ts";
import type { Constant, Graph, SsmForm } from "../../src/ir/graph.ts";
import { emptyState, type GraphState, interpret } from "../../src/ir/interpret.ts";
import { parseGraph } from "../../src/ir/parse.ts";
import { printGraph } from "../../src/ir/print.ts";
import { matrix, multiply } from "../../src/math/matrix.ts";
import { generalizedBilinear } from "../../src/ssm/discretizations/generalized-bilinear.ts";
import { goldenCases, relativeError } from "../math/golden.ts";
import { type AnyModel, asIfWide, errorOf, loadCompiled, loadPlan, rounded } from "../setup/execute.ts";
import { random } from "../setup/random-graph.ts";
import { sharedDevice } from "../setup/shared-device.ts";

interface Golden {
  readonly N: number;
  readonly alpha: number;
  readonly f: readonly number[];
  readonly c: readonly (readonly number[])[];
}

const tensor = (data: ArrayLike<number>, ...shape: number[]): Constant => ({ shape, data: Float64Array.from(data) });

/** x `[B L H]` to its coefficients; doubled by an epilogue where asked, so that one is fused. */
function legsGraph(H: number, state: number, alpha: number, doubled = false): Graph {
  const g = graphBuilder("memory");
  const x = g.input("x", sequence(H).type);
  const c = g.ssm({ stage: "scaled", state, alpha }, [x]);
  return g.finish([{ name: "c", value: doubled ? g.map(call("mul", num(2), arg(0)), [c]) : c }]);
}

function run(graph: Graph, x: Constant, state: GraphState = emptyState): { readonly c: Constant; readonly state: GraphState } {
  const { outputs, state: after } = interpret(graph, new Map(), new Map([["x", x]]), { state });
  return { c: outputs.get("c") ?? tensor([], 0), state: after };
}

/** By its definition: at sample k the rule of step 1/k, as dense matrices. */
function byDefinition(N: number, alpha: number, f: readonly number[]): number[] {
  const root = (n: number): number => Math.sqrt(2 * n + 1);
  const A = matrix(N, N, (n, k) => (n > k ? -root(n) * root(k) : n === k ? -(n + 1) : 0));
  const B = matrix(N, 1, root);
  const rule = generalizedBilinear(alpha);
  let x = matrix(N, 1, () => 0);
  return f.flatMap((u, i) => {
    const step = rule.dense(A, B, 1 / (i + 1));
    if (step === undefined) throw new Error("I - alpha A / k is never singular");
    const moved = multiply(step.abar, x);
    x = matrix(N, 1, (n) => (moved.data[n] ?? NaN) + (step.bbar.data[n] ?? NaN) * u);
    return [...x.data];
  });
}

const golden = goldenCases<Golden>("legs_scaled.json");

describe("scaled LegS in float64", () => {
  test.each(golden)("golden N=$N alpha=$alpha", ({ N, alpha, f, c }) => {
    expect(relativeError(run(legsGraph(1, N, alpha), tensor(f, 1, f.length, 1)).c.data, c.flat())).toBeLessThan(1e-12);
  });

  test("is the generalized bilinear rule of step 1/k, for any N, alpha and length", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 24 }),
        fc.constantFrom(0, 0.25, 0.5, 0.8, 1),
        fc.array(
          fc.integer({ min: -1000, max: 1000 }).map((n) => n / 1000),
          { minLength: 1, maxLength: 40 },
        ),
        (N, alpha, f) => {
          const got = run(legsGraph(1, N, alpha), tensor(f, 1, f.length, 1)).c.data;
          // A dense solve with a lower triangular matrix of entries up to 2N loses a few digits of the largest value.
          expect(relativeError(got, byDefinition(N, alpha, f))).toBeLessThan(1e-11);
        },
      ),
      { numRuns: 60, seed: 20261123 },
    );
  });

  test("reconstructs a polynomial of lower degree than N over its whole past", () => {
    const [N, L] = [4, 4000];
    const u = (tau: number): number => 0.3 - 2 * tau + 5 * tau * tau;
    const f = Array.from({ length: L }, (_, k) => u((k + 0.5) / L));
    const c = run(legsGraph(1, N, 0.5), tensor(f, 1, L, 1)).c.data.slice(-N);
    const wanted = [0, 1, 2, 3].map((n) => project(u, n));
    // The rule is of second order in the step, which near the end of the sequence is 1/L.
    expect(relativeError(c, wanted)).toBeLessThan(1e-3);
  });

  test("goes on from a state as if it had never stopped, and reads back as it prints", () => {
    const graph = legsGraph(2, 6, 0.5);
    const uniform = random(3);
    const data = Array.from({ length: 2 * 11 * 2 }, uniform);
    const whole = run(graph, tensor(data, 2, 11, 2));
    const part = (from: number, to: number): Constant =>
      tensor([...data.slice(2 * from, 2 * to), ...data.slice(22 + 2 * from, 22 + 2 * to)], 2, to - from, 2);
    const first = run(graph, part(0, 4));
    const second = run(graph, part(4, 11), first.state);
    expect([...second.state.nodes.values()]).toEqual([...whole.state.nodes.values()]);
    expect(second.c.data.slice(-12)).toEqual(whole.c.data.slice(-12));
    expect(printGraph(graph)).toContain("ssm scaled state=6 alpha=0.5 %0");
    expect(parseGraph(printGraph(graph))).toEqual(graph);
  });
});

/** The coefficient of sqrt(2n+1) P_n(2 tau - 1) of a function on [0, 1], by the midpoint rule. */
function project(u: (tau: number) => number, n: number): number {
  const legendre = [() => 1, (z: number) => z, (z: number) => (3 * z * z - 1) / 2, (z: number) => (5 * z ** 3 - 3 * z) / 2];
  const count = 4000;
  let sum = 0;
  for (let i = 0; i < count; i++)
    sum += (u((i + 0.5) / count) * Math.sqrt(2 * n + 1) * (legendre[n]?.((2 * i + 1) / count - 1) ?? NaN)) / count;
  return sum;
}

/** A stream fed with pieces of these lengths. */
async function streamed(loaded: AnyModel, x: Constant, pieces: readonly number[]): Promise<Float32Array> {
  const [B = 1, L = 0, H = 1] = x.shape;
  const stream = await loaded.stream({ batch: B });
  const outputs: Float32Array[] = [];
  let from = 0;
  for (const size of [...pieces, L].map((p) => Math.min(p, L - from))) {
    const to = Math.min(L, from + size);
    if (to === from) continue;
    const rows = Array.from({ length: B }, (_, b) => [...x.data.subarray((b * L + from) * H, (b * L + to) * H)]).flat();
    const { c } = await stream.push({ x: { data: Float32Array.from(rows), dims: [B, to - from, H] } });
    outputs.push(c?.data ?? new Float32Array());
    from = to;
  }
  stream.destroy();
  if (B === 1) return Float32Array.from(outputs.flatMap((o) => [...o]));
  return Float32Array.from(
    Array.from({ length: B }, (_, b) => outputs.flatMap((o) => [...o.subarray((b * o.length) / B, ((b + 1) * o.length) / B)])).flat(),
  );
}

const compiled = (graph: Graph): Promise<Compiled> => compileGraph(graph, new Map(), { maxLength: 4096 });
const given = (x: Constant): { readonly x: { readonly data: Float32Array<ArrayBuffer>; readonly dims: readonly number[] } } => ({
  x: { data: Float32Array.from(x.data), dims: x.shape },
});

describe("scaled LegS on the device", () => {
  test.each(golden)("golden N=$N alpha=$alpha in every mode, and in chunks", async ({ N, alpha, f, c }) => {
    const loaded = await loadCompiled(await compiled(legsGraph(1, N, alpha)));
    const x = tensor(f, 1, f.length, 1);
    expect(loaded.info.modes.toSorted()).toEqual(["recurrence", "scan"]);
    for (const mode of loaded.info.modes) {
      const { c: got } = await loaded.run(given(x), { mode });
      expect(relativeError(got?.data ?? [], c.flat()), mode).toBeLessThan(1e-5);
    }
    expect(relativeError(await streamed(loaded, x, [1, 1, 5, 2]), c.flat())).toBeLessThan(1e-5);
  });

  test("every mode and any chunking agree with the interpreter, for random sizes", { timeout: 240_000 }, async () => {
    let worst = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 64 }),
        fc.constantFrom(0.5, 0.75, 1),
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 1, max: 300 }),
        fc.array(fc.integer({ min: 1, max: 120 }), { maxLength: 4 }),
        fc.boolean(),
        fc.constantFrom(32, 256),
        async (N, alpha, B, H, L, pieces, doubled, W) => {
          const graph = legsGraph(H, N, alpha, doubled);
          const uniform = random(N + 64 * L);
          const inputs = rounded(
            new Map([
              [
                "x",
                tensor(
                  Array.from({ length: B * L * H }, () => 2 * uniform() - 1),
                  B,
                  L,
                  H,
                ),
              ],
            ]),
          );
          const x = inputs.get("x") ?? tensor([], 0);
          const { plan, shards } = await compiled(graph);
          const loaded = await loadPlan(asIfWide(evaluatePlan(plan), W), shards, { device: await sharedDevice() });
          const { outputs } = interpret(graph, new Map(), inputs);
          for (const mode of L > 40 ? (["scan"] as const) : (["scan", "recurrence"] as const))
            worst = Math.max(worst, errorOf(await loaded.run(given(x), { mode }), outputs));
          worst = Math.max(worst, relativeError(await streamed(loaded, x, pieces), outputs.get("c")?.data ?? []));
          loaded.destroy();
          expect(worst).toBeLessThan(1e-5);
        },
      ),
      { numRuns: 20, seed: 20261123 },
    );
    console.log(`largest error of scale: ${worst.toExponential(1)}`);
  });

  test("runs beside a time-invariant system, in the modes that one has", async () => {
    const g = graphBuilder("both");
    const dims = [
      { name: "B", size: "B" },
      { name: "L", size: "L" },
      { name: "H", size: 1 },
    ] as const;
    const x = g.input("x", { dtype: "f32", dims });
    const constants = new Map<string, Constant>();
    const param = (name: string, data: readonly number[], ...shape: number[]): number => {
      constants.set(name, tensor(data, ...shape));
      return g.param(
        name,
        shape.map((size, i) => ({ name: ["N", "N2"][i] ?? "", size })),
      );
    };
    const form: SsmForm = { stage: "family", family: "dense", discretization: "zoh", state: 2, options: { delta: 0.1 } };
    const A = param("A", [-1, 0.5, -2, -0.3], 2, 2);
    const y = g.ssm(form, [x, A, g.param("B", [{ name: "N", size: 2 }]), g.param("C", [{ name: "N", size: 2 }]), g.param("D", [])]);
    for (const [name, data] of [
      ["B", [1, 2]],
      ["C", [1, -1]],
    ] as const)
      constants.set(name, tensor(data, 2));
    constants.set("D", tensor([0.5]));
    const graph = g.finish([{ name: "c", value: g.ssm({ stage: "scaled", state: 5, alpha: 0.5 }, [y]) }]);
    const both = await compileGraph(graph, constants, { maxLength: 256 });
    const loaded = await loadCompiled(both);
    expect(loaded.info.modes).toContain("convolution");
    const inputs = rounded(new Map([["x", tensor(Array.from({ length: 50 }, random(5)), 1, 50, 1)]]));
    const { outputs } = interpret(both.module.graph, both.module.constants, inputs);
    for (const mode of loaded.info.modes)
      expect(errorOf(await loaded.run(given(inputs.get("x") ?? tensor([], 0)), { mode }), outputs), mode).toBeLessThan(1e-5);
  });
});
