/**
 * The trained language model: built from its page of TypeScript and from its folder, against PyTorch's logits, state, bits a character and text. PyTorch's
 * float32 differs from the modules of state-spaces/mamba by 4.4e-5 itself, at logits of up to 21; a part of the test set is read here, and all of it by
 * `npm run bench -- accuracy`.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import { readTextSet, scoreText } from "../../scripts/language.ts";
import { compileModel } from "../../src/build.ts";
import type { Compiled } from "../../src/compile.ts";
import { bytesSource, openSafetensors } from "../../src/weights/safetensors.ts";
import { relativeError } from "../math/golden.ts";
import { root } from "../repo/source.ts";
import { idsOf, loadLanguage } from "../setup/language.ts";

vi.setConfig({ testTimeout: 300_000 });

const folder = join(root, "examples", "mamba-austen");
/** Of the largest logit. */
const APART = 2e-5;

interface Generation {
  readonly prompt_ids: readonly number[];
  readonly greedy_ids: readonly number[];
}

const test = await openSafetensors(bytesSource(await readFile(join(folder, "test.safetensors")), "test.safetensors"));
const { prompt_ids: prompt, greedy_ids: greedy } = JSON.parse(await readFile(join(folder, "generation.json"), "utf8")) as Generation;

const compiled = compileModel(join(folder, "model.ts"), { weights: join(folder, "model.safetensors") });
const load = async (): ReturnType<typeof loadLanguage> => loadLanguage((await compiled).compiled);

it("has the logits of its checkpoint's folder, and PyTorch's", async () => {
  const { ids, length } = await readTextSet(folder);
  const read = async (one: Compiled): Promise<Float32Array> =>
    (await (await loadLanguage(one)).run({ ids: ids.subarray(0, length) }, { mode: "scan" })).logits.data;
  const logits = await read((await compiled).compiled);
  expect(relativeError(logits, await test.read("logits_chunk0"))).toBeLessThan(APART);
  expect(await read((await compileModel(folder)).compiled)).toEqual(logits);
});

it.each([
  { mode: "scan", count: 4 },
  { mode: "chunked", count: 2 },
  { mode: "recurrence", count: 1 },
] as const)("foretells characters as PyTorch does: $mode", async ({ mode, count }) => {
  const { bits, theirs, apart } = await scoreText(await load(), await readTextSet(folder), mode, count, count);
  expect(Math.abs(bits - theirs)).toBeLessThan(1e-5);
  expect(apart).toBeLessThan(APART);
});

it("has PyTorch's state after a prompt, in one piece and in several", async () => {
  const model = await load();
  for (const cuts of [[prompt.length], [1, 30, prompt.length - 31]]) {
    const stream = await model.stream();
    let at = 0;
    for (const count of cuts) await stream.push({ ids: Int32Array.from(prompt.slice(at, (at += count))) });
    const states = Object.values((await stream.save()).states);
    expect(states).toHaveLength(8);
    for (const layer of [0, 1, 2, 3]) {
      const of = async (name: string, rows: number): Promise<number[]> =>
        transposed(await test.read(`prompt_state.layers.${layer}.${name}`), rows);
      const [taken = [], memory = []] = [states[2 * layer], states[2 * layer + 1]];
      // The convolution keeps what it reads again: all but the oldest of its four inputs.
      expect(relativeError([...taken], (await of("conv_state", 4)).slice(320))).toBeLessThan(APART);
      expect(relativeError([...memory], await of("ssm_state", 16))).toBeLessThan(APART);
    }
  }
});

it("writes PyTorch's two hundred characters", async () => {
  const model = await load();
  expect(await idsOf(model.generate(prompt, { maxTokens: greedy.length }))).toEqual(greedy);
});

/** [channels rows] as [rows channels]. */
function transposed(values: Float64Array, rows: number): number[] {
  const channels = values.length / rows;
  return Array.from(values, (_, i) => values[(i % channels) * rows + Math.floor(i / channels)] ?? NaN);
}
