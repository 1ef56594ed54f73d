/**
 * Runs a model's script under limits of time and memory, and turns whatever goes wrong into an error at the user's line.
 * In a process of its own, because a thread that runs out of memory takes the whole process with it.
 */
import { spawn, type ChildProcess } from "node:child_process";
import type { Readable } from "node:stream";
import { CompileError, type Diagnostic, type Loc } from "../ir/error.ts";
import type { Graph } from "../ir/graph.ts";
import type { Script } from "./bundle.ts";
import { outputDescriptor, type ChildOutput } from "./child.ts";

/** What a model file gives. */
export interface Built {
  readonly graph: Graph;
  readonly weights: string | undefined;
}

type Outcome = ChildOutput | { readonly kind: "timeout" } | { readonly kind: "memory" } | { readonly kind: "exit"; readonly code: number };

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
  const { outcome, last } = await outcomeOf(script.text, limits);
  if (outcome.kind === "model") return { graph: outcome.graph, weights: outcome.weights };
  const lastCall = last === undefined ? undefined : sites[last];
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

/** The name of the script in its stacks. */
const scriptName = "recurve-model.js";

/** Runs the script it reads, and ends by itself where its parent is gone. */
const starter = (timeoutMs: number): string =>
  `globalThis.require = require; require("node:vm").runInThisContext(require("node:fs").readFileSync(0, "utf8"), { filename: "${scriptName}", timeout: ${timeoutMs} });`;

interface Ending {
  readonly outcome: Outcome;
  /** The number of the last call that started. */
  readonly last: number | undefined;
}

async function outcomeOf(text: string, { timeoutMs, memoryMb }: Limits): Promise<Ending> {
  const child = spawn(process.execPath, [`--max-old-space-size=${memoryMb}`, "-e", starter(timeoutMs + 1000)], {
    stdio: ["pipe", "pipe", "pipe", "pipe"],
    env: { ...process.env, NODE_OPTIONS: "" },
  });
  const lines = collect(child.stdio[outputDescriptor] as Readable);
  const errors = collect(child.stderr);
  // What the model file prints must not mix with what the command prints.
  child.stdout.on("data", (chunk: Uint8Array) => process.stderr.write(chunk));
  // It may end before it has read the script.
  child.stdin.on("error", () => {}).end(text);
  const { code, timedOut } = await ended(child, timeoutMs);
  const output = lines()
    .split("\n")
    .filter((line) => line !== "");
  const result = output.at(-1)?.startsWith("{") === true ? (JSON.parse(output.pop() ?? "") as ChildOutput) : undefined;
  const last = output.length === 0 ? undefined : Number(output.at(-1));
  // V8 aborts where it has no memory left; the system kills.
  const outOfMemory = !timedOut && (code === null || errors().includes("heap out of memory"));
  if (!outOfMemory) process.stderr.write(errors());
  return {
    outcome: timedOut ? { kind: "timeout" } : (result ?? (outOfMemory ? { kind: "memory" } : { kind: "exit", code: code ?? 0 })),
    last,
  };
}

/** The text that a stream gives until it is read. */
function collect(stream: Readable): () => string {
  const chunks: Uint8Array[] = [];
  stream.on("data", (chunk: Uint8Array) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString("utf8");
}

/** Waits for the end of a process and its streams, or makes it. */
async function ended(child: ChildProcess, timeoutMs: number): Promise<{ readonly code: number | null; readonly timedOut: boolean }> {
  let timedOut = false;
  const kill = (): void => {
    child.kill("SIGKILL");
  };
  const timer = setTimeout(() => {
    timedOut = true;
    kill();
  }, timeoutMs);
  process.once("exit", kill);
  try {
    return await new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code) => resolve({ code, timedOut }));
    });
  } finally {
    clearTimeout(timer);
    process.off("exit", kill);
  }
}

/** The innermost frame of a stack that is the user's code. */
function thrownAt(stack: string, script: Script): Loc | undefined {
  for (const [, line, column] of stack.matchAll(/recurve-model\.js:(\d+):(\d+)/g)) {
    const loc = script.locate(Number(line), Number(column));
    if (loc !== undefined) return loc;
  }
  return undefined;
}
