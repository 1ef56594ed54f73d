/** Attention: against softmax as it is written down, on the simulator and on the device, whole, in any chunks and step by step. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { evaluatePlan } from "../../src/codegen/plan-source.ts";
import { compileGraph, type Compiled } from "../../src/compile.ts";
import { sequence } from "../../src/dsl/index.ts";
import { graphBuilder } from "../../src/ir/build.ts";
import { arg, call } from "../../src/ir/expr.ts";
import type { Constant, Constants, Graph, Rope } from "../../src/ir/graph.ts";
import { interpret } from "../../src/ir/interpret.ts";
import { parseGraph } from "../../src/ir/parse.ts";
import { printGraph } from "../../src/ir/print.ts";
import { InputError } from "../../src/runtime/errors.ts";
import type { Mode, Plan } from "../../src/runtime/plan.ts";
import { type Entry, SimulatedModel } from "../kernels/program.ts";
import { asIfWide, errorOf, loadCompiled, loadPlan, toInputs } from "../setup/execute.ts";
import { random } from "../setup/random-graph.ts";
import { sharedDevice } from "../setup/shared-device.ts";
import { cutInputs, joinPieces, largestError } from "../setup/tensors.ts";

/** Float32 against float64, of the output's largest value: sums of a few hundred weighted values. */
const tolerance = 1e-5;

interface Case {
  readonly B: number;
  readonly L: number;
  readonly kvHeads: number;
  /** Heads of q to one of k. */
  readonly shared: number;
  readonly width: number;
  readonly window: number | undefined;
  readonly rope: Rope | undefined;
  readonly gated: boolean;
  readonly seed: number;
}

interface Made {
  readonly graph: Graph;
  readonly inputs: Map<string, Constant>;
}

function make(c: Case): Made {
  const uniform = random(c.seed);
  const g = graphBuilder("attend");
  const [outer, inner] = [c.shared * c.kvHeads * c.width, c.kvHeads * c.width];
  const inputs = new Map<string, Constant>();
  const input = (name: string, H: number): number => {
    const data = Float64Array.from({ length: c.B * c.L * H }, () => Math.fround(4 * uniform() - 2));
    inputs.set(name, { shape: [c.B, c.L, H], data });
    return g.input(name, sequence(H).type);
  };
  const [q, k, v] = [input("q", outer), input("k", inner), input("v", inner)];
  const form = { heads: c.shared * c.kvHeads, kvHeads: c.kvHeads, scale: c.width ** -0.5, window: c.window, rope: c.rope };
  const y = g.attention([q, k, v], form);
  const gate = call("mul", arg(0), call("sigmoid", arg(1)));
  return { graph: g.finish([{ name: "y", value: c.gated ? g.map(gate, [y, q]) : y }]), inputs };
}

/** The softmax of every row of scores over a matrix of all pairs of steps. */
function byDefinition(c: Case, inputs: Constants): Float64Array {
  const { B, L, kvHeads, shared, width: D, window = Infinity, rope } = c;
  const of = (name: string): Float64Array => inputs.get(name)?.data ?? new Float64Array();
  /** Channel `i` of a head at step t, as one part of the complex number that the rotation multiplies. */
  const placed = (x: Float64Array, from: number, t: number): number[] => {
    const head = Array.from(x.subarray(from, from + D));
    if (rope === undefined) return head;
    const result = [...head];
    for (let i = 0; i < rope.dims / 2; i++) {
      const pair = rope.interleaved ? [2 * i, 2 * i + 1] : [i, i + rope.dims / 2];
      const [a = 0, b = 0] = pair;
      const theta = t / rope.base ** ((2 * i) / rope.dims);
      const length = Math.hypot(head[a] ?? 0, head[b] ?? 0);
      const angle = Math.atan2(head[b] ?? 0, head[a] ?? 0) + theta;
      [result[a], result[b]] = [length * Math.cos(angle), length * Math.sin(angle)];
    }
    return result;
  };
  const y = new Float64Array(B * L * shared * kvHeads * D);
  for (let b = 0; b < B; b++)
    for (let h = 0; h < shared * kvHeads; h++) {
      const g = Math.floor(h / shared);
      const keys = Array.from({ length: L }, (_, s) => placed(of("k"), ((b * L + s) * kvHeads + g) * D, s));
      for (let t = 0; t < L; t++) {
        const to = ((b * L + t) * shared * kvHeads + h) * D;
        const query = placed(of("q"), to, t);
        const weights = keys.map((key, s) =>
          s > t || t - s >= window ? 0 : Math.exp(key.reduce((sum, x, i) => sum + x * (query[i] ?? 0), 0) / Math.sqrt(D)),
        );
        const total = weights.reduce((sum, w) => sum + w, 0);
        for (let i = 0; i < D; i++) {
          const sum = weights.reduce((all, w, s) => all + w * (of("v")[((b * L + s) * kvHeads + g) * D + i] ?? 0), 0) / total;
          y[to + i] = c.gated ? sum / (1 + Math.exp(-(of("q")[to + i] ?? 0))) : sum;
        }
      }
    }
  return y;
}

