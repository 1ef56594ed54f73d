/** Bundles of checkpoints by the command line: a trained character model, and a model with a tokenizer of the library's. */
import { copyFile, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { openModel } from "../../src/cli/model.ts";
import { tokenizerIn } from "../../src/cli/tokenizer.ts";
import { bytesSource, openSafetensors } from "../../src/weights/safetensors.ts";
import { relativeError } from "../math/golden.ts";
import { cli, scratch } from "../cli/cli.ts";
import { goldenPath } from "./golden.ts";

const austen = fileURLToPath(new URL("../../../shared/models/mamba-austen", import.meta.url));
const tensors = (name: string) => openSafetensors(bytesSource(readFileSync(join(austen, name)), name));
const terminal = { out: () => {}, err: () => {}, interactive: false };

interface Generation {
  readonly prompt: string;
  readonly greedy_continuation: string;
}

test("mamba-austen from its folder gives PyTorch's logits, and goes on as it does, from text to text", async () => {
  const bundle = join(await scratch(), "austen");
  expect(await cli("build", austen, "-o", bundle, "--max-length", "256")).toMatchObject({ code: 0, err: "" });
  const model = await openModel(bundle, terminal);
  const [ids, logits] = [
    await (await tensors("test.safetensors")).read("input_ids"),
    await (await tensors("ref_logits.safetensors")).read("logits_chunk0"),
  ];
  const length = 200;
  for (const mode of ["scan", "recurrence"] as const) {
    const found = await model.run({ ids: Int32Array.from(ids.subarray(0, length)) }, { mode });
    expect.soft(relativeError(found["logits"]?.data ?? [], logits.subarray(0, length * 80)), mode).toBeLessThan(2e-5);
  }
  model.destroy();
  const { prompt, greedy_continuation: wanted } = JSON.parse(await readFile(join(austen, "generation.json"), "utf8")) as Generation;
  const said = await cli("generate", bundle, "--prompt", prompt, "--max-tokens", "120");
  expect(said).toEqual({ code: 0, out: `${wanted.slice(0, 120)}\n`, err: "" });
  const refused = await cli("generate", bundle, "--prompt", "caf\u00e9", "--max-tokens", "1");
  expect([refused.code, refused.err]).toEqual([1, expect.stringContaining('the model has no character "\u00e9"')]);
});

/** A tokenizer of bytes that joins "th" and "the". */
const FULL = {
  version: "1.0",
  added_tokens: [{ id: 7, content: "<|end|>", special: true, single_word: false, lstrip: false, rstrip: false, normalized: false }],
  normalizer: null,
  pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
  post_processor: null,
  decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
  model: {
    type: "BPE",
    vocab: { t: 0, h: 1, e: 2, n: 3, "\u0120": 4, th: 5, the: 6 },
    merges: ["t h", "th e"],
    dropout: null,
    unk_token: null,
  },
};

describe("a checkpoint with a tokenizer.json", () => {
  async function folderOf(full: unknown): Promise<string> {
    const folder = join(await scratch(), "checkpoint");
    await mkdir(folder);
    for (const name of ["config.json", "model.safetensors"]) await copyFile(goldenPath(`mamba1-a/hf/${name}`), join(folder, name));
    await writeFile(join(folder, "tokenizer.json"), JSON.stringify(full));
    await writeFile(join(folder, "tokenizer_config.json"), JSON.stringify({ tokenizer_class: "GPTNeoXTokenizer", eos_token: "<|end|>" }));
    return folder;
  }

  test("has it in its bundle; prompts are text, and so is what follows, of ids that the tokenizer has", async () => {
    const folder = await folderOf(FULL);
    const bundle = join(folder, "..", "bundle");
    expect(await cli("build", folder, "-o", bundle, "--max-length", "64")).toMatchObject({ code: 0, err: "" });
    expect((await readdir(bundle)).sort()).toEqual([
      "index.d.ts",
      "index.js",
      "manifest.json",
      "tokenizer.json",
      "tokenizer_config.json",
      "weights.safetensors",
    ]);
    expect(JSON.parse(await readFile(join(bundle, "manifest.json"), "utf8"))).toMatchObject({ vocabulary: 8 });
    const tokenizer = await tokenizerIn(bundle);
    expect([tokenizer?.encode("the then"), tokenizer?.decode([6, 4, 6, 3, 7])]).toEqual([[6, 4, 6, 3], "the then"]);
    const [text, ids] = [
      await cli("generate", bundle, "--prompt", "the then", "--max-tokens", "5"),
      await cli("generate", bundle, "--ids", "6,4,6,3", "--max-tokens", "5", "--json"),
    ];
    const { ids: said } = JSON.parse(ids.out) as { readonly ids: readonly number[] };
    expect(said.every((id) => id < 8)).toBe(true);
    expect(text).toEqual({ code: 0, out: `${tokenizer?.decode(said)}\n`, err: "" });
    expect(await cli("build", folder, "-o", bundle, "--max-length", "32")).toMatchObject({ code: 0, err: "" });
  });

  test("tokenizer-invalid: one that the library cannot make anything of", async () => {
    const folder = await folderOf({ ...FULL, pre_tokenizer: { type: "Magic" } });
    await expect(tokenizerIn(folder)).rejects.toMatchObject({ code: "tokenizer-invalid" });
    expect(await tokenizerIn(goldenPath("mamba1-a/hf"))).toBeUndefined();
  });
});
