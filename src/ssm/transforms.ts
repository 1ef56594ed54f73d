/** How a positive quantity is stored as an unbounded parameter: the maps of the published S4 code, and their inverses. */
import { CompileError, type Loc } from "../ir/error.ts";

/** A parameter's value from what is stored, and back. */
export interface Transform {
  readonly value: (stored: number) => number;
  /** Of a value the map reaches; NaN for others. */
  readonly stored: (value: number) => number;
}

/** What `relu` adds, so that no value is 0. */
const least = 1e-4;

const table: Readonly<Record<string, Transform>> = {
  none: { value: (p) => p, stored: (v) => v },
  exp: { value: Math.exp, stored: Math.log },
  relu: { value: (p) => Math.max(p, 0) + least, stored: (v) => (v >= least ? v - least : NaN) },
  sigmoid: { value: (p) => 1 / (1 + Math.exp(-p)), stored: (v) => Math.log(v / (1 - v)) },
  softplus: { value: (p) => Math.max(p, 0) + Math.log1p(Math.exp(-Math.abs(p))), stored: (v) => v + Math.log(-Math.expm1(-v)) },
};

/** The names of the maps. */
export const transformNames: readonly string[] = Object.keys(table);

/** Throws: CompileError `ssm-option`. */
export function transformNamed(name: string, loc?: Loc): Transform {
  const found = table[name];
  if (found !== undefined) return found;
  throw new CompileError({
    code: "ssm-option",
    message: `there is no transform "${name}"`,
    fix: `use one of ${transformNames.join(", ")}`,
    loc,
  });
}

/**
 * What to store for a starting value. A decay of 0, which only `none` reaches, starts at 1e-4.
 * Throws: CompileError `ssm-option` where the map reaches no such value.
 */
export function storedValue(name: string, value: number, loc?: Loc): number {
  const stored = transformNamed(name, loc).stored(name === "none" ? value : Math.max(value, least));
  if (Number.isFinite(stored)) return stored;
  throw new CompileError({
    code: "ssm-option",
    message: `the transform ${name} reaches no starting value of ${value}`,
    fix: "use the transform exp or softplus, which reach every number above 0",
    loc,
  });
}
