/**
 * Closed-form entries of a system's matrices: scalar expressions of the parameters of an `ssm`. Not tensors: they exist
 * once per system, and the compiler evaluates them in float64.
 */
import { call, constant, evalExpr, type Expr, type ScalarFn } from "../ir/expr.ts";
import { fail } from "./trace.ts";

/** An entry computed from the parameters of an `ssm`. */
export interface Scalar {
  readonly kind: "scalar";
  readonly expr: Expr;
}
/** An entry, or a number that stands for one. */
export type Entry = Scalar | number;

/** A matrix of entries, row by row. */
export interface Matrix {
  readonly kind: "matrix";
  readonly rows: readonly (readonly Expr[])[];
}

export const scalar = (expr: Expr): Scalar => ({ kind: "scalar", expr });

export function isScalar(x: unknown): x is Scalar {
  return typeof x === "object" && x !== null && "kind" in x && x.kind === "scalar";
}

/** The expression of an entry. */
export function entryExpr(entry: Entry): Expr {
  if (typeof entry === "number") return constant(entry);
  return isScalar(entry)
    ? entry.expr
    : fail(
        "bad-entry",
        "an entry of a system is neither a number nor made of its parameters",
        "build entries with neg, times, plus, minus, over, sq",
      );
}

/** A call, computed now where all its arguments are numbers. */
export function scalarCall(fn: ScalarFn, ...args: readonly Entry[]): Scalar {
  const expr = call(fn, ...args.map(entryExpr));
  return scalar(expr.op === "call" && expr.args.every((a) => a.op === "const") ? constant(evalExpr(expr, [])) : expr);
}

/** -a */
export const neg = (a: Entry): Scalar => scalarCall("neg", a);
/** a b */
export const times = (a: Entry, b: Entry): Scalar => scalarCall("mul", a, b);
/** a + b */
export const plus = (a: Entry, b: Entry): Scalar => scalarCall("add", a, b);
/** a - b */
export const minus = (a: Entry, b: Entry): Scalar => scalarCall("sub", a, b);
/** a / b */
export const over = (a: Entry, b: Entry): Scalar => scalarCall("div", a, b);
/** a^2 */
export const sq = (a: Entry): Scalar => scalarCall("mul", a, a);

/**
 * A matrix, row by row.
 * Throws: CompileError `bad-matrix` where the rows differ in length.
 */
export function mat(rows: readonly (readonly Entry[])[]): Matrix {
  const width = rows[0]?.length ?? 0;
  if (width === 0 || rows.some((row) => row.length !== width))
    fail(
      "bad-matrix",
      `the rows of a matrix have ${rows.map((r) => r.length).join(", ")} entries`,
      "give every row the same number of entries, at least one",
    );
  return { kind: "matrix", rows: rows.map((row) => row.map(entryExpr)) };
}

/** A matrix whose entry in row i, column j (from 0) is `entry(i, j)`. */
export function matOf(rows: number, columns: number, entry: (i: number, j: number) => Entry): Matrix {
  return mat(Array.from({ length: rows }, (_, i) => Array.from({ length: columns }, (__, j) => entry(i, j))));
}

/** The diagonal matrix of these entries. */
export function diag(entries: readonly Entry[]): Matrix {
  return matOf(entries.length, entries.length, (i, j) => (i === j ? (entries[i] ?? 0) : 0));
}
