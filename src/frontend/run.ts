/** Runs a model's script in a worker thread under a time limit, and turns whatever goes wrong into an error at the user's line. */
import { Worker } from "node:worker_threads";
import { bug, CompileError, type Loc } from "../ir/error.ts";
import type { Graph } from "../ir/graph.ts";
import type { Script } from "./bundle.ts";
import type { WorkerInput, WorkerOutput } from "./worker.ts";

/** What a model file gives. */
export interface Built {
  readonly graph: Graph;
  readonly weights: string | undefined;
}

type Outcome = WorkerOutput | { readonly kind: "timeout" } | { readonly kind: "memory" } | { readonly kind: "exit"; readonly code: number };

const memoryMb = 1024;

/**
 * The model of a script; `fallback` is the place of errors that have no better one.
 * Throws: CompileError `model-timeout`, `model-throws`, `model-no-default`, `model-wrong-default`, or what the DSL raised.
 */
export async function runScript(script: Script, sites: readonly Loc[], fallback: Loc, timeoutMs: number): Promise<Built> {
  const progress = new Int32Array(new SharedArrayBuffer(4));
  const outcome = await outcomeOf(script.text, { sites, progress }, timeoutMs);
  const lastCall = sites[(progress[0] ?? 0) - 1];
  switch (outcome.kind) {
    case "model":
      return { graph: outcome.graph, weights: outcome.weights };
    case "diagnostic":
      throw new CompileError({ ...outcome.diagnostic, loc: outcome.diagnostic.loc ?? fallback });
    case "thrown":
      throw new CompileError({
        code: "model-throws",
        message: `the model file throws ${outcome.message}`,
        fix: "correct the model file: it runs once, when the model is built",
        loc: thrownAt(outcome.stack, script) ?? lastCall ?? fallback,
      });
    case "no-default":
      throw new CompileError({
        code: "model-no-default",
        message: "the model file has no default export",
        fix: "write `export default model(...)`",
        loc: fallback,
      });
    case "wrong-default":
      throw new CompileError({
        code: "model-wrong-default",
        message: `the default export is ${outcome.what}, not a model`,
        fix: "write `export default model(...)`",
        loc: fallback,
      });
    case "timeout":
      throw new CompileError({
        code: "model-timeout",
        message: `the model file did not finish within ${timeoutMs / 1000} s${lastCall === undefined ? "" : "; this is the last call it made"}`,
        fix: "look for a loop that does not end",
        loc: lastCall ?? fallback,
      });
    case "memory":
      throw new CompileError({
        code: "model-memory",
        message: `the model file needs more than ${memoryMb} MB${lastCall === undefined ? "" : "; this is the last call it made"}`,
        fix: "look for a loop that does not end; weights belong in a file, not in the model",
        loc: lastCall ?? fallback,
      });
    case "exit":
      throw new CompileError({
        code: "model-throws",
        message: `the model file ended its process with code ${outcome.code}`,
        fix: "remove the call of process.exit",
        loc: lastCall ?? fallback,
      });
  }
}

async function outcomeOf(text: string, input: WorkerInput, timeoutMs: number): Promise<Outcome> {
  const worker = new Worker(text, {
    eval: true,
    workerData: input,
    execArgv: [],
    stdout: true,
    resourceLimits: { maxOldGenerationSizeMb: memoryMb },
  });
  // What the model file prints must not mix with what the command prints.
  worker.stdout.on("data", (chunk: Uint8Array) => process.stderr.write(chunk));
  let timer: NodeJS.Timeout | undefined;
  try {
    return await new Promise<Outcome>((resolve, reject) => {
      timer = setTimeout(() => resolve({ kind: "timeout" }), timeoutMs);
      worker.once("message", resolve);
      worker.once("exit", (code) => resolve({ kind: "exit", code }));
      worker.once("error", (error) => {
        if ("code" in error && error.code === "ERR_WORKER_OUT_OF_MEMORY") resolve({ kind: "memory" });
        else if (error instanceof Error) resolve({ kind: "thrown", message: `${error.name}: ${error.message}`, stack: error.stack ?? "" });
        else reject(bug(`a worker failed with ${String(error)}`));
      });
    });
  } finally {
    clearTimeout(timer);
    await worker.terminate();
  }
}

/** The innermost frame of a stack that is the user's code. */
function thrownAt(stack: string, script: Script): Loc | undefined {
  for (const [, line, column] of stack.matchAll(/\[worker eval\]:(\d+):(\d+)/g)) {
    const loc = script.locate(Number(line), Number(column));
    if (loc !== undefined) return loc;
  }
  return undefined;
}
