/**
 * Runs inside the process of a model file, bundled with it: loads the model and writes its graph, or what went wrong, to
 * the parent. Knows nothing of files or frames; `run.ts` turns places in the script into the user's.
 */
import { writeSync } from "node:fs";
import { isModel } from "../dsl/model.ts";
import { useSites } from "../dsl/trace.ts";
import { CompileError, type Diagnostic, type Loc } from "../ir/error.ts";
import type { Graph } from "../ir/graph.ts";

/** What the process writes last, as one line of JSON. */
export type ChildOutput =
  | { readonly kind: "model"; readonly graph: Graph; readonly weights?: string | undefined }
  | { readonly kind: "diagnostic"; readonly diagnostic: Diagnostic }
  | { readonly kind: "thrown"; readonly message: string; readonly stack: string }
  | { readonly kind: "no-default" }
  | { readonly kind: "wrong-default"; readonly what: string };

/** The file descriptor of the parent's ear: a line with a number for every call that starts, then the output. */
export const outputDescriptor = 3;

/** Loads the model file, which `sites` numbers the calls of, and writes the result. */
export async function report(sites: readonly Loc[], load: () => object): Promise<void> {
  useSites(sites, (site) => writeLine(String(site)));
  writeLine(JSON.stringify(await outputOf(load)));
  process.exit(0);
}

function writeLine(text: string): void {
  const bytes = new TextEncoder().encode(`${text}\n`);
  for (let from = 0; from < bytes.length;) from += writeSync(outputDescriptor, bytes, from);
}

async function outputOf(load: () => object): Promise<ChildOutput> {
  try {
    const file = load();
    const value: unknown = "default" in file ? await file.default : undefined;
    if (value === undefined) return { kind: "no-default" };
    return isModel(value)
      ? { kind: "model", graph: value.graph, weights: value.weights }
      : { kind: "wrong-default", what: describe(value) };
  } catch (error) {
    if (error instanceof CompileError) {
      const { code, message, fix, loc } = error;
      return { kind: "diagnostic", diagnostic: { code, message, fix, loc } };
    }
    return error instanceof Error
      ? { kind: "thrown", message: `${error.name}: ${error.message}`, stack: error.stack ?? "" }
      : { kind: "thrown", message: String(error), stack: "" };
  }
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return "an array";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}
