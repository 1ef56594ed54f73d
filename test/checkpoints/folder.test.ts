/** The files of a checkpoint: one, several with an index, and folders whose files contradict each other. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { isCheckpoint, readConfig, withTensors } from "../../src/checkpoints/folder.ts";
import { writeSafetensors } from "../../src/weights/write.ts";
import { floats, scratch } from "../cli/cli.ts";
import { stateDict, torchFile } from "../setup/torch-file.ts";

/** A folder of these files. */
async function folderOf(files: Readonly<Record<string, string | Uint8Array>>): Promise<string> {
  const folder = await scratch();
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
  return folder;
}

const shard = (...names: readonly string[]): Uint8Array => writeSafetensors(names.map((name) => floats(name, [2], (i) => i + name.length)));
const index = (map: unknown): string => JSON.stringify({ metadata: { total_size: 16 }, weight_map: map });
const INDEX = "model.safetensors.index.json";
const [ONE, TWO] = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];

/** The values of every tensor. */
const tensorsOf = (folder: string): Promise<Record<string, number[]>> =>
  withTensors(folder, async ({ entries, read }) => {
    const found: Record<string, number[]> = {};
    for (const name of entries.keys()) found[name] = [...(await read(name))];
    return found;
  });

describe("tensors of a folder", () => {
  test("lie in one file of either kind", async () => {
    const { value, storages } = stateDict([{ name: "a", storage: "FloatStorage", shape: [2], data: Float32Array.of(1, 2) }]);
    expect(await tensorsOf(await folderOf({ "model.safetensors": shard("a") }))).toEqual({ a: [1, 2] });
    expect(await tensorsOf(await folderOf({ "pytorch_model.bin": torchFile(value, storages) }))).toEqual({ a: [1, 2] });
    expect(await tensorsOf(await folderOf({ "consolidated.safetensors": shard("a") }))).toEqual({ a: [1, 2] });
  });

  test("or in the shards that an index names; what else lies there is not opened", async () => {
    const folder = await folderOf({
      [INDEX]: index({ a: ONE, bb: TWO, ccc: TWO }),
      [ONE]: shard("a"),
      [TWO]: shard("bb", "ccc"),
      "training_args.bin": "junk",
    });
    expect(await tensorsOf(folder)).toEqual({ a: [1, 2], bb: [2, 3], ccc: [3, 4] });
    expect(await withTensors(folder, async ({ label }, paths) => [label, ...paths])).toEqual([
      join(folder, INDEX),
      ...[INDEX, ONE, TWO].map((name) => join(folder, name)),
    ]);
  });

  test.each<[string, Record<string, string | Uint8Array>, RegExp]>([
    ["none", { "config.json": "{}" }, /holds no tensors/],
    ["several without an index", { [ONE]: shard("a"), [TWO]: shard("b") }, /00001-of-00002.safetensors, .* and no index file/],
    ["a missing shard", { [INDEX]: index({ a: ONE, b: TWO }), [ONE]: shard("a") }, /lacks model-00002-of-00002.safetensors/],
  ])("checkpoint-files: %s", async (_, files, message) => {
    await expect(tensorsOf(await folderOf(files))).rejects.toMatchObject({
      code: "checkpoint-files",
      message: expect.stringMatching(message),
    });
  });

  test.each([
    "../secret.safetensors",
    "/etc/passwd",
    "sub/model.safetensors",
    "..\\x.bin",
    ".hidden.bin",
    "C:\\x.bin",
    "x.bin/..",
    "config.json",
    "",
    3,
    null,
  ])("checkpoint-index: a tensor in %j", async (name) => {
    const folder = await folderOf({ [INDEX]: index({ a: name }) });
    await expect(tensorsOf(folder)).rejects.toMatchObject({
      code: "checkpoint-index",
      message: expect.stringMatching(/puts "a" into .*, which is no file of this folder$/),
    });
  });

  test.each<[string, string, RegExp]>([
    ["no map", JSON.stringify({ metadata: {} }), /has no weight_map/],
    ["a list", index([ONE]), /has no weight_map/],
    ["a tensor in another shard", index({ a: TWO, b: ONE }), /"a" is in model-00001-of-00002.safetensors, and by the index in model-00002/],
    ["a tensor that it leaves out", index({ a: ONE, c: TWO }), /"b" is in model-00002-of-00002.safetensors, and by the index nowhere/],
    [
      "a tensor that is nowhere",
      index({ a: ONE, b: TWO, c: TWO }),
      /"c" is not in model-00002-of-00002.safetensors, where the index puts it/,
    ],
    [
      "too many files",
      index(Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`t${i}`, `m${i}.bin`]))),
      /names 5000 files; at most 4096/,
    ],
  ])("checkpoint-index: %s", async (_, text, message) => {
    const folder = await folderOf({ [INDEX]: text, [ONE]: shard("a"), [TWO]: shard("b") });
    await expect(tensorsOf(folder)).rejects.toMatchObject({ code: "checkpoint-index", message: expect.stringMatching(message) });
  });

  test("checkpoint-config: an index that is no JSON", async () => {
    await expect(tensorsOf(await folderOf({ [INDEX]: "{" }))).rejects.toMatchObject({ code: "checkpoint-config" });
  });

  test("a shard that is a folder, or no tensors, is told by its own name", async () => {
    const folder = await folderOf({ [INDEX]: index({ a: ONE, b: TWO }), [ONE]: shard("a") });
    await mkdir(join(folder, TWO));
    await expect(tensorsOf(folder)).rejects.toMatchObject({ code: "file-kind" });
    await expect(tensorsOf(await folderOf({ [INDEX]: index({ a: ONE }), [ONE]: "short" }))).rejects.toMatchObject({
      code: "weights-file-truncated",
      message: expect.stringContaining(ONE),
    });
  });
});

describe("config.json", () => {
  test("makes a folder a checkpoint", async () => {
    expect(await isCheckpoint(await folderOf({ "config.json": "{}" }))).toBe(true);
    expect(await isCheckpoint(await folderOf({ "model.safetensors": shard("a") }))).toBe(false);
  });

  test.each<[string, string | Uint8Array, RegExp]>([
    ["is too large", new Uint8Array(2 ** 20 + 1), /has 1048577 bytes; at most 1048576 are read/],
    ["is no text", Uint8Array.of(0x7b, 0xff, 0x7d), /is not UTF-8 text/],
  ])("checkpoint-config: it %s", async (_, content, message) => {
    await expect(readConfig(await folderOf({ "config.json": content }))).rejects.toMatchObject({
      code: "checkpoint-config",
      message: expect.stringMatching(message),
    });
  });
});
