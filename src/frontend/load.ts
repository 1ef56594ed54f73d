/** From a user's model file to its graph: type-check, lift, rewrite, run. */
import { CompileError, type Loc } from "../ir/error.ts";
import type { Graph } from "../ir/graph.ts";
import { withFrame } from "./frame.ts";
import type { Limits } from "./run.ts";

/** A model file, loaded. */
export interface LoadedModel {
  readonly graph: Graph;
  readonly meta: {
    /** The naming scheme of its checkpoints; the model's own names where absent. */
    readonly weights: string | undefined;
    /** The user's files it was made from, absolute. */
    readonly files: readonly string[];
    /** Units: milliseconds. `typecheckMs` is TypeScript's: loading it, parsing, checking. */
    readonly typecheckMs: number;
    readonly otherMs: number;
  };
}

/** Options of `loadModel`. */
export interface LoadOptions {
  /** How long the model file may run; 10,000 where absent. */
  readonly timeoutMs?: number;
  /** How much memory it may take; 1024 where absent. */
  readonly memoryMb?: number;
}

/**
 * The graph of the model that a TypeScript file exports by default.
 * Throws: CompileError, with the place in the user's file and a frame.
 */
export async function loadModel(path: string, { timeoutMs = 10_000, memoryMb = 1024 }: LoadOptions = {}): Promise<LoadedModel> {
  try {
    return await load(path, { timeoutMs, memoryMb });
  } catch (error) {
    throw error instanceof CompileError ? withFrame(error) : error;
  }
}

async function load(path: string, limits: Limits): Promise<LoadedModel> {
  const start = performance.now();
  // Its process starts while TypeScript keeps this one busy.
  const ready = startBundler();
  const { checkProgram, locOf } = await import("./program.ts");
  const program = checkProgram(path);
  const checked = performance.now();
  const { rewrite } = await import("./rewrite.ts");
  const { files, sites } = rewrite(program);
  const [{ bundleScript }, { runScript }] = await Promise.all([import("./bundle.ts"), import("./run.ts")]);
  await ready;
  const script = await bundleScript(program.entry.fileName, files, sites);
  const fallback: Loc = locOf(program.entry, defaultExport(program.entry.text));
  const { graph, weights } = await runScript(script, sites, fallback, limits);
  const done = performance.now();
  return { graph, meta: { weights, files: files.map((f) => f.path), typecheckMs: checked - start, otherMs: done - checked } };
}

async function startBundler(): Promise<void> {
  const { transform } = await import("esbuild");
  await transform("");
}

/** Where `export default` begins; the first character where there is none. */
function defaultExport(text: string): number {
  return Math.max(0, text.search(/^export default\b/m));
}
