/** Generation on the device against the interpreter and the plain sampler: prompts, batches, settings, streams, faults. */
import { describe, expect, test } from "vitest";
import { compileGraph } from "../../src/compile.ts";
import type { GenerateOptions, Piece } from "../../src/runtime/language-api.ts";
import { collect, compileLanguage, continuation, idsOf, languageModel, loadLanguage } from "../setup/language.ts";
import { sharedDevice } from "../setup/shared-device.ts";
import { atSubmit, countingGPU } from "./setup.ts";

const letters = await compileLanguage(languageModel(17));
const device = await sharedDevice();
const load = (): ReturnType<typeof loadLanguage> => loadLanguage(letters, { device });
const prompt = [3, 1, 4, 1, 5, 9, 2, 6];

/** The first pieces. */
async function take(pieces: AsyncIterable<Piece>, count: number): Promise<number[]> {
  const ids: number[] = [];
  for await (const { id } of pieces) if (ids.push(id) === count) break;
  return ids;
}

describe("generate", () => {
  test("greedy: what the interpreter finds most likely, however many ids lie between two readbacks", async () => {
    const model = await load();
    const expected = continuation(letters, prompt, 21);
    expect(await idsOf(model.generate(prompt, { maxTokens: 21 }))).toEqual(expected);
    for (const every of [1, 5, 64])
      expect(await idsOf(model.generate(Int32Array.from(prompt), { maxTokens: 21, every }))).toEqual(expected);
    expect(await idsOf(model.generate([7], { maxTokens: 5 }))).toEqual(continuation(letters, [7], 5));
  });

  test("a vocabulary of a thousand, drawn by temperature, top-k and top-p", async () => {
    const compiled = await compileLanguage(languageModel(1000));
    const model = await loadLanguage(compiled, { device });
    for (const sampling of [
      { temperature: 1, topK: 0, topP: 1, seed: 1 },
      { temperature: 0.8, topK: 40, topP: 0.9, seed: 4294967295 },
      { temperature: 2, topK: 0, topP: 0.5, seed: 3 },
    ]) {
      const { temperature, topK, topP, seed } = sampling;
      const options = { maxTokens: 12, temperature, topP, seed, ...(topK > 0 ? { topK } : {}) };
      const ids = await idsOf(model.generate([999, 0, 512], options));
      expect(ids).toEqual(continuation(compiled, [999, 0, 512], 12, { sampling }));
      expect(await idsOf(model.generate([999, 0, 512], { ...options, every: 3 }))).toEqual(ids);
    }
    expect(await idsOf(model.generate([1], { maxTokens: 9, topK: 1, seed: 8 }))).toEqual(continuation(compiled, [1], 9));
  });

  test("topK or topP without a temperature draw at 1; without a seed draws differ", async () => {
    const model = await load();
    const sampling = { temperature: 1, topK: 5, topP: 1, seed: 2 };
    expect(await idsOf(model.generate(prompt, { maxTokens: 9, topK: 5, seed: 2 }))).toEqual(continuation(letters, prompt, 9, { sampling }));
    const draws = [1, 2, 3].map(async () => (await idsOf(model.generate(prompt, { maxTokens: 30, temperature: 3 }))).join());
    expect(new Set(await Promise.all(draws)).size).toBe(3);
  });

  test("rows that pad the head are never chosen", async () => {
    const compiled = await compileLanguage(languageModel(17, 24), { vocabulary: 5 });
    const model = await loadLanguage(compiled, { device });
    const ids = await idsOf(model.generate(prompt, { maxTokens: 40, temperature: 5, seed: 1 }));
    expect(ids).toEqual(continuation(compiled, prompt, 40, { sampling: { temperature: 5, topK: 0, topP: 1, seed: 1 } }));
    expect(new Set(ids)).toEqual(new Set([0, 1, 2, 3, 4]));
  });

  test("pieces say where they stand, and why the last one is it", async () => {
    const model = await load();
    const pieces = await collect(model.generate(prompt, { maxTokens: 3 }));
    expect(pieces.map(({ sequence, position, end }) => [sequence, position, end])).toEqual([
      [0, 9, undefined],
      [0, 10, undefined],
      [0, 11, "length"],
    ]);
  });

  test("prompts of different lengths in one batch: each goes on as it would alone, and ends on its own", async () => {
    const model = await load();
    const prompts = [prompt, [2], [8, 8, 8], prompt.slice(0, 5)];
    const sampling = { temperature: 1.3, topK: 9, topP: 0.95, seed: 77 };
    for (const options of [{}, sampling]) {
      const pieces = await collect(model.generate(prompts, { maxTokens: 11, ...options }));
      for (const [sequence, ids] of prompts.entries()) {
        const expected = continuation(letters, ids, 11, { sequence, ...(options === sampling ? { sampling } : {}) });
        const own = pieces.filter((piece) => piece.sequence === sequence);
        expect(own.map(({ id }) => id)).toEqual(expected);
        expect(own.map(({ end }) => end)).toEqual([...Array<undefined>(10).fill(undefined), "length"]);
      }
    }
    const [first = 0, second = 0] = [continuation(letters, prompt, 4)[3], continuation(letters, [2], 2)[1]];
    const stopped = await collect(model.generate(prompts.slice(0, 2), { maxTokens: 11, stop: [first, second] }));
    for (const sequence of [0, 1]) {
      const ids = continuation(letters, prompts[sequence] ?? [], 11);
      const end = ids.findIndex((id) => id === first || id === second) + 1;
      const own = stopped.filter((piece) => piece.sequence === sequence);
      expect(own.map(({ id }) => id)).toEqual(ids.slice(0, end));
      expect(own.at(-1)?.end).toBe("stop");
    }
  });

  test("long prompts are read in the parallel mode and hand over to decoding", async () => {
    const compiled = await compileLanguage(languageModel(17), { mode: "convolution", maxLength: 64 });
    const model = await loadLanguage(compiled, { device });
    const long = Array.from({ length: 150 }, (_, i) => (i * i + 3) % 17);
    expect(await idsOf(model.generate(long, { maxTokens: 10 }))).toEqual(continuation(compiled, long, 10));
  });

  test("text goes in and out through a tokenizer, in whole characters", async () => {
    const bytes = (text: string): number[] => [...new TextEncoder().encode(text)].map((byte) => byte % 17);
    const decode = (ids: readonly number[]): string => ids.map((id) => (id % 4 === 3 ? "" : String.fromCharCode(97 + id))).join("");
    const pending = (ids: readonly number[]): string =>
      decode(ids) + (ids.at(-1) === undefined || (ids.at(-1) ?? 0) % 4 !== 3 ? "" : "\uFFFD");
    const model = await loadLanguage(letters, { device, tokenizer: { encode: bytes, decode: pending } });
    const pieces = await collect(model.generate("hello", { maxTokens: 40, temperature: 2, seed: 9 }));
    const ids = pieces.map(({ id }) => id);
    expect(ids).toEqual(await idsOf(model.generate(bytes("hello"), { maxTokens: 40, temperature: 2, seed: 9 })));
    expect(
      pieces
        .map(({ text }) => text)
        .join("")
        .replace(/\uFFFD$/, ""),
    ).toBe(decode(ids));
    expect(pieces.slice(0, -1).every(({ text }) => text?.includes("\uFFFD") === false)).toBe(true);
    const without = await load();
    await expect(idsOf(without.generate("hello"))).rejects.toMatchObject({ name: "InputError", input: "prompt" });
    await expect(idsOf(without.generate([1], { stop: [2, "hello"] }))).rejects.toMatchObject({ name: "InputError", input: "stop" });
    expect((await collect(without.generate([1], { maxTokens: 1 })))[0]).not.toHaveProperty("text");
  });

  test("text ends a sequence, however it is cut into tokens, and nothing is given after it", async () => {
    const decode = (ids: readonly number[]): string => ids.map((id) => `${String.fromCharCode(97 + id)}${id % 3}.`).join("");
    const model = await loadLanguage(letters, { device, tokenizer: { encode: () => [], decode } });
    const options = { maxTokens: 24, temperature: 2, seed: 9 };
    const ids = await idsOf(model.generate(prompt, options));
    const whole = decode(ids);
    // From the last letter of a token to the first of the one after the next.
    const end = whole.slice(31, 37);
    const cut = whole.indexOf(end) + end.length;
    const count = Math.ceil(cut / 3);
    expect(cut % 3).toBe(1);
    const stream = await model.stream();
    const pieces = await collect(stream.generate(prompt, { ...options, stop: ["never", end] }));
    expect(pieces.map(({ text }) => text).join("")).toBe(whole.slice(0, cut));
    expect(pieces.map((piece) => piece.id)).toEqual(ids.slice(0, count));
    expect(pieces.map((piece) => piece.end)).toEqual([...Array<undefined>(count - 1).fill(undefined), "stop"]);
    expect(stream.position).toBe(prompt.length + count);
    expect(await idsOf(stream.generate(undefined, { ...options, maxTokens: 24 - count }))).toEqual(ids.slice(count));
    const both = await collect(model.generate([prompt, [2]], { ...options, stop: end }));
    expect(both.filter(({ sequence }) => sequence === 0)).toHaveLength(count);
    expect(both.filter(({ sequence }) => sequence === 1).map(({ id }) => id)).toEqual(
      (await collect(model.generate([prompt, [2]], options))).filter(({ sequence }) => sequence === 1).map(({ id }) => id),
    );
  });
});

