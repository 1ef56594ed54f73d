/** Runs a list of passes, and holds each to its word: the graph is verified, needs and ensured properties are checked. */
import { bug, CompileError } from "../ir/error.ts";
import { verifyGraph } from "../ir/verify.ts";
import type { Module, Pass, PassContext } from "./pass.ts";
import { properties } from "./properties.ts";

export interface RunOptions {
  /** Stop after the pass of this name. */
  readonly after?: string | undefined;
  /** Sees the module after every pass. */
  readonly onPass?: ((pass: Pass, module: Module) => void) | undefined;
}

/**
 * The module after all passes, or after the one named.
 *
 * Throws: CompileError `pass-unknown`; `bug: ...` where a pass breaks the graph or a property.
 */
export function runPasses(passes: readonly Pass[], module: Module, context: PassContext, options: RunOptions = {}): Module {
  const end = options.after === undefined ? passes.length - 1 : passes.findIndex((p) => p.name === options.after);
  if (options.after !== undefined && end < 0) {
    const names = passes.map((p) => p.name).join(", ");
    throw new CompileError({ code: "pass-unknown", message: `there is no pass ${options.after}`, fix: `name one of ${names}` });
  }
  verifyGraph(module.graph);
  return passes.slice(0, end + 1).reduce((now, pass) => runPass(pass, now, context, options), module);
}

function runPass(pass: Pass, module: Module, context: PassContext, options: RunOptions): Module {
  check(pass, "needs", module);
  const after = pass.run(module, context);
  verifyAfter(pass, after);
  check(pass, "ensures", after);
  options.onPass?.(pass, after);
  return after;
}

function verifyAfter(pass: Pass, module: Module): void {
  try {
    verifyGraph(module.graph);
  } catch (error) {
    bug(`pass ${pass.name} breaks the graph: ${error instanceof Error ? error.message.replace(/^bug: /, "") : String(error)}`);
  }
}

function check(pass: Pass, when: "needs" | "ensures", module: Module): void {
  for (const property of pass[when]) {
    const fault = properties[property](module);
    if (fault !== undefined) bug(`pass ${pass.name} ${when} ${property}: ${fault}`);
  }
}
