/** Loading: progress, abort, no GPU, and shards that are missing, cut off, altered, or lying. */
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, expect, test, vi } from "vitest";
import type { LoadProgress } from "../../src/runtime/api.ts";
import { createLoader, WeightsError } from "../../src/runtime/index.ts";
import { parseShard } from "../../src/runtime/shards.ts";
import { makers, plan, reference, safetensors, shard, signal } from "./integrator.ts";
import { countingGPU, expectClose, expectNothingLeft, loadIntegrator, read } from "./setup.ts";

afterEach(() => {
  vi.unstubAllGlobals();
  expectNothingLeft();
});

test("progress counts bytes, then shaders, up to their totals", async () => {
  const seen: LoadProgress[] = [];
  const model = await loadIntegrator({ length: 100, onProgress: (progress) => seen.push(progress) });
  const weights = seen.filter(({ stage }) => stage === "weights");
  const shaders = seen.filter(({ stage }) => stage === "shaders");
  expect(weights.at(-1)).toEqual({ stage: "weights", loaded: shard.length, total: shard.length });
  expect(shaders.at(-1)?.loaded).toBe(shaders.at(-1)?.total);
  expect(shaders.length).toBe(5);
  model.destroy();
});

test("without WebGPU, or without an adapter: NoWebGPUError", async () => {
  vi.stubGlobal("navigator", undefined);
  const load = createLoader(plan, "https://nowhere.invalid/", makers);
  await expect(load({ read })).rejects.toMatchObject({ name: "NoWebGPUError", code: "no-webgpu" });
  const gpu = { requestAdapter: async () => null } as unknown as GPU;
  await expect(load({ read, gpu })).rejects.toMatchObject({ name: "NoWebGPUError" });
});

test("an aborted load rejects with the signal's reason and leaves nothing", async () => {
  const reason = new Error("enough");
  await expect(loadIntegrator({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  const controller = new AbortController();
  const hanging = loadIntegrator({ signal: controller.signal, read: () => new Promise(() => undefined) });
  setTimeout(() => controller.abort(reason), 5);
  await expect(hanging).rejects.toBe(reason);
});

test("shards are read beside the module: from files, and by HTTP", async () => {
  const folder = await mkdtemp(join(tmpdir(), "recurve-"));
  await writeFile(join(folder, "weights.safetensors"), shard);
  const server = createServer((request, response) => {
    if (request.url === "/x/weights.safetensors") response.end(shard);
    else if (request.url === "/long/weights.safetensors") response.end(Buffer.concat([shard, shard]));
    else response.writeHead(404).end();
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const address = server.address();
  const root = `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
  try {
    for (const base of [pathToFileURL(join(folder, "index.js")).href, `${root}/x/index.js`]) {
      const model = await createLoader<{ u: Float32Array }, { y: { data: Float32Array } }, object>(
        plan,
        base,
        makers,
      )({ gpu: countingGPU() });
      expectClose((await model.run({ u: signal(5) })).y.data, reference(signal(5)).y);
      model.destroy();
    }
    for (const base of [pathToFileURL(join(folder, "nothing", "index.js")).href, `${root}/y/index.js`, `${root}/long/index.js`]) {
      await expect(createLoader(plan, base, makers)({ gpu: countingGPU() })).rejects.toMatchObject({
        name: "WeightsError",
        shard: "weights.safetensors",
      });
    }
  } finally {
    server.close();
    await rm(folder, { recursive: true });
  }
});

test("a shard cut off or altered is a WeightsError that names it and its hash", async () => {
  await expect(loadIntegrator({ read: async () => shard.slice(0, -1).buffer })).rejects.toMatchObject({
    name: "WeightsError",
    shard: "weights.safetensors",
  });
  const altered = shard.slice();
  altered[altered.length - 1] = (altered.at(-1) ?? 0) ^ 1;
  const hash = createHash("sha256").update(altered).digest("hex");
  await expect(loadIntegrator({ read: async () => altered.buffer })).rejects.toMatchObject({
    name: "WeightsError",
    code: "weights-corrupt",
    hash,
  });
});

const entry = (change: object): Record<string, unknown> => ({ a: { dtype: "F32", shape: [2], data_offsets: [0, 8], ...change } });
const lying: readonly (readonly [string, Uint8Array<ArrayBuffer>])[] = [
  ["no header", new Uint8Array(3)],
  ["a header of 4 GB", Uint8Array.of(0, 0, 0, 0, 1, 0, 0, 0, 123)],
  ["a header that is not JSON", Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0, 123, 123)],
  ["a header that is a list", safetensors([] as unknown as Record<string, unknown>, new Uint8Array(0)).fill(32, 8)],
  ["an unknown dtype", safetensors(entry({ dtype: "F4" }), new Uint8Array(8))],
  ["a dtype of the prototype", safetensors(entry({ dtype: "toString" }), new Uint8Array(8))],
  ["a negative dim", safetensors(entry({ shape: [-2] }), new Uint8Array(8))],
  ["no shape", safetensors(entry({ shape: null }), new Uint8Array(8))],
  ["no offsets", safetensors(entry({ data_offsets: 3 }), new Uint8Array(8))],
  ["offsets over the end", safetensors(entry({}), new Uint8Array(7))],
  ["offsets that are not the shape's", safetensors(entry({ shape: [1] }), new Uint8Array(8))],
  ["a tensor that is null", safetensors({ a: null }, new Uint8Array(8))],
];
test.each(lying)("a shard with %s is a WeightsError", (_what, bytes) => {
  expect(() => parseShard("w", bytes)).toThrow(WeightsError);
});

test("tensors are found at any alignment, with their shapes", () => {
  const bytes = safetensors(
    {
      pad: { dtype: "I32", shape: [1], data_offsets: [0, 4] },
      a: { dtype: "F64", shape: [1, 1], data_offsets: [4, 12] },
      empty: { dtype: "F32", shape: [0, 3], data_offsets: [12, 12] },
    },
    new Uint8Array(new Float32Array([0, 0, 1.875]).buffer),
  );
  const tensors = parseShard("w", bytes);
  expect(tensors.get("a")).toEqual({ data: Float64Array.of(1), shape: [1, 1] });
  expect(tensors.get("empty")?.data.length).toBe(0);
});