describe("streams", () => {
  test("generation goes on from a stream, and leaves it after the last piece taken", async () => {
    const model = await load();
    const all = continuation(letters, prompt, 40);
    const stream = await model.stream();
    await stream.push({ ids: Int32Array.from(prompt.slice(0, 5)) });
    expect(await take(stream.generate(prompt.slice(5)), 3)).toEqual(all.slice(0, 3));
    expect(stream.position).toBe(prompt.length + 3);
    expect(await take(stream.generate(), 13)).toEqual(all.slice(3, 16));
    // The logits of a push after it are those of the whole.
    const next = Int32Array.of(all[16] ?? 0);
    const { logits } = await stream.push({ ids: next });
    const whole = await model.run({ ids: Int32Array.from([...prompt, ...all.slice(0, 17)]) });
    expect(stream.position).toBe(prompt.length + 17);
    const last = whole.logits.data.slice(-17);
    logits.data.forEach((value, i) => expect(value).toBeCloseTo(last[i] ?? NaN, 4));
    await expect(idsOf(stream.generate())).rejects.toMatchObject({ name: "InputError", input: "prompt" });
  });

  test("save, restore and fork hold what was generated, also between two pieces", async () => {
    const model = await load();
    const all = continuation(letters, prompt, 30);
    const stream = await model.stream();
    const ids: number[] = [];
    let saved = await stream.save();
    let twin = await stream.fork();
    for await (const { id } of stream.generate(prompt, { maxTokens: 20 })) {
      if (ids.push(id) === 5) saved = structuredClone(await stream.save());
      if (ids.length === 7) twin = await stream.fork();
    }
    expect(ids).toEqual(all.slice(0, 20));
    expect([saved.position, twin.position]).toEqual([prompt.length + 4, prompt.length + 7]);
    expect(await take(twin.generate(), 4)).toEqual(all.slice(7, 11));
    const other = await model.stream({ from: saved });
    expect(await take(other.generate(), 9)).toEqual(all.slice(5, 14));
    await stream.restore(saved);
    expect(await take(stream.generate(), 9)).toEqual(all.slice(5, 14));
    await stream.reset();
    expect(stream.position).toBe(0);
    expect(await take(stream.generate(prompt), 2)).toEqual(all.slice(0, 2));
    await expect(model.stream({ from: { ...saved, unread: Int32Array.of(1, 2) } })).rejects.toMatchObject({ input: "from" });
  });

  test("rollback: exactly back, over 64 generated ids at least, and an error beyond what the stream knows", async () => {
    const model = await load();
    const stream = await model.stream();
    const options: GenerateOptions = { temperature: 1, seed: 5 };
    const ids = await take(stream.generate(prompt, options), 150);
    const end = stream.position;
    expect(end).toBe(prompt.length + 150);
    for (const back of [1, 10, 50, 64]) {
      await stream.rollback(end - back);
      expect(stream.position).toBe(end - back);
      expect(await take(stream.generate(undefined, options), back)).toEqual(ids.slice(-back));
    }
    for (const position of [end + 1, 3, -1, 5.5])
      await expect(stream.rollback(position)).rejects.toMatchObject({ name: "InputError", input: "position" });
    await stream.rollback(end);
    expect(stream.position).toBe(end);
    const short = await model.stream();
    await short.push({ ids: Int32Array.from(prompt) });
    await short.rollback(4);
    expect(await take(short.generate(), 3)).toEqual(continuation(letters, prompt.slice(0, 4), 3));
    await short.rollback(0);
    expect(short.position).toBe(0);
    expect(await take(short.generate([9]), 3)).toEqual(continuation(letters, [9], 3));
  });

  test("another call that moves the stream ends the iteration", async () => {
    const model = await load();
    const stream = await model.stream();
    const pieces = stream.generate(prompt);
    await pieces.next();
    await stream.push({ ids: Int32Array.of(1) });
    await expect(pieces.next()).rejects.toMatchObject({ name: "InputError", input: "generate" });
    expect(stream.position).toBe(prompt.length + 2);
  });

  test("a batch of streams generates together", async () => {
    const model = await load();
    const stream = await model.stream({ batch: 2 });
    await stream.push({ ids: Int32Array.of(1, 2, 3, 4) });
    const pieces = await collect(stream.generate([[5], [6, 7]], { maxTokens: 4 }));
    const own = (sequence: number): number[] => pieces.filter((piece) => piece.sequence === sequence).map(({ id }) => id);
    expect(own(0)).toEqual(continuation(letters, [1, 2, 5], 4));
    expect(own(1)).toEqual(continuation(letters, [3, 4, 6, 7], 4));
  });
});

