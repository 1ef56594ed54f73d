/** The Vite plugin, through its hooks and in a Vite server. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createViteServer } from "vitest/node";
import { recurve } from "../../src/vite.ts";
import { scratch, tensorFile } from "../cli/cli.ts";
import { modelFile, TINY, tinyWeights } from "../cli/models.ts";

test("load builds the model, watches its files, and wraps the bundle with its weights as assets", async () => {
  const folder = await scratch();
  const model = await modelFile(folder);
  const weights = await tensorFile(folder, "w.safetensors", tinyWeights());
  const watched: string[] = [];
  const plugin = recurve();
  plugin.configResolved({ cacheDir: join(folder, "cache") });
  const code = await plugin.load.call(
    { addWatchFile: (file) => watched.push(file) },
    `${model}?weights=w.safetensors&maxLength=32&dtype=f16&recurve`,
  );
  expect(watched).toEqual(expect.arrayContaining([model, weights]));
  const index = /from "(.*\/index\.js)"/.exec(code ?? "")?.[1] ?? "";
  const manifest = JSON.parse(await readFile(index.replace("index.js", "manifest.json"), "utf8")) as {
    maxLength: number;
    weights: { tensors: { format: string }[] };
  };
  expect(manifest.maxLength).toBe(32);
  expect(manifest.weights.tensors.map(({ format }) => format)).toEqual(["f16", "f16"]);
  expect(code).toContain(`${index.replace("index.js", "weights.safetensors")}?url&no-inline`);
});

test("other modules are left alone", async () => {
  const plugin = recurve();
  expect(await plugin.load.call({ addWatchFile: () => undefined }, "/app/model.ts")).toBeUndefined();
  expect(await plugin.load.call({ addWatchFile: () => undefined }, "/app/icon.svg?url")).toBeUndefined();
  expect(await plugin.resolveId.call({ resolve: () => Promise.reject(new Error("asked")) }, "./model.ts?raw")).toBeUndefined();
});

test.each(["0", "-1", "ten", "1e3", ""])("maxLength=%s is refused", async (text) => {
  await expect(recurve().load.call({ addWatchFile: () => undefined }, `/app/model.ts?recurve&maxLength=${text}`)).rejects.toThrow(
    "maxLength",
  );
});

test.each(["dtype=bf16", "quantize=q2", "quantize="])("%s is refused", async (text) => {
  await expect(recurve().load.call({ addWatchFile: () => undefined }, `/app/model.ts?recurve&${text}`)).rejects.toThrow("is needed");
});

test("a fault of the model is Vite's error with its place, frame and fix", async () => {
  const folder = await scratch();
  const model = await modelFile(folder, TINY.replace("linear(u,", "linear(v,"));
  const plugin = recurve();
  plugin.configResolved({ cacheDir: join(folder, "cache") });
  const error: unknown = await plugin.load.call({ addWatchFile: () => undefined }, `${model}?recurve`).catch((e: unknown) => e);
  expect(error).toMatchObject({ loc: { file: model, line: 4, column: 20 }, frame: expect.stringContaining("> 4 |") as unknown });
});

test("a Vite server serves the bundle and its weights", async () => {
  const folder = await scratch();
  await mkdir(join(folder, "src"));
  await modelFile(join(folder, "src"));
  await writeFile(join(folder, "src", "main.js"), 'export { load } from "./model.ts?recurve";\n');
  const server = await createViteServer({
    root: folder,
    configFile: false,
    cacheDir: join(folder, "cache"),
    logLevel: "silent",
    plugins: [recurve()],
    server: { host: "127.0.0.1", port: 0, ws: false, watch: null },
    optimizeDeps: { noDiscovery: true },
  });
  try {
    await server.listen();
    const origin = new URL(server.resolvedUrls?.local[0] ?? "").origin;
    const text = async (path: string): Promise<string> => (await fetch(origin + path)).text();
    const importOf = (code: string, pattern: RegExp): string => pattern.exec(code)?.[1] ?? "";
    const wrapper = await text(importOf(await text("/src/main.js"), /from "([^"]*recurve[^"]*)"/));
    expect(await text(importOf(wrapper, /from "([^"]*index\.js)"/))).toContain("@compute");
    const asset = importOf(await text(importOf(wrapper, /from "([^"]*weights\.safetensors[^"]*)"/)), /export default "([^"]*)"/);
    expect((await text(asset)).slice(8)).toMatch(/^\{/);
  } finally {
    await server.close();
  }
});
