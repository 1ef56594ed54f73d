/** The rewritten model file, what it imports and the DSL as one script, by esbuild; maps its places back. */
import { SourceMap, type SourceMapping } from "node:module";
import { dirname, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { BuildFailure, Plugin } from "esbuild";
import { CompileError, type Loc } from "../ir/error.ts";
import { codeFrame } from "./frame.ts";
import { displayPath, dslFile, ownExtension, ownModules } from "./program.ts";
import { originalColumn, traceModule, type RewrittenFile } from "./rewrite.ts";

/** A script, and from its places to the user's. */
export interface Script {
  readonly text: string;
  /** The place in a user's file of a place in the script; undefined where it is not the user's code. */
  readonly locate: (line: number, column: number) => Loc | undefined;
}

/** What the process of the model file `entry` runs; `sites` are the places that its calls number. */
export async function bundleScript(entry: string, files: readonly RewrittenFile[], sites: readonly Loc[]): Promise<Script> {
  const { build } = await import("esbuild");
  const child = fileURLToPath(new URL(`./child${ownExtension}`, import.meta.url));
  const contents = `import { report } from ${JSON.stringify(child)};\nvoid report(${JSON.stringify(sites)}, () => require(${JSON.stringify(entry)}));\n`;
  try {
    const { outputFiles } = await build({
      stdin: { contents, resolveDir: dirname(entry), sourcefile: "recurve-entry.js", loader: "js" },
      bundle: true,
      write: false,
      format: "iife",
      platform: "node",
      target: "node20",
      sourcemap: "external",
      outfile: resolve(dirname(entry), "recurve-model.js"),
      logLevel: "silent",
      tsconfigRaw: "{}",
      define: { "import.meta.url": JSON.stringify(pathToFileURL(entry).href) },
      plugins: [userFiles(files)],
    });
    const [map, script] = ["map", "js"].map((end) => outputFiles.find((f) => f.path.endsWith(`.${end}`))?.text ?? "");
    return { text: script ?? "", locate: locator(map ?? "", dirname(entry), files) };
  } catch (error) {
    throw isBuildFailure(error) ? buildError(error, files) : error;
  }
}

/** Serves the rewritten text of the user's files, and our own modules to them. */
function userFiles(files: readonly RewrittenFile[]): Plugin {
  const texts = new Map(files.map((f) => [resolve(f.path), f.text]));
  return {
    name: "recurve-model",
    setup: (build) => {
      build.onResolve({ filter: /^recurve(\/|$)/ }, ({ path }) => {
        const file = ownModules.get(path);
        return file === undefined ? undefined : { path: file };
      });
      build.onResolve({ filter: new RegExp(`^${traceModule}$`) }, () => ({ path: dslFile("trace") }));
      build.onLoad({ filter: /\.[cm]?tsx?$/ }, ({ path }) => {
        const contents = texts.get(resolve(path));
        return contents === undefined ? undefined : { contents, loader: path.endsWith("x") ? "tsx" : "ts" };
      });
    },
  };
}

function locator(map: string, folder: string, files: readonly RewrittenFile[]): Script["locate"] {
  const sources = new Map(files.map((f) => [resolve(f.path), f]));
  let decoded: SourceMap | undefined;
  return (line, column) => {
    decoded ??= new SourceMap(JSON.parse(map));
    const found = decoded.findEntry(line - 1, column - 1);
    if (!isMapping(found)) return undefined;
    const file = sources.get(resolve(folder, found.originalSource));
    if (file === undefined) return undefined;
    const original = found.originalLine + 1;
    return { file: displayPath(file.path), line: original, column: originalColumn(file, original, found.originalColumn + 1) };
  };
}

const isMapping = (found: SourceMapping | object): found is SourceMapping => "originalSource" in found;

function isBuildFailure(error: unknown): error is BuildFailure {
  return error instanceof Error && "errors" in error && Array.isArray(error.errors);
}

function buildError({ errors }: BuildFailure, files: readonly RewrittenFile[]): CompileError {
  const [head] = errors;
  const place = head?.location;
  const file = place === null || place === undefined ? undefined : files.find((f) => resolve(f.path) === resolve(place.file));
  const fix = "import only files and packages that exist; a model file has no top-level await";
  const message = `the model file cannot be put together: ${head?.text ?? "unknown error"}`;
  if (place === null || place === undefined || file === undefined) return new CompileError({ code: "model-bundle", message, fix });
  const loc = { file: displayPath(file.path), line: place.line, column: originalColumn(file, place.line, place.column + 1) };
  return new CompileError({ code: "model-bundle", message, fix, loc, frame: codeFrame(file.original, loc.line, loc.column) });
}
