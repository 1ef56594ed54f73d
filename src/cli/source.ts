/** What `<model|checkpoint|bundle>` of a command names: something to compile, or a bundle's folder. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { CompileError } from "../ir/error.ts";
import type { Constant } from "../ir/graph.ts";
import { parseGraph } from "../ir/parse.ts";
import { withTensorFile } from "../files.ts";
import type { BundleManifest } from "./bundle.ts";
import { readParameter } from "../weights/stored.ts";
import type { Reference } from "./verification.ts";

/** Whether a path names a bundle: a folder with a manifest. */
export async function isBundle(path: string): Promise<boolean> {
  const info = await stat(join(path, "manifest.json")).catch(() => undefined);
  return info?.isFile() ?? false;
}

/**
 * What a bundle computes: the graph of its manifest with the values of its weight files.
 * Throws: `bundle-manifest`, `weights-file-*`.
 */
export async function bundleReference(folder: string, manifest: BundleManifest): Promise<Reference> {
  const graph = parseGraph(manifest.graph);
  const stored = new Map<string, Constant>();
  for (const { file } of manifest.shards) {
    await withTensorFile(join(folder, file), async ({ entries, read }) => {
      for (const [name, { shape }] of entries) stored.set(name, { shape, data: await read(name) });
    });
  }
  const constants = new Map<string, Constant>();
  const errors = new Map(manifest.weights?.tensors.map(({ name, rms, max, norm }) => [name, { rms, max, norm }]));
  for (const node of graph.nodes) {
    if (node.op !== "param") continue;
    const value = readParameter(
      node.name,
      node.type.dims.map(({ size }) => Number(size)),
      stored,
    );
    if (value === undefined) throw missing(folder, node.name);
    const { packed } = value;
    const error = errors.get(node.name);
    constants.set(node.name, packed === undefined || error === undefined ? value : { ...value, packed: { ...packed, error } });
  }
  return { graph, constants };
}

function missing(folder: string, name: string): CompileError {
  return new CompileError({
    code: "bundle-manifest",
    message: `the weights of ${folder} lack the parameter "${name}" of its graph`,
    fix: "build the bundle again",
  });
}