const arbitraryCase = (most: { readonly L: number; readonly width: number }): fc.Arbitrary<Case> =>
  fc
    .record({
      B: fc.integer({ min: 1, max: 2 }),
      L: fc.integer({ min: 1, max: most.L }),
      kvHeads: fc.integer({ min: 1, max: 2 }),
      shared: fc.integer({ min: 1, max: 3 }),
      width: fc.integer({ min: 1, max: most.width }),
      window: fc.option(fc.integer({ min: 1, max: 40 }), { nil: undefined }),
      rope: fc.option(fc.record({ pairs: fc.integer({ min: 1, max: 20 }), base: fc.constantFrom(10, 10_000), interleaved: fc.boolean() }), {
        nil: undefined,
      }),
      gated: fc.boolean(),
      seed: fc.nat(1e6),
    })
    .map(({ rope, ...rest }) => {
      const dims = 2 * Math.min(rope?.pairs ?? 0, Math.floor(rest.width / 2));
      return { ...rest, rope: rope === undefined || dims === 0 ? undefined : { dims, base: rope.base, interleaved: rope.interleaved } };
    });

const compiledOf = ({ graph }: Made, maxLength = 600): Promise<Compiled> => compileGraph(graph, new Map(), { maxLength });

/** Pieces of a sequence pushed one after the other. */
async function streamed(
  model: Awaited<ReturnType<typeof loadPlan>>,
  compiled: Compiled,
  { graph, inputs }: Made,
  places: readonly number[],
) {
  const [B = 1] = inputs.get("q")?.shape ?? [];
  const stream = await model.stream({ batch: B });
  const pieces: Constants[] = [];
  for (const [i, to] of places.slice(1).entries()) {
    const part = await stream.push(toInputs(compiled, cutInputs(graph, inputs, places[i] ?? 0, to)));
    pieces.push(new Map(Object.entries(part).map(([name, t]) => [name, { shape: t.dims, data: Float64Array.from(t.data) }])));
  }
  stream.destroy();
  const joined = joinPieces(graph, pieces);
  return Object.fromEntries([...joined].map(([name, t]) => [name, { data: Float32Array.from(t.data), dims: t.shape }]));
}

describe("the meaning of attention", () => {
  test("is the softmax of all scores, in any chunks", () => {
    fc.assert(
      fc.property(arbitraryCase({ L: 20, width: 8 }), fc.nat(19), (c, cut) => {
        const { graph, inputs } = make(c);
        const expected = byDefinition(c, inputs);
        expect(largestError(interpret(graph, new Map(), inputs).outputs.get("y")?.data ?? [], expected)).toBeLessThan(1e-12);
        const at = cut % c.L;
        if (at === 0) return;
        const first = interpret(graph, new Map(), cutInputs(graph, inputs, 0, at));
        const second = interpret(graph, new Map(), cutInputs(graph, inputs, at, c.L), { state: first.state });
        const joined = joinPieces(graph, [first.outputs, second.outputs]).get("y")?.data ?? [];
        expect(largestError(joined, expected)).toBeLessThan(1e-12);
      }),
      { numRuns: 100, seed: 20261123 },
    );
  });

  test("prints and parses", () => {
    const { graph } = make({
      B: 1,
      L: 1,
      kvHeads: 1,
      shared: 2,
      width: 4,
      window: 3,
      rope: { dims: 2, base: 10, interleaved: true },
      gated: false,
      seed: 1,
    });
    expect(printGraph(graph)).toContain("attention heads=2 kvHeads=1 scale=0.5 window=3 rope=2 base=10 interleaved %0 %1 %2");
    expect(parseGraph(printGraph(graph))).toEqual(graph);
  });
});

