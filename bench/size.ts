/** How large bundles are: what a page loads beside the weights. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { buildBundle } from "../scripts/examples.ts";
import { bundleFiles } from "../src/pack.ts";
import type { Bench, Figure } from "./figure.ts";
import { compile, mamba, mamba130m } from "./mamba.ts";

const kilobytes = (name: string, script: string | Uint8Array, atMost: number): Figure => ({
  name,
  value: gzipSync(script, { level: 9 }).length / 1024,
  unit: "KB",
  atMost,
});

/** The script of an example's bundle. */
async function example(root: string, name: string): Promise<Uint8Array> {
  const folder = await mkdtemp(join(tmpdir(), "recurve-bench-"));
  try {
    buildBundle(root, name, join(folder, "bundle"));
    return await readFile(join(folder, "bundle", "index.js"));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The script of a language model. */
async function language(): Promise<string | Uint8Array> {
  const { plan, shards } = await compile(mamba(mamba130m));
  const manifest = { format: 1, compiler: "recurve of the benchmark", name: plan.name } as const;
  const files = await bundleFiles({ plan, shards: shards.map(({ bytes }) => bytes), manifest });
  return files.get("index.js") ?? "";
}

export const size: Bench = {
  name: "size",
  doc: "index.js gzipped, shaders included",
  device: false,
  run: async ({ root }) => [
    kilobytes("s4d-sfmnist, a classifier", await example(root, "s4d-sfmnist"), 20),
    kilobytes("mamba-austen, a language model of 4 layers", await example(root, "mamba-austen"), 25),
    kilobytes("a language model of 24 layers, the shapes of mamba-130m", await language(), 25),
  ],
};
