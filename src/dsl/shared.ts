/** `shared`: one block called several times with the same parameters. */
import type { ValueId } from "../ir/graph.ts";
import { scope, trace, type Trace } from "./trace.ts";

/** What the first call of a shared block declared. */
interface Declared {
  readonly names: readonly string[];
  readonly parameters: readonly (readonly [string, ValueId])[];
}

/**
 * `block`, all of whose calls in a model have the parameters of the first, as Zamba's layers share their attention. They are named
 * behind `name` alone, whatever scopes the calls are in. What a stream keeps is each call's own.
 * Throws: CompileError `shape-mismatch` from a call that needs a parameter of another shape.
 */
export function shared<A extends readonly unknown[], R>(name: string, block: (...args: A) => R): (...args: A) => R {
  const declared = new WeakMap<Trace, Declared>();
  return (...args) => {
    const running = trace();
    const outer = running.scopes.splice(0);
    const made = declared.get(running);
    const before = { names: new Set(running.names), parameters: new Set(running.parameters.keys()) };
    for (const own of made?.names ?? []) running.names.delete(own);
    for (const [own, value] of made?.parameters ?? []) running.again.set(own, value);
    try {
      return scope(name, () => block(...args));
    } finally {
      running.scopes.push(...outer);
      for (const [own] of made?.parameters ?? []) running.again.delete(own);
      if (made === undefined)
        declared.set(running, {
          names: [...running.names].filter((own) => !before.names.has(own)),
          parameters: [...running.parameters].filter(([own]) => !before.parameters.has(own)),
        });
    }
  };
}
