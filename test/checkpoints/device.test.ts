/**
 * Golden checkpoints on the device: every mode, any cut of a stream, the states behind a prompt, and the tokens that follow it.
 * The bounds are those of the golden data for float32 on a CPU, which are stricter than those for WebGPU.
 */
import { describe, expect, test } from "vitest";
import { readCheckpoint } from "../../src/checkpoints/checkpoint.ts";
import { compileGraph } from "../../src/compile.ts";
import type { Constant } from "../../src/ir/graph.ts";
import type { TensorFile } from "../../src/weights/safetensors.ts";
import { relativeError } from "../math/golden.ts";
import { loadLanguage, collect, type TestLanguageModel } from "../setup/language.ts";
import { sharedDevice } from "../setup/shared-device.ts";
import { goldenFile, goldenModels, goldenPath, nameOf, prefillOf, tensorOf, type GoldenModel } from "./golden.ts";

const TOLERANCE = 2e-5;
const TOKENS = 32;

/** One naming of every item and variant; the values of all are the same. */
const cases = goldenModels.filter(
  ({ item, variant }, i) => goldenModels.findIndex((other) => other.item === item && other.variant === variant) === i,
);

async function load({ item, form, options }: GoldenModel): Promise<TestLanguageModel> {
  const { graph, constants, vocabulary } = await readCheckpoint(goldenPath(`${item}/${form}`), options);
  return loadLanguage(await compileGraph(graph, constants, { maxLength: 64, vocabulary }), { device: await sharedDevice() });
}

/** The ids of two sequences from one step up to another. */
function idsOf({ shape, data }: Constant, from: number, to: number): { readonly data: Int32Array; readonly dims: readonly number[] } {
  const length = shape[1] ?? 0;
  const row = (b: number): readonly number[] => [...data.subarray(b * length + from, b * length + to)];
  return { data: Int32Array.from([...row(0), ...row(1)]), dims: [2, to - from] };
}

/** The logits of two sequences from one step up to another. */
function logitsOf({ shape, data }: Constant, from: number, to: number): number[] {
  const [, length = 0, rows = 0] = shape;
  return [0, 1].flatMap((b) => [...data.subarray((b * length + from) * rows, (b * length + to) * rows)]);
}

/** States of two sequences in the order of the layers, by their numbers. */
const statesOf = (states: Readonly<Record<string, Float32Array>>): readonly Float32Array[] =>
  Object.entries(states)
    .sort(([a], [b]) => Number(a.replace(/\D/g, "")) - Number(b.replace(/\D/g, "")))
    .map(([, values]) => values);

/** The last axis of a golden state first, batch aside, without its first `skip` entries: [b, .., N] to [b, N, ..]. */
function lastFirst({ shape: [batch = 0, ...axes], data }: Constant, skip = 0): number[] {
  const last = axes.at(-1) ?? 0;
  const others = axes.reduce((a, b) => a * b, 1) / last;
  return Array.from({ length: batch }, (_, b) =>
    Array.from({ length: last - skip }, (_n, n) =>
      Array.from({ length: others }, (_o, o) => data[(b * others + o) * last + n + skip] ?? NaN),
    ),
  ).flat(2);
}

/** What a layer's states should be, in the order of its nodes; angles as their cosines. */
async function layerStates(file: TensorFile, prefix: string): Promise<readonly ArrayLike<number>[]> {
  const state = (name: string): Promise<Constant> => tensorOf(file, `${prefix}.${name}`);
  const ssm = lastFirst(await state("ssm"));
  if (file.entries.has(`${prefix}.conv`)) return [lastFirst(await state("conv"), 1), ssm];
  return [(await state("angle")).data.map(Math.cos), (await state("v")).data, (await state("k")).data, ssm];
}

async function expectStates(file: TensorFile, variant: string, layers: number, found: readonly Float32Array[]): Promise<void> {
  const each = found.length / layers;
  for (const layer of [0, layers - 1]) {
    const wanted = await layerStates(file, `${variant}state_prefill.layer${layer}`);
    const own = found.slice(layer * each, (layer + 1) * each);
    expect(own).toHaveLength(wanted.length);
    own.forEach((values, i) => {
      const comparable = each === 4 && i === 0 ? values.map(Math.cos) : values;
      expect.soft(relativeError(comparable, wanted[i] ?? []), `state ${i} of layer ${layer}`).toBeLessThan(TOLERANCE);
    });
  }
}

describe("a golden checkpoint on the device", () => {
  test.each(cases.map((golden) => [nameOf(golden), golden] as const))("%s", async (_, golden) => {
    const { item, variant = "", vocabulary } = golden;
    const model = await load(golden);
    const file = await goldenFile(`${item}/golden.safetensors`);
    const [ids, logits] = [await tensorOf(file, "input_ids"), await tensorOf(file, `${variant}logits`)];
    const [length = 0, prefill] = [ids.shape[1], prefillOf(item)];
    expect(model.info.modes).toEqual(expect.arrayContaining(["scan", "recurrence"]));
    for (const mode of model.info.modes) {
      const found = await model.run({ ids: idsOf(ids, 0, length) }, { mode });
      expect.soft(relativeError(found.logits.data, logits.data), mode).toBeLessThan(TOLERANCE);
    }
    const stream = await model.stream({ batch: 2 });
    const cuts = [0, prefill, prefill + 1, prefill + 3, length];
    for (const [i, to] of cuts.slice(1).entries()) {
      const from = cuts[i] ?? 0;
      const found = await stream.push({ ids: idsOf(ids, from, to) });
      expect.soft(relativeError(found.logits.data, logitsOf(logits, from, to)), `steps ${from} to ${to}`).toBeLessThan(TOLERANCE);
      if (to === prefill)
        await expectStates(
          file,
          variant,
          [...file.entries.keys()].some((name) => name.includes("layer2")) ? 3 : 2,
          statesOf((await stream.save()).states),
        );
    }
    const tokens = await tensorOf(file, `${variant}greedy_tokens`);
    const prompts = [0, 1].map((b) => [...ids.data.subarray(b * length, b * length + prefill)]);
    const pieces = await collect(model.generate(prompts, { maxTokens: TOKENS }));
    for (const b of [0, 1])
      expect(pieces.filter(({ sequence }) => sequence === b).map(({ id }) => id)).toEqual([
        ...tokens.data.subarray(b * TOKENS, (b + 1) * TOKENS),
      ]);
    expect(pieces.every(({ id }) => id < vocabulary)).toBe(true);
  });
});
