/** Packing: the folder of a bundle, its types, its size, and the targets that are refused. */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import { Project } from "ts-morph";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { BundleParts } from "../../src/codegen/plan-source.ts";
import { bundleFiles, packBundle } from "../../src/pack.ts";
import { parts, reference, shard, signal } from "./integrator.ts";
import { countingGPU, expectClose, expectNothingLeft } from "./setup.ts";
import type { TestModel } from "./setup.ts";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "recurve-pack-"));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
  expectNothingLeft();
});

const all = ["index.d.ts", "index.js", "manifest.json", "weights.safetensors"];
const importBundle = async (at: string): Promise<{ load: (options: object) => Promise<TestModel>; InputError: new () => Error }> =>
  import(/* @vite-ignore */ pathToFileURL(join(at, "index.js")).href);

test("a bundle is a folder that runs as it is", async () => {
  const target = join(folder, "deep", "bundle");
  await packBundle(parts, target);
  expect((await readdir(target)).sort()).toEqual(all);
  expect(await readFile(join(target, "weights.safetensors"))).toEqual(Buffer.from(shard));
  expect(JSON.parse(await readFile(join(target, "manifest.json"), "utf8"))).toEqual(parts.manifest);
  const script = await readFile(join(target, "index.js"), "utf8");
  expect(script).not.toMatch(/\bimport\s*\(?[{*"']|\brequire\(/);
  const { load, InputError } = await importBundle(target);
  const model = await load({ gpu: countingGPU() });
  expectClose((await model.run({ u: signal(30) })).y.data, reference(signal(30)).y);
  await expect(model.run({} as { u: Float32Array })).rejects.toBeInstanceOf(InputError);
  model.destroy();
});

test("the runtime's share of a bundle stays small", async () => {
  const script = (await bundleFiles(parts)).get("index.js") ?? "";
  expect(gzipSync(script, { level: 9 }).length).toBeLessThan(11_130);
});

test("the declarations stand alone and know the model's inputs and outputs", async () => {
  const types = String((await bundleFiles(parts)).get("index.d.ts"));
  const project = new Project({
    compilerOptions: { strict: true, lib: ["lib.es2022.d.ts", "lib.dom.d.ts"], types: [], noEmit: true, module: 99, target: 9 },
    useInMemoryFileSystem: true,
  });
  project.createSourceFile("index.d.ts", types);
  const use = project.createSourceFile(
    "use.ts",
    `import { InputError, load } from "./index.js";
const model = await load({ onProgress: ({ loaded, total }) => void (loaded / total) });
const { y, last } = await model.run({ u: new Float32Array(3) }, { mode: "recurrence" });
const floats: Float32Array = y.data;
const left: GPUBuffer = (await model.run({ u: { data: floats, dims: [1, 3, 1] } }, { onDevice: true })).last.data;
const stream = await model.stream({ from: await (await model.stream()).save() });
await (await stream.fork()).push({ u: left });
export const dim: string | undefined = new InputError("u", "L", "").dim;
export { last };
`,
  );
  expect(project.getPreEmitDiagnostics().map((diagnostic) => JSON.stringify(diagnostic.getMessageText()))).toEqual([]);
  use.replaceWithText(`import { load } from "./index.js";
const model = await load();
await model.run({ v: new Float32Array(3) });
(await model.run({ u: new Float32Array(3) })).logits;
await model.run({ u: new Int32Array(3) });
`);
  expect(use.getPreEmitDiagnostics().map((diagnostic) => diagnostic.getLineNumber())).toEqual([3, 4, 5]);
});

test("an earlier build is replaced as a whole", async () => {
  const target = join(folder, "bundle");
  await packBundle(parts, target);
  await writeFile(join(target, "weights-00001-of-00002.safetensors"), "old");
  await packBundle({ ...parts, manifest: { ...parts.manifest, name: "newer" } }, target);
  expect((await readdir(target)).sort()).toEqual(all);
  expect(await readFile(join(target, "manifest.json"), "utf8")).toContain("newer");
  expect(await readdir(folder)).toEqual(["bundle"]);
});

test("an empty folder is taken", async () => {
  await packBundle(parts, folder);
  expect((await readdir(folder)).sort()).toEqual(all);
});

const foreign: readonly (readonly [string, (target: string) => Promise<unknown>])[] = [
  ["a file", (target) => writeFile(target, "x")],
  ["a folder of something else", async (target) => mkdir(target).then(() => writeFile(join(target, "thesis.txt"), "x"))],
  [
    "a folder with another manifest",
    async (target) => mkdir(target).then(() => writeFile(join(target, "manifest.json"), '{"name": "an app"}')),
  ],
  ["a bundle with a file added", async (target) => packBundle(parts, target).then(() => writeFile(join(target, "page.html"), "x"))],
];
test.each(foreign)("%s is not replaced: output-not-ours", async (_what, make) => {
  const target = join(folder, "bundle");
  await make(target);
  const before = await readdir(folder, { recursive: true });
  await expect(packBundle(parts, target)).rejects.toMatchObject({ code: "output-not-ours" });
  expect(await readdir(folder, { recursive: true })).toEqual(before);
});

test.skipIf(process.platform !== "linux")("a file system that makes no folders is output-write-failed", async () => {
  await expect(packBundle(parts, "/proc/recurve/bundle")).rejects.toMatchObject({ code: "output-write-failed" });
});

test("a write that fails leaves nothing new and the earlier build as it was", async () => {
  const target = join(folder, "bundle");
  const shards = parts.plan.shards.map((one) => ({ ...one, file: "missing/weights.safetensors" }));
  const failing: BundleParts = { ...parts, plan: { ...parts.plan, shards } };
  await expect(packBundle(failing, join(folder, "new", "bundle"))).rejects.toMatchObject({ code: "output-write-failed" });
  await expect(packBundle(parts, join(folder, "new", "n".repeat(300), "bundle"))).rejects.toMatchObject({ code: "output-write-failed" });
  expect(await readdir(folder)).toEqual([]);
  await packBundle(parts, target);
  const before = await readdir(folder, { recursive: true });
  await expect(packBundle(failing, target)).rejects.toMatchObject({ code: "output-write-failed" });
  expect(await readdir(folder, { recursive: true })).toEqual(before);
  await expect(packBundle(parts, join(target, "manifest.json", "inside"))).rejects.toMatchObject({
    code: expect.stringMatching(/^output-/),
  });
});
