/** The parameters of S4 of version 4, made from those of versions 2 and 3, which keep them in `kernel.kernel` and D beside it. */
import type { ParamSpec, Stored } from "./scheme.ts";
import { as, firstHeld, type Held, leafOf, mapped, prefixOf, torchParameter } from "./sources.ts";

/** Where one parameter of the kernel comes from; `at` gives the older layer's full name of a leaf. */
export type KernelRule = (at: (leaf: string) => string, shape: readonly number[], held: Held) => Stored;
/** By the names of version 4. */
export type KernelRules = Readonly<Record<string, KernelRule>>;

/** What versions 2 and 3 have in common. lambda = -f(w_real) + i w_imag there, and -f(A_real) - i A_imag in version 4. */
export const kernelRules = {
  /** One step size a feature; of the same values the later version makes a column. */
  inv_dt: (at, shape) => as(at("log_dt"), ...(shape[1] === 1 ? [[shape[0] ?? 0], shape] : [shape])),
  A_real: (at, shape, held) => as(firstHeld(["inv_w_real", "log_w_real", "inv_A_real", "log_A_real"].map(at), held), shape),
  A_imag: (at, shape, held) => mapped(firstHeld(["w_imag", "A_imag"].map(at), held), (x) => -x, shape),
  B: (at, shape) => as(at("B"), shape, shape.slice(1)),
  C: (at, shape) => as(at("C"), shape),
  P: (at, shape) => as(at("P"), shape),
  l_kernel: (at, shape) => as(at("L"), shape),
} as const satisfies KernelRules;

/**
 * The values of a parameter of version 4, by `rules` where it belongs to a kernel. The layer of version 4 that lies inside a
 * block is the block itself in older versions: `a.layer.kernel.C` was `a.kernel.kernel.C`, and `a.layer.D` was `a.D`.
 */
export function olderParameter(param: ParamSpec, held: Held, rules: KernelRules): Stored {
  const { name, shape } = param;
  const leaf = leafOf(name);
  const kernel = prefixOf(name);
  const rule = Object.hasOwn(rules, leaf) ? rules[leaf] : undefined;
  if (rule !== undefined && /(^|\.)kernel\.$/.test(kernel)) {
    const inner = kernel.slice(0, -"kernel.".length);
    const [outer = "", ...others] = blocksOf(inner).map((block) => `${block}kernel.kernel.`);
    const base = [outer, ...others].find((path) => [...held.keys()].some((key) => key.startsWith(path))) ?? outer;
    return rule((part) => base + part, shape, held);
  }
  if (leaf !== "D") return torchParameter(param, held);
  const path = firstHeld(
    blocksOf(prefixOf(name)).map((block) => `${block}D`),
    held,
  );
  return as(path, shape, ...(shape[0] === 1 ? [shape.slice(1)] : []));
}

/** Where an older block may lie whose layer of version 4 has this prefix. */
function blocksOf(prefix: string): readonly string[] {
  const outer = prefix.replace(/(^|\.)layer\.$/, "$1");
  return outer === prefix ? [prefix] : [outer, prefix];
}
