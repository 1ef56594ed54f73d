/** The tokenizer files of a checkpoint. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readTokenizer } from "../../src/checkpoints/tokenizer.ts";
import { scratch } from "../cli/cli.ts";

async function folderOf(files: Readonly<Record<string, unknown>>): Promise<string> {
  const folder = await scratch();
  for (const [name, value] of Object.entries(files))
    await writeFile(join(folder, name), typeof value === "string" ? value : JSON.stringify(value));
  return folder;
}

describe("readTokenizer", () => {
  test("a vocabulary of characters, in the order of their ids", async () => {
    const folder = await folderOf({ "vocab.json": { b: 1, "\n": 0, "\u{1f600}": 2 } });
    expect(await readTokenizer(folder, 4)).toEqual({
      kind: "characters",
      size: 3,
      paths: [join(folder, "vocab.json")],
      characters: "\nb\u{1f600}",
    });
  });

  test("tokenizer.json and its configuration as they are; ids are those of the vocabulary and what is added to it", async () => {
    const full = { model: { type: "BPE", vocab: { a: 0, b: 1 }, merges: [] }, added_tokens: [{ id: 5, content: "<|end|>" }] };
    const found = await readTokenizer(await folderOf({ "tokenizer.json": full, "tokenizer_config.json": {}, "vocab.json": { a: 0 } }), 8);
    expect(found).toMatchObject({ kind: "files", size: 6 });
    expect(found?.kind === "files" ? [...found.files.keys()] : []).toEqual(["tokenizer.json", "tokenizer_config.json"]);
  });

  test("nothing where there is nothing, or a vocabulary of words", async () => {
    expect(await readTokenizer(await folderOf({ "config.json": {} }), 8)).toBeUndefined();
    expect(await readTokenizer(await folderOf({ "vocab.json": { the: 0, a: 1 } }), 8)).toBeUndefined();
  });

  test.each<[string, Record<string, unknown>, RegExp]>([
    ["no JSON", { "tokenizer.json": "{" }, /is not JSON/],
    ["no object", { "tokenizer.json": [] }, /is not a JSON object/],
    ["no vocabulary", { "tokenizer.json": { model: {} } }, /has no vocabulary/],
    ["more ids than rows", { "tokenizer.json": { model: { vocab: { a: 8 } } } }, /has ids up to 8, and the embedding 8 rows/],
    ["an id twice", { "vocab.json": { a: 0, b: 0 } }, /gives "b" the id 0/],
    ["an id left out", { "vocab.json": { a: 0, b: 2 } }, /gives "b" the id 2/],
    ["an id that is none", { "vocab.json": { a: "0" } }, /gives "a" the id "0"/],
    ["more characters than rows", { "vocab.json": Object.fromEntries(Array.from("abcdefghi", (c, i) => [c, i])) }, /has 9 characters/],
    ["no characters", { "vocab.json": {} }, /has 0 characters/],
  ])("tokenizer-invalid: %s", async (_, files, message) => {
    await expect(readTokenizer(await folderOf(files), 8)).rejects.toMatchObject({
      code: "tokenizer-invalid",
      message: expect.stringMatching(message),
    });
  });
});
