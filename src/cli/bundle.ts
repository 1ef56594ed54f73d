/** Bundles on disk: recognized by their manifest, loaded as the ES modules they are. */
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { CompileError } from "../ir/error.ts";
import type { Manifest } from "../compile.ts";
import type { LoadedModel, TensorInput, TensorOutput } from "../runtime/api.ts";
import type { LanguageLoadOptions } from "../runtime/language-api.ts";

export type AnyInputs = Readonly<Record<string, TensorInput<Float32Array> | TensorInput<Int32Array>>>;
export type AnyOutputs = Readonly<Record<string, TensorOutput<Float32Array | Int32Array>>>;
/** A loaded bundle whose inputs and outputs are known by name only. */
export type AnyModel = LoadedModel<AnyInputs, AnyOutputs, unknown>;

/** The module that is a bundle's `index.js`. */
interface BundleModule {
  readonly load: (options?: LanguageLoadOptions) => Promise<AnyModel>;
}

/** `manifest.json` as read back; `readManifest` checks what the command line uses of it. */
export type BundleManifest = Manifest;

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
export async function loadBundle(folder: string, options: LanguageLoadOptions): Promise<AnyModel> {
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

/** Checks the fields that are read; a manifest of another format version has none of these promises. */
function isManifest(value: unknown): value is BundleManifest {
  if (typeof value !== "object" || value === null) return false;
  const fields: Readonly<Record<string, unknown>> = { ...value };
  const { costs, shards } = fields;
  return (
    fields["format"] === 1 &&
    typeof fields["name"] === "string" &&
    typeof fields["graph"] === "string" &&
    Array.isArray(shards) &&
    shards.every((shard: unknown) => isNamed(shard, "file")) &&
    typeof costs === "object" &&
    costs !== null &&
    "programs" in costs
  );
}

function isNamed(value: unknown, key: string): boolean {
  return typeof value === "object" && value !== null && key in value;
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
