/** Finite responses of any number of taps: in every mode, whole and in any chunks, what the interpreter says. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { evaluatePlan } from "../../src/codegen/plan-source.ts";
import { compileGraph, type Compiled } from "../../src/compile.ts";
import { graphBuilder } from "../../src/ir/build.ts";
import type { Constant, Constants } from "../../src/ir/graph.ts";
import { interpret } from "../../src/ir/interpret.ts";
import type { Mode, Plan } from "../../src/runtime/plan.ts";
import { errorOf, loadPlan, toInputs } from "../setup/execute.ts";
import { random } from "../setup/random-graph.ts";
import { sharedDevice } from "../setup/shared-device.ts";
import { cutInputs, joinPieces } from "../setup/tensors.ts";

/** Float32 against float64, of the output's largest value. */
const tolerance = 1e-5;

interface FirCase {
  readonly B: number;
  readonly L: number;
  readonly H: number;
  readonly taps: number;
  /** Where the sequence is cut into pushes. */
  readonly cuts: readonly number[];
  readonly seed: number;
}

const tensor = (shape: readonly number[], uniform: () => number): Constant => ({
  shape,
  data: Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => Math.fround(2 * uniform() - 1)),
});

async function compiled({ B, L, H, taps, seed }: FirCase): Promise<{ readonly compiled: Compiled; readonly inputs: Constants }> {
  const uniform = random(seed);
  const g = graphBuilder("fir");
  const dims = [{ name: "B", size: "B" } as const, { name: "L", size: "L" } as const, { name: "H", size: H }];
  const x = g.input("x", { dtype: "f32", dims });
  const params = (["B", "C", "D"] as const).map((name) =>
    g.param(name, name === "D" ? [{ name: "H", size: H }] : dims.slice(2).concat({ name: "N", size: taps })),
  );
  const form = { stage: "family", family: "shift", discretization: "zoh", state: taps, options: {} } as const;
  const y = g.ssm(form, [x, ...params]);
  const first = (i: number): number => (i % taps === 0 ? 1 : i % taps === 1 ? 0.5 : 0);
  const constants = new Map([
    ["B", { shape: [H, taps], data: Float64Array.from({ length: H * taps }, (_, i) => first(i)) }],
    ["C", tensor([H, taps], uniform)],
    ["D", tensor([H], uniform)],
  ]);
  const inputs = new Map([["x", tensor([B, L, H], uniform)]]);
  return { compiled: await compileGraph(g.finish([{ name: "y", value: y }]), constants, { maxLength: 8192 }), inputs };
}

async function check(c: FirCase): Promise<void> {
  const { compiled: made, inputs } = await compiled(c);
  const { graph, constants } = made.module;
  const expected = interpret(graph, constants, inputs).outputs;
  let mode: Mode = "recurrence";
  const plan: Plan = { ...evaluatePlan(made.plan), chooseResume: () => mode };
  const model = await loadPlan(plan, made.shards, { device: await sharedDevice() });
  const places = [...new Set([0, ...c.cuts.map((cut) => cut % c.L), c.L])].toSorted((a, b) => a - b);
  // Modes differ in what runs state space models: of the parallel ones one is enough.
  for (mode of c.L > 600 ? (["convolution"] as const) : (["convolution", "recurrence"] as const)) {
    expect(errorOf(await model.run(toInputs(made, inputs), { mode }), expected), `whole, ${mode}`).toBeLessThan(tolerance);
    const stream = await model.stream({ batch: c.B });
    const pieces: Constants[] = [];
    for (const [i, from] of places.slice(0, -1).entries()) {
      const part = await stream.push(toInputs(made, cutInputs(graph, inputs, from, places[i + 1] ?? c.L)));
      pieces.push(new Map(Object.entries(part).map(([name, t]) => [name, { shape: t.dims, data: Float64Array.from(t.data) }])));
    }
    const joined = [...joinPieces(graph, pieces)].map(([name, t]) => [name, { data: Float32Array.from(t.data), dims: t.shape }] as const);
    expect(errorOf(Object.fromEntries(joined), expected), `in chunks at ${places.join()}, ${mode}`).toBeLessThan(tolerance);
  }
  model.destroy();
}

test("random finite responses, whole and in any chunks", { timeout: 300_000 }, () =>
  fc.assert(
    fc.asyncProperty(
      fc.record({
        B: fc.integer({ min: 1, max: 2 }),
        L: fc.integer({ min: 1, max: 500 }),
        H: fc.integer({ min: 1, max: 3 }),
        taps: fc.oneof(fc.integer({ min: 2, max: 64 }), fc.integer({ min: 65, max: 700 })),
        cuts: fc.array(fc.nat(1000), { maxLength: 3 }),
        seed: fc.nat(1e6),
      }),
      check,
    ),
    { numRuns: 20, seed: 20261123 },
  ),
);

test("a response longer than what fits workgroup memory, on a sequence that does not", { timeout: 120_000 }, async () => {
  await check({ B: 1, L: 5000, H: 2, taps: 3000, cuts: [10, 2500], seed: 4 });
});
