/**
 * Writes a bundle: the entry module bundled with the runtime, its declarations, the manifest and the weight shards, as a
 * whole folder or not at all. What is in them was decided before.
 */
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, realpath, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { printDeclarations, printEntry, typeModules } from "./codegen/glue.ts";
import type { BundleParts, PlanSource } from "./codegen/plan-source.ts";
import { bug, CompileError } from "./ir/error.ts";

/** The runtime's modules, as source: the package ships it, and what tsc makes of it is larger. */
const RUNTIME = fileURLToPath(new URL("../src/runtime/", import.meta.url));
/** What a bundle's folder may hold. */
const OURS = /^(index\.js|index\.d\.ts|manifest\.json|weights.*\.safetensors|tokenizer(_config)?\.json)$/;

/** Writes the bundle into `folder`. Throws: `output-not-ours`, `output-write-failed`. */
export async function packBundle(parts: BundleParts, folder: string): Promise<void> {
  const target = await realpath(folder).catch(() => resolve(folder));
  await checkTarget(target);
  const files = await bundleFiles(parts);
  const temporary = join(dirname(target), `.${basename(target)}.${randomUUID()}`);
  let created: string | undefined;
  try {
    created = await makeFolder(dirname(target));
    await mkdir(temporary);
    for (const [name, content] of files) await writeFile(join(temporary, name), content, { flag: "wx" });
    await replaceFolder(temporary, target);
  } catch (cause) {
    await rm(temporary, { recursive: true, force: true });
    if (created !== undefined) await rm(created, { recursive: true, force: true });
    throw new CompileError({
      code: "output-write-failed",
      message: `${folder} cannot be written: ${cause instanceof Error ? cause.message : String(cause)}`,
      fix: "make room there, or choose with -o another folder that you may write to",
    });
  }
}

/**
 * Makes a folder and those it is in; the outermost one made, if any. Not Node's recursive mkdir, which never ends where a
 * file system without new folders, such as /proc, says that there is no such file.
 */
async function makeFolder(path: string): Promise<string | undefined> {
  if (existsSync(path)) return undefined;
  const outer = await makeFolder(dirname(path));
  await mkdir(path).catch(async (error: unknown) => {
    if (hasCode(error, "EEXIST")) return;
    if (outer !== undefined) await rm(outer, { recursive: true, force: true });
    throw error;
  });
  return outer ?? path;
}

/** The files of a bundle by name. */
export async function bundleFiles({
  plan,
  shards,
  manifest,
  files = new Map(),
  characters,
}: BundleParts): Promise<Map<string, string | Uint8Array>> {
  const [script, types] = await Promise.all([bundleScript(plan, characters), runtimeTypes(plan)]);
  return new Map<string, string | Uint8Array>([
    ["index.js", script],
    ["index.d.ts", printDeclarations(plan, types)],
    ["manifest.json", `${JSON.stringify(manifest, undefined, 2)}\n`],
    ...files,
    ...plan.shards.map(({ file }, i) => [file, shards[i] ?? bug(`no content for ${file}`)] as const),
  ]);
}

/** `index.js`: minified, without imports. */
async function bundleScript(plan: PlanSource, characters: string | undefined): Promise<string> {
  const { outputFiles } = await build({
    stdin: { contents: printEntry(plan, characters), resolveDir: RUNTIME, sourcefile: "index.ts", loader: "ts" },
    bundle: true,
    write: false,
    minify: true,
    format: "esm",
    target: "es2022",
    platform: "neutral",
    charset: "utf8",
    logLevel: "silent",
  });
  return outputFiles[0]?.text ?? bug("esbuild wrote nothing");
}

/** The text of the runtime's public types. */
async function runtimeTypes(plan: PlanSource): Promise<string> {
  const texts = await Promise.all(typeModules(plan).map((module) => readFile(join(RUNTIME, `${module}.ts`), "utf8")));
  return texts.join("\n");
}

/** Refuses a folder whose content a bundle does not replace. Throws: `output-not-ours`. */
async function checkTarget(target: string): Promise<void> {
  const refuse = (message: string): never => {
    throw new CompileError({
      code: "output-not-ours",
      message: `${target} ${message}`,
      fix: "choose with -o a new folder, an empty one, or that of an earlier build",
    });
  };
  let names: string[];
  try {
    names = await readdir(target);
  } catch (error) {
    if (hasCode(error, "ENOENT")) return;
    if (hasCode(error, "ENOTDIR")) return refuse("is a file");
    return refuse(`cannot be looked into: ${String(error)}`);
  }
  if (names.length === 0) return;
  if (!(await isOurs(target))) refuse("is not empty, and holds no manifest.json of a bundle");
  const foreign = names.find((name) => !OURS.test(name));
  if (foreign !== undefined) refuse(`holds ${foreign}, which is no part of a bundle and would be lost`);
}

async function isOurs(target: string): Promise<boolean> {
  try {
    const manifest = JSON.parse(await readFile(join(target, "manifest.json"), "utf8")) as { format?: unknown; compiler?: unknown };
    return typeof manifest.format === "number" && String(manifest.compiler).startsWith("recurve");
  } catch {
    return false;
  }
}

/** Puts `from` in the place of `target`; puts the old folder back where that fails. */
async function replaceFolder(from: string, target: string): Promise<void> {
  const old = `${from}.old`;
  const existed = await rename(target, old).then(
    () => true,
    (error: unknown) => {
      if (hasCode(error, "ENOENT")) return false;
      throw error;
    },
  );
  try {
    await rename(from, target);
  } catch (error) {
    if (existed) await rename(old, target);
    throw error;
  }
  await rm(old, { recursive: true, force: true });
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
