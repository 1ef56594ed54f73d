import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { writeBundle } from "../../src/build.ts";
import type { Compiled } from "../../src/compile.ts";
import { compileLanguage, continuation, languageModel } from "../setup/language.ts";
import { cli, scratch } from "./cli.ts";
import { fakeBundle } from "./fake-bundle.ts";

/** A language model made by hand, with a tokenizer of letters: it says the alphabet. */
const SPELLER = `
const tokenizer = { encode: (text) => [...text].map((c) => c.charCodeAt(0) - 97), decode: (ids) => String.fromCharCode(...ids.map((i) => i + 97)) };
export const load = async () => ({
  info: { name: "speller", inputs: [{ name: "ids", dtype: "i32", dims: ["B", "L"] }], outputs: [] },
  tokenizer,
  destroy: () => {},
  generate: async function* (prompt, { maxTokens, ...rest }) {
    const ids = typeof prompt === "string" ? tokenizer.encode(prompt) : prompt;
    if (ids.some((id) => id > 25)) throw Object.assign(new Error(JSON.stringify(rest)), { code: ids[0] === 99 ? "logits-invalid" : "input-invalid" });
    for (let i = 1; i <= maxTokens; i++) yield { sequence: 0, id: ids.at(-1) + i, text: tokenizer.decode([ids.at(-1) + i]) };
  },
});
`;

/** The code of a diagnostic. */
const codeIn = (text: string): string | undefined => /^error\[(.*?)\]: .*\n {2}fix: .+\n$/.exec(text)?.[1];

describe("generate", () => {
  test("prints text as it comes, or JSON of the new ids", async () => {
    const bundle = await fakeBundle(await scratch(), SPELLER);
    expect(await cli("generate", bundle, "--prompt", "abc", "--max-tokens", "4")).toEqual({ code: 0, out: "defg\n", err: "" });
    expect(await cli("generate", bundle, "--ids", "0, 1,2", "--max-tokens", "4")).toEqual({ code: 0, out: "defg\n", err: "" });
    expect(await cli("generate", bundle, "--ids", "2", "--max-tokens", "3", "--json")).toEqual({
      code: 0,
      out: '{"ids":[3,4,5]}\n',
      err: "",
    });
  });

  test("options reach the model, and its errors the user", async () => {
    const bundle = await fakeBundle(await scratch(), SPELLER);
    const words = ["--max-tokens", "2", "--temperature", "0.5", "--top-k", "7", "--top-p", "0.9", "--seed", "0", "--stop", "z\n"];
    const refused = await cli("generate", bundle, "--ids", "1,26", ...words);
    expect(refused).toMatchObject({ code: 1, out: "" });
    expect(refused.err).toContain('error[input-invalid]: {"temperature":0.5,"topK":7,"topP":0.9,"seed":0,"stop":"z\\n"}');
    const { code, err } = await cli("generate", bundle, "--ids", "99", "--max-tokens", "2");
    expect([code, err]).toEqual([1, expect.stringMatching(/^error\[logits-invalid\]: .*\n {2}fix: .+\n$/)]);
  });

  test.each([
    ["no prompt", ["--max-tokens", "3"], "--ids or --prompt is missing"],
    ["two prompts", ["--ids", "1", "--prompt", "a", "--max-tokens", "3"], "give one"],
    ["words for ids", ["--ids", "1,a", "--max-tokens", "3"], 'not "1,a"'],
    ["no number of tokens", ["--ids", "1"], "--max-tokens is missing"],
    ["no tokens", ["--ids", "1", "--max-tokens", "0"], "--max-tokens needs"],
    ["a negative temperature", ["--ids", "1", "--max-tokens", "1", "--temperature=-1"], "--temperature needs"],
    ["no share", ["--ids", "1", "--max-tokens", "1", "--top-p", "0"], "--top-p needs"],
    ["part of a token", ["--ids", "1", "--max-tokens", "1", "--top-k", "0.5"], "--top-k needs"],
    ["no text to stop at", ["--ids", "1", "--max-tokens", "1", "--stop", ""], "--stop is empty"],
    ["a seed too large", ["--ids", "1", "--max-tokens", "1", "--seed", "4294967296"], "--seed needs"],
  ])("%s: wrong usage", async (_, words, message) => {
    const { code, out, err } = await cli("generate", "bundle", ...words);
    expect([code, out, err]).toEqual([2, "", expect.stringContaining(message)]);
  });

  test("a bundle that is no language model, and text without a tokenizer: exit 1", async () => {
    const folder = await scratch();
    const other = await cli("generate", await fakeBundle(folder), "--ids", "1", "--max-tokens", "1");
    expect([other.code, codeIn(other.err)]).toEqual([1, "no-language-model"]);
    await mkdir(join(folder, "mute"));
    const mute = await fakeBundle(join(folder, "mute"), SPELLER.replace("  tokenizer,\n", ""));
    const text = await cli("generate", mute, "--prompt", "abc", "--max-tokens", "1");
    expect([text.code, codeIn(text.err)]).toEqual([1, "no-tokenizer"]);
    const end = await cli("generate", mute, "--ids", "1", "--max-tokens", "1", "--stop", "x");
    expect([end.code, codeIn(end.err)]).toEqual([1, "no-tokenizer"]);
  });
});

describe("a compiled language model", () => {
  let compiled: Compiled;
  beforeAll(async () => {
    compiled = await compileLanguage(languageModel(17));
  });

  test("says what the interpreter finds most likely; ids out of range are an error", async () => {
    const bundle = join(await scratch(), "bundle");
    await writeBundle(compiled, bundle);
    const ids = continuation(compiled, [3, 1, 4], 8);
    const words = ["generate", bundle, "--max-tokens", "8"];
    expect(await cli(...words, "--ids", "3,1,4")).toMatchObject({ code: 0, out: `${ids.join()}\n` });
    expect(await cli(...words, "--ids", "3,1,4", "--json")).toMatchObject({ code: 0, out: `${JSON.stringify({ ids })}\n` });
    const drawn = [...words, "--ids", "3", "--temperature", "2", "--seed", "4"];
    expect((await cli(...drawn)).out).toBe((await cli(...drawn)).out);
    const { code, out, err } = await cli(...words, "--ids", "3,17");
    expect([code, out, err]).toEqual([1, "", expect.stringContaining("error[input-invalid]: ")]);
    expect(err).toContain("value 1 is 17");
  });

  test("a vocabulary larger than the embedding is refused", async () => {
    await expect(compileLanguage(languageModel(17), { vocabulary: 18 })).rejects.toMatchObject({ code: "bad-vocabulary" });
    await expect(compileLanguage(languageModel(17), { vocabulary: 0 })).rejects.toMatchObject({ code: "bad-vocabulary" });
  });
});
