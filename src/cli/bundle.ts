/** Bundles on disk: recognized by their manifest, loaded as the ES modules they are. */
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { CompileError } from "../ir/error.ts";
import type { LoadedModel, LoadOptions, TensorInput, TensorOutput } from "../runtime/api.ts";

export type AnyInputs = Readonly<Record<string, TensorInput<Float32Array> | TensorInput<Int32Array>>>;
export type AnyOutputs = Readonly<Record<string, TensorOutput<Float32Array | Int32Array>>>;
/** A loaded bundle whose inputs and outputs are known by name only. */
export type AnyModel = LoadedModel<AnyInputs, AnyOutputs, unknown>;

/** The module that is a bundle's `index.js`. */
interface BundleModule {
  readonly load: (options?: LoadOptions) => Promise<AnyModel>;
}

/** What the command line reads of a `manifest.json`. */
export interface BundleManifest {
  readonly format: 1;
  readonly name: string;
  readonly [more: string]: unknown;
}

/** Reads the manifest of a bundle. Throws: `bundle-missing`, `bundle-manifest`. */
export async function readManifest(folder: string): Promise<BundleManifest> {
  const path = join(folder, "manifest.json");
  const text = await readFile(path, "utf8").catch((cause: unknown) => {
    throw new CompileError({
      code: "bundle-missing",
      message: `${folder} holds no manifest.json (${reason(cause)})`,
      fix: "give the folder that `recurve build -o` wrote",
    });
  });
  const manifest = parse(text);
  if (isManifest(manifest)) return manifest;
  throw new CompileError({
    code: "bundle-manifest",
    message: `${path} is not the manifest of a bundle this version reads`,
    fix: "build the bundle again with this version",
  });
}

/** Loads a bundle. Throws: `bundle-missing`, `bundle-manifest`, `bundle-broken`, and the bundle's own errors. */
export async function loadBundle(folder: string, options: LoadOptions): Promise<AnyModel> {
  await readManifest(folder);
  const { load } = await importBundle(folder);
  return load(options);
}

async function importBundle(folder: string): Promise<BundleModule> {
  const path = resolve(folder, "index.js");
  try {
    const module: unknown = await import(pathToFileURL(path).href);
    if (hasLoad(module)) return module;
  } catch (error) {
    throw broken(path, reason(error));
  }
  throw broken(path, "it exports no function `load`");
}

function broken(path: string, why: string): CompileError {
  return new CompileError({
    code: "bundle-broken",
    message: `${path} cannot be loaded: ${why}`,
    fix: "build the bundle again, or copy it again",
  });
}

function hasLoad(module: unknown): module is BundleModule {
  return typeof module === "object" && module !== null && "load" in module && typeof module.load === "function";
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isManifest(value: unknown): value is BundleManifest {
  return (
    typeof value === "object" &&
    value !== null &&
    "format" in value &&
    value.format === 1 &&
    "name" in value &&
    typeof value.name === "string"
  );
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
