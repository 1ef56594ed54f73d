/** Sequences of several rates on the device: long enough for FFTs in every tier, in any chunks, and what `run` refuses. */
import { expect, test } from "vitest";
import { evaluatePlan } from "../../src/codegen/plan-source.ts";
import { compileGraph, type Compiled } from "../../src/compile.ts";
import { add, conv, hippoLegs, layerNorm, linear, mean, model, ofWidth, pack, s4, s4d, sequence, unpack } from "../../src/dsl/index.ts";
import type { Constants } from "../../src/ir/graph.ts";
import { interpret } from "../../src/ir/interpret.ts";
import type { Mode, Plan } from "../../src/runtime/plan.ts";
import { numbers } from "../kernels/program.ts";
import { type AnyModel, errorOf, loadPlan, toInputs } from "../setup/execute.ts";
import { sharedDevice } from "../setup/shared-device.ts";
import { cutInputs, joinPieces } from "../setup/tensors.ts";

const tolerance = 1e-5;

/** Other state spaces in the lowest tier: coupled states, and coefficients of a past whose length they depend on. */
const lowest = {
  "normal plus low rank": model("dplr", { u: sequence(2) }, ({ u }) => {
    const low = s4(linear(pack(linear(pack(u, 2), { width: 4 }), 2), { width: 4 }), { state: 8 });
    return { y: unpack(unpack(linear(low, { width: 16 }), 2), 2) };
  }),
  "the whole past": model("memory", { u: sequence(2) }, ({ u }) => {
    const low = hippoLegs(linear(pack(u, 4), { width: 2 }), { state: 6 });
    return { y: unpack(linear(low, { width: 8 }), 4) };
  }),
};

/** Three tiers, the lowest at one step of six; a mean of the middle one beside. */
const tower = model("tower", { u: sequence(2) }, ({ u }) => {
  const middle = s4d(linear(pack(u, 3), { width: 4 }), { state: 8, name: "middle" });
  const low = conv(s4d(linear(pack(middle, 2), { width: 4 }), { state: 8, name: "low" }), { width: 3 });
  const up = add(middle, ofWidth(unpack(linear(low, { width: 8 }), 2), 4));
  const top = add(u, ofWidth(unpack(linear(layerNorm(up), { width: 6 }), 3), 2));
  return { y: s4d(top, { state: 8, name: "top" }), m: linear(mean(middle), { width: 3 }) };
});

/** A model, the tower where none is given, in one mode, for streams as well. */
async function load(mode: Mode, maxLength: number, { graph } = tower): Promise<{ readonly compiled: Compiled; readonly model: AnyModel }> {
  const compiled = await compileGraph(graph, new Map(), { maxLength, seed: 3 });
  const plan: Plan = { ...evaluatePlan(compiled.plan), chooseResume: () => mode };
  return { compiled, model: await loadPlan(plan, compiled.shards, { device: await sharedDevice() }) };
}

const given = (L: number): Constants => new Map([["u", numbers([2, L, 2], L)]]);

/** What a stream gives that is pushed pieces of these lengths. */
async function streamed({ compiled, model: loaded }: Awaited<ReturnType<typeof load>>, inputs: Constants, lengths: readonly number[]) {
  const { graph } = compiled.module;
  const stream = await loaded.stream({ batch: 2 });
  const pieces: Constants[] = [];
  let from = 0;
  for (const length of lengths) {
    const part = await stream.push(toInputs(compiled, cutInputs(graph, inputs, from, from + length)));
    pieces.push(new Map(Object.entries(part).map(([name, t]) => [name, { shape: t.dims, data: Float64Array.from(t.data) }])));
    from += length;
  }
  stream.destroy();
  return Object.fromEntries([...joinPieces(graph, pieces)].map(([name, t]) => [name, { data: Float32Array.from(t.data), dims: t.shape }]));
}

test.each(["convolution", "scan", "recurrence"] as const)("%s: long sequences, whole and in chunks", { timeout: 120_000 }, async (mode) => {
  const loaded = await load(mode, 1024);
  const inputs = given(660);
  const { graph, constants } = loaded.compiled.module;
  const expected = interpret(graph, constants, inputs).outputs;
  expect(errorOf(await loaded.model.run(toInputs(loaded.compiled, inputs), { mode }), expected)).toBeLessThan(tolerance);
  expect(errorOf(await streamed(loaded, inputs, [1, 7, 430, 222]), expected)).toBeLessThan(tolerance);
  loaded.model.destroy();
});

test.each(Object.entries(lowest))("%s at one step of four, in every mode", { timeout: 120_000 }, async (_, slow) => {
  const { compiled } = await load("recurrence", 512, slow);
  const { graph, constants } = compiled.module;
  const inputs = given(440);
  const expected = interpret(graph, constants, inputs).outputs;
  for (const mode of ["recurrence", ...Object.keys(compiled.plan.whole)] as Mode[]) {
    const loaded = await load(mode, 512, slow);
    expect(errorOf(await loaded.model.run(toInputs(compiled, inputs), { mode }), expected), mode).toBeLessThan(tolerance);
    expect(errorOf(await streamed(loaded, inputs, [3, 301, 136]), expected), `${mode}, in chunks`).toBeLessThan(tolerance);
    loaded.model.destroy();
  }
});

test("a stream of fewer steps than a block has outputs at every step; what is pooled is zero before the first block", async () => {
  const loaded = await load("convolution", 64);
  const inputs = given(2);
  const { graph, constants } = loaded.compiled.module;
  const expected = interpret(graph, constants, inputs).outputs;
  expect(errorOf(await streamed(loaded, inputs, [1, 1]), expected)).toBeLessThan(tolerance);
  loaded.model.destroy();
});

test("a whole sequence is whole blocks: another length is refused by the dim and its divisor", async () => {
  const loaded = await load("convolution", 64);
  expect(loaded.model.info.period).toBe(6);
  const run = loaded.model.run(toInputs(loaded.compiled, given(16)));
  await expect(run).rejects.toMatchObject({
    name: "InputError",
    input: "u",
    dim: "L",
    message: '"u": dim L is 16; it is to be a multiple of 6',
  });
  loaded.model.destroy();
});