describe.each([32, 256])("attention where %i lanes are worth having", (W) => {
  test("keeps its accesses in bounds and apart, on the simulator", { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(arbitraryCase({ L: 70, width: 36 }), async (c) => {
        const made = make(c);
        const expected = interpret(made.graph, new Map(), made.inputs).outputs;
        const compiled = await compiledOf(made, 128);
        const [mode = "scan"] = new SimulatedModel(compiled).modes;
        const entries: Entry[] = [{ kind: "whole", mode }, { kind: "resume", mode }, { kind: "step" }];
        for (const entry of entries) {
          const { outputs, ran } = new SimulatedModel(compiled, { W }).run(entry, made.inputs, c.B, c.L);
          expect(largestError(outputs.get("y")?.data ?? [], expected.get("y")?.data ?? []), JSON.stringify(entry)).toBeLessThan(tolerance);
          expect([...new Set(ran.flatMap((r) => [...r.counts.violations]))]).toEqual([]);
        }
      }),
      { numRuns: W > 64 ? 3 : 6, seed: 20261123 },
    );
  });

  test("gives the interpreter's numbers on the device, whole, in any chunks and step by step", { timeout: 240_000 }, async () => {
    const device = await sharedDevice();
    let worst = 0;
    await fc.assert(
      fc.asyncProperty(arbitraryCase({ L: 200, width: 40 }), fc.array(fc.nat(1000), { maxLength: 4 }), async (c, cuts) => {
        const made = make(c);
        const expected = interpret(made.graph, new Map(), made.inputs).outputs;
        const compiled = await compiledOf(made);
        let mode: Mode = "recurrence";
        const plan: Plan = { ...asIfWide(evaluatePlan(compiled.plan), W), chooseResume: () => mode };
        const model = await loadPlan(plan, compiled.shards, { device });
        const places = [...new Set([0, ...cuts.map((cut) => cut % c.L), c.L])].toSorted((a, b) => a - b);
        for (mode of (model.info.modes as Mode[]).filter((m) => m !== "recurrence" || c.L <= 100)) {
          const ways = {
            whole: errorOf(await model.run(toInputs(compiled, made.inputs), { mode }), expected),
            parts: errorOf(await streamed(model, compiled, made, places), expected),
          };
          worst = Math.max(worst, ways.whole, ways.parts);
          expect(Math.max(ways.whole, ways.parts), `${mode} at ${places.join()}: ${JSON.stringify(ways)}`).toBeLessThan(tolerance);
        }
        model.destroy();
      }),
      { numRuns: W > 64 ? 4 : 6, seed: 20261123 },
    );
    console.log(`largest error of scale, W = ${W}: ${worst.toExponential(1)}`);
  });
});

test.each([32, 256])(
  "what is not a number later, or behind a window, is in no output before, %i lanes",
  { timeout: 120_000 },
  async (W) => {
    const c: Case = { B: 1, L: 70, kvHeads: 1, shared: 1, width: 4, window: 9, rope: undefined, gated: false, seed: 5 };
    for (const window of [undefined, 9]) {
      const made = make({ ...c, window });
      for (const name of ["k", "v"]) made.inputs.get(name)?.data.set([Infinity, NaN, -Infinity, NaN], 40 * 4);
      const compiled = await compiledOf(made, 128);
      const model = await loadPlan(asIfWide(evaluatePlan(compiled.plan), W), compiled.shards, { device: await sharedDevice() });
      for (const mode of ["convolution", "recurrence"] as const) {
        const { y } = await model.run(toInputs(compiled, made.inputs), { mode });
        const wrong = Array.from({ length: c.L }, (_, t) => [...(y?.data.slice(4 * t, 4 * t + 4) ?? [])].some((x) => !Number.isFinite(x)));
        expect(wrong.map((bad, t) => (bad ? t : -1)).filter((t) => t >= 0)).toEqual(
          Array.from({ length: window ?? c.L - 40 }, (_, i) => 40 + i),
        );
      }
      model.destroy();
    }
  },
);

const plain: Case = { B: 1, L: 20, kvHeads: 1, shared: 2, width: 4, window: undefined, rope: undefined, gated: false, seed: 3 };

test("a stream ends with its context, and says so; one with a window does not", async () => {
  const made = make(plain);
  const compiled = await compiledOf(made, 12);
  const model = await loadCompiled(compiled, { device: await sharedDevice() });
  expect(model.info).toMatchObject({ maxLength: 12, context: 12 });
  const part = (from: number, to: number) => toInputs(compiled, cutInputs(made.graph, made.inputs, from, to));
  const stream = await model.stream();
  await stream.push(part(0, 10));
  const saved = await stream.save();
  await expect(stream.push(part(10, 13))).rejects.toThrow(/room for 2 of these 3 time steps: attention remembers at most 12/);
  await expect(stream.push(part(10, 13))).rejects.toThrow(InputError);
  const { y } = await stream.push(part(10, 12));
  await expect(stream.push(part(12, 13))).rejects.toThrow(InputError);
  await stream.restore(saved);
  expect((await stream.push(part(10, 12))).y?.data).toEqual(y?.data);
  await expect(model.stream({ from: { ...saved, position: 13 } })).rejects.toThrow(/end after 12/);

  const windowed = await loadCompiled(await compiledOf(make({ ...plain, window: 5 }), 12), { device: await sharedDevice() });
  expect(windowed.info.context).toBeUndefined();
  const endless = await windowed.stream();
  await endless.push(part(0, 20));
  expect(endless.position).toBe(20);
});