describe("interruptions", () => {
  test("an abort ends the iteration with the signal's reason, and stream and model go on", async () => {
    const model = await load();
    const all = continuation(letters, prompt, 30);
    const stream = await model.stream();
    const controller = new AbortController();
    const reason = new Error("enough");
    const ids: number[] = [];
    const aborted = (async () => {
      for await (const { id } of stream.generate(prompt, { signal: controller.signal })) if (ids.push(id) === 11) controller.abort(reason);
    })();
    await expect(aborted).rejects.toBe(reason);
    expect(ids).toEqual(all.slice(0, 11));
    expect(stream.position).toBe(prompt.length + 11);
    expect(await take(stream.generate(), 5)).toEqual(all.slice(11, 16));
    expect(await idsOf(model.generate(prompt, { maxTokens: 4 }))).toEqual(all.slice(0, 4));
    await expect(idsOf(model.generate(prompt, { signal: AbortSignal.abort(reason) }))).rejects.toBe(reason);
  });

  test("a device lost at any submit, or between two pieces, changes nothing", async () => {
    const options: GenerateOptions = { maxTokens: 90, temperature: 1, seed: 3 };
    const expected = await idsOf((await load()).generate(prompt, options));
    for (const submits of [1, 3, 9]) {
      const model = await loadLanguage(letters, { gpu: countingGPU() });
      const { device: lost } = model;
      const loss = atSubmit(submits, () => lost.destroy());
      expect(await idsOf(model.generate(prompt, options))).toEqual(expected);
      expect(loss.done).toBe(true);
    }
    const model = await loadLanguage(letters, { gpu: countingGPU() });
    const ids: number[] = [];
    for await (const { id } of model.generate(prompt, options)) {
      ids.push(id);
      if (ids.length === 77) {
        model.device.destroy();
        await model.device.lost;
      }
    }
    expect(ids).toEqual(expected);
  });

  test("logits of NaN are a LogitsError that says where, and the model goes on", async () => {
    const data = Float64Array.from({ length: 17 * 8 }, (_, i) => (i >> 3 === 13 ? NaN : Math.sin(i)));
    const constants = new Map([["embedding.weight", { shape: [17, 8], data }]]);
    const model = await loadLanguage(await compileGraph(languageModel(17).graph, constants, { maxLength: 64 }), { device });
    await expect(idsOf(model.generate([1, 13], { maxTokens: 5 }))).rejects.toMatchObject({
      name: "LogitsError",
      code: "logits-invalid",
      sequence: 0,
      position: 2,
    });
    expect(await idsOf(model.generate([1], { maxTokens: 1 }))).toHaveLength(1);
  });

  const bad: readonly (readonly [string, unknown, object, string])[] = [
    ["no prompt", [], {}, "prompt"],
    ["an id out of range", [17], {}, "prompt"],
    ["a negative id", [[1], [-1]], {}, "prompt"],
    ["an id that is no whole number", [0.5], {}, "prompt"],
    ["floats", new Float32Array(3), {}, "prompt"],
    ["nothing", undefined, {}, "prompt"],
    ["no tokens at all", [1], { maxTokens: 0 }, "maxTokens"],
    ["a negative temperature", [1], { temperature: -1 }, "temperature"],
    ["NaN as the temperature", [1], { temperature: NaN }, "temperature"],
    ["a share above 1", [1], { topP: 1.5 }, "topP"],
    ["no share", [1], { topP: 0 }, "topP"],
    ["half a token", [1], { topK: 1.5 }, "topK"],
    ["a seed of 33 bits", [1], { seed: 2 ** 32 }, "seed"],
    ["too few readbacks", [1], { every: 65 }, "every"],
    ["text that stops, without a tokenizer", [1], { stop: "end" }, "stop"],
    ["no text that stops", [1], { stop: ["end", ""] }, "stop"],
    ["part of an id", [1], { stop: 1.5 }, "stop"],
  ];
  test("what generate does not take is an InputError that names it; so are ids out of range in run and push", async () => {
    const model = await load();
    for (const [what, given, options, input] of bad) {
      const error: unknown = await idsOf(model.generate(given as number[], options)).catch((reason: unknown) => reason);
      expect(error, what).toMatchObject({ name: "InputError", code: "input-invalid", input });
    }
    const stream = await model.stream();
    expect(model.info.inputs).toEqual([{ name: "ids", dtype: "i32", dims: ["B", "L"], names: ["B", "L"], below: 17 }]);
    for (const ids of [Int32Array.of(3, 17), Int32Array.of(-1)]) {
      await expect(model.run({ ids })).rejects.toMatchObject({ name: "InputError", input: "ids" });
      await expect(stream.push({ ids })).rejects.toMatchObject({ name: "InputError", input: "ids" });
    }
    expect(stream.position).toBe(0);
  });
});

