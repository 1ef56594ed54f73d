/**
 * Runs inside the worker thread, bundled with the user's model: imports the model file and posts its graph, or what went
 * wrong. Knows nothing of files or frames; `run.ts` turns places in the script into the user's.
 */
import { parentPort, workerData } from "node:worker_threads";
import { isModel } from "../dsl/model.ts";
import { useSites } from "../dsl/trace.ts";
import { CompileError, type Diagnostic, type Loc } from "../ir/error.ts";
import type { Graph } from "../ir/graph.ts";

/** What the worker is given. */
export interface WorkerInput {
  readonly sites: readonly Loc[];
  /** Element 0: one more than the number of the last call that ran; 0 before the first. */
  readonly progress: Int32Array;
}

/** What the worker posts, once. */
export type WorkerOutput =
  | { readonly kind: "model"; readonly graph: Graph; readonly weights: string | undefined }
  | { readonly kind: "diagnostic"; readonly diagnostic: Diagnostic }
  | { readonly kind: "thrown"; readonly message: string; readonly stack: string }
  | { readonly kind: "no-default" }
  | { readonly kind: "wrong-default"; readonly what: string };

/** Imports the model file and posts the result. */
export async function report(load: () => Promise<object>): Promise<void> {
  const { sites, progress }: WorkerInput = workerData;
  useSites(sites, (site) => {
    progress[0] = site + 1;
  });
  parentPort?.postMessage(await outputOf(load));
}

async function outputOf(load: () => Promise<object>): Promise<WorkerOutput> {
  try {
    const file = await load();
    const value: unknown = "default" in file ? await file.default : undefined;
    if (value === undefined) return { kind: "no-default" };
    return isModel(value)
      ? { kind: "model", graph: value.graph, weights: value.weights }
      : { kind: "wrong-default", what: describe(value) };
  } catch (error) {
    if (error instanceof CompileError)
      return { kind: "diagnostic", diagnostic: { code: error.code, message: error.message, fix: error.fix, loc: error.loc } };
    return error instanceof Error
      ? { kind: "thrown", message: `${error.name}: ${error.message}`, stack: error.stack ?? "" }
      : { kind: "thrown", message: String(error), stack: "" };
  }
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return "an array";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}
