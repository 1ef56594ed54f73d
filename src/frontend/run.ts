/** Runs a model's script in a worker thread under a time limit, and turns whatever goes wrong into an error at the user's line. */
import { Worker } from "node:worker_threads";
import { CompileError, type Diagnostic, type Loc } from "../ir/error.ts";
import type { Graph } from "../ir/graph.ts";
import type { Script } from "./bundle.ts";
import type { WorkerInput, WorkerOutput } from "./worker.ts";

/** What a model file gives. */
export interface Built {
  readonly graph: Graph;
  readonly weights: string | undefined;
}

type Outcome = WorkerOutput | { readonly kind: "timeout" } | { readonly kind: "memory" } | { readonly kind: "exit"; readonly code: number };

/** How long the file may run, and how much memory it may take. */
export interface Limits {
  readonly timeoutMs: number;
  readonly memoryMb: number;
}

/**
 * The model of a script; `fallback` is the place of errors that have no better one.
 * Throws: CompileError `model-timeout`, `model-memory`, `model-throws`, `model-no-default`, `model-wrong-default`, or what the DSL raised.
 */
export async function runScript(script: Script, sites: readonly Loc[], fallback: Loc, limits: Limits): Promise<Built> {
  const progress = new Int32Array(new SharedArrayBuffer(4));
  const outcome = await outcomeOf(script.text, { sites, progress }, limits);
  if (outcome.kind === "model") return { graph: outcome.graph, weights: outcome.weights };
  const lastCall = sites[(progress[0] ?? 0) - 1];
  const thrown = outcome.kind === "thrown" ? thrownAt(outcome.stack, script) : undefined;
  const isDefault = outcome.kind === "no-default" || outcome.kind === "wrong-default";
  const diagnostic = diagnosticOf(outcome, limits, lastCall === undefined ? "" : "; this is the last call it made");
  throw new CompileError({ ...diagnostic, loc: diagnostic.loc ?? thrown ?? (isDefault ? undefined : lastCall) ?? fallback });
}

/** What went wrong, with its place only where the DSL knew it. */
function diagnosticOf(outcome: Exclude<Outcome, { kind: "model" }>, { timeoutMs, memoryMb }: Limits, last: string): Diagnostic {
  const fixExport = "write `export default model(...)`";
  const fixLoop = "look for a loop that does not end";
  switch (outcome.kind) {
    case "diagnostic":
      return outcome.diagnostic;
    case "thrown":
      return {
        code: "model-throws",
        message: `the model file throws ${outcome.message}`,
        fix: "correct the model file: it runs once, when the model is built",
      };
    case "no-default":
      return { code: "model-no-default", message: "the model file has no default export", fix: fixExport };
    case "wrong-default":
      return { code: "model-wrong-default", message: `the default export is ${outcome.what}, not a model`, fix: fixExport };
    case "timeout":
      return { code: "model-timeout", message: `the model file did not finish within ${timeoutMs / 1000} s${last}`, fix: fixLoop };
    case "memory":
      return {
        code: "model-memory",
        message: `the model file needs more than ${memoryMb} MB${last}`,
        fix: `${fixLoop}; weights belong in a file, not in the model`,
      };
    case "exit":
      return {
        code: "model-throws",
        message: `the model file ended its process with code ${outcome.code}`,
        fix: "remove the call of process.exit",
      };
  }
}

async function outcomeOf(text: string, input: WorkerInput, { timeoutMs, memoryMb }: Limits): Promise<Outcome> {
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
        else reject(error);
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
