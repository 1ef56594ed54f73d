import fc from "fast-check";
import { expect, test } from "vitest";
import { evaluatePlan } from "../../src/codegen/plan-source.ts";
import { compileGraph } from "../../src/compile.ts";
import { isCausal, type Constants } from "../../src/ir/graph.ts";
import { interpret } from "../../src/ir/interpret.ts";
import { InputError, StreamError } from "../../src/runtime/errors.ts";
import type { Mode, Plan } from "../../src/runtime/plan.ts";
import { errorOf, loadPlan, rounded, toInputs } from "../setup/execute.ts";
import { arbitraryModule, steps } from "../setup/random-graph.ts";
import { sharedDevice } from "../setup/shared-device.ts";
import { cutInputs, joinPieces } from "../setup/tensors.ts";

/** Float32 against float64 over a few layers, of each output's largest value: the goal of every mode. */
const tolerance = 2e-5;

const arbitraryCuts = fc.array(fc.nat(1000), { maxLength: 3 });

/** Where a sequence of `length` is cut, ends included. */
const cutsOf = (cuts: readonly number[], length: number): number[] =>
  [...new Set([0, ...cuts.map((c) => c % length), length])].toSorted((a, b) => a - b);

test("random graphs give in every mode, whole and in any chunks, what the unfused graph means", { timeout: 600_000 }, async () => {
  const device = await sharedDevice();
  await fc.assert(
    fc.asyncProperty(arbitraryModule({ maxL: 90, maxSteps: 7 }), arbitraryCuts, async (m, cuts) => {
      const { graph, constants } = m.module;
      const inputs = rounded(m.inputs);
      const expected = interpret(graph, constants, inputs).outputs;
      const compiled = await compileGraph(graph, constants, { maxLength: 128 });
      let mode: Mode = "recurrence";
      const plan: Plan = { ...evaluatePlan(compiled.plan), chooseResume: () => mode };
      const model = await loadPlan(plan, compiled.shards, { device });
      const places = cutsOf(cuts, m.L);
      for (mode of model.info.modes as Mode[]) {
        expect(errorOf(await model.run(toInputs(compiled, inputs), { mode }), expected), `whole, ${mode}`).toBeLessThan(tolerance);
        const stream = await model.stream({ batch: m.B });
        const pieces: Constants[] = [];
        for (const [i, from] of places.slice(0, -1).entries()) {
          const part = await stream.push(toInputs(compiled, cutInputs(graph, inputs, from, places[i + 1] ?? m.L)));
          pieces.push(new Map(Object.entries(part).map(([name, t]) => [name, { shape: t.dims, data: Float64Array.from(t.data) }])));
        }
        const joined = joinPieces(graph, pieces);
        const outputs = Object.fromEntries([...joined].map(([name, t]) => [name, { data: Float32Array.from(t.data), dims: t.shape }]));
        expect(errorOf(outputs, expected), `in chunks at ${places.join()}, ${mode}`).toBeLessThan(tolerance);
        stream.destroy();
      }
      model.destroy();
    }),
    { numRuns: 60, seed: 20261123 },
  );
});

test(
  "random graphs that read sequences backwards give in every mode what they mean, and have no streams",
  { timeout: 300_000 },
  async () => {
    const device = await sharedDevice();
    await fc.assert(
      fc.asyncProperty(arbitraryModule({ maxL: 90, maxSteps: 6, steps: ["reverse", "lowpass", ...steps] }), async (m) => {
        const { graph, constants } = m.module;
        const inputs = rounded(m.inputs);
        const expected = interpret(graph, constants, inputs).outputs;
        const compiled = await compileGraph(graph, constants, { maxLength: 128 });
        const model = await loadPlan(evaluatePlan(compiled.plan), compiled.shards, { device });
        for (const mode of model.info.modes)
          expect(errorOf(await model.run(toInputs(compiled, inputs), { mode }), expected), mode).toBeLessThan(tolerance);
        if (!isCausal(compiled.module.graph)) {
          expect(model.info.modes).not.toContain("recurrence");
          await expect(model.stream({ batch: m.B })).rejects.toThrow(StreamError);
          await expect(model.run(toInputs(compiled, inputs), { mode: "recurrence" })).rejects.toThrow(InputError);
        }
        model.destroy();
      }),
      { numRuns: 40, seed: 20261123 },
    );
  },
);

test("a saved, restored or forked stream goes on exactly as the one it came from", { timeout: 300_000 }, async () => {
  const device = await sharedDevice();
  await fc.assert(
    fc.asyncProperty(arbitraryModule({ maxL: 12, maxSteps: 6 }), fc.nat(1000), async (m, cut) => {
      const { graph, constants } = m.module;
      const inputs = rounded(m.inputs);
      const compiled = await compileGraph(graph, constants, { maxLength: 16 });
      const model = await loadPlan(evaluatePlan(compiled.plan), compiled.shards, { device });
      const at = cut % m.L;
      const first = await model.stream({ batch: m.B });
      if (at > 0) await first.push(toInputs(compiled, cutInputs(graph, inputs, 0, at)));
      const saved = structuredClone(await first.save());
      const twin = await first.fork();
      const rest = toInputs(compiled, cutInputs(graph, inputs, at, m.L));
      const want = await first.push(rest);
      expect(await twin.push(rest)).toEqual(want);
      expect(await (await model.stream({ from: saved })).push(rest)).toEqual(want);
      await first.restore(saved);
      expect(await first.push(rest)).toEqual(want);
      model.destroy();
    }),
    { numRuns: 25, seed: 20261123 },
  );
});