describe("prompts", () => {
  const shown = (program: { readonly body: readonly { readonly kernel: number; readonly shown?: boolean }[] } | undefined): string[] =>
    program?.body.flatMap(({ kernel, ...dispatch }) => (dispatch.shown === true ? [letters.plan.kernels[kernel]?.name ?? ""] : [])) ?? [];

  test("what no state depends on is marked, the head first of all", () => {
    for (const program of [letters.plan.step, letters.plan.resume["scan"]]) {
      expect(shown(program).at(-1)).toMatch(/^matmul/);
      expect(shown(program)).not.toContain("embed");
    }
  });

  test("are read without it, and a push of as many ids after them gives its logits", async () => {
    const compiled = await compileLanguage(languageModel(17), { mode: "convolution" });
    const model = await loadLanguage(compiled, { device });
    const stream = await model.stream();
    const ids = await take(stream.generate([...prompt, 7]), 1);
    const { logits } = await stream.push({ ids: Int32Array.from(prompt) });
    const whole = await model.run({ ids: Int32Array.from([...prompt, 7, ...ids, ...prompt]) });
    const last = whole.logits.data.slice(-logits.data.length);
    logits.data.forEach((value, i) => expect(value).toBeCloseTo(last[i] ?? NaN, 4));
  });
});
