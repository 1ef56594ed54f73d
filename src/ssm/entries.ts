/** Closed-form entries of a dense system: A, B, C, D as numbers, from expressions of an ssm node's parameters. */
import { CompileError, type Loc } from "../ir/error.ts";
import { arityOf, evalExpr, type Expr } from "../ir/expr.ts";
import type { Constant, SystemEntries } from "../ir/graph.ts";

/**
 * `$k` in an entry is the k-th element of the parameters, one behind the other, matrices row by row. A parameter whose
 * leading dim is the number of groups G has the elements of one group behind it, and every group a system of its own.
 */
export function evaluateEntries(
  entries: SystemEntries,
  params: readonly Constant[],
  groups: number,
  loc?: Loc,
): Readonly<Record<"A" | "B" | "C" | "D", Constant>> {
  const total = arityOf({ op: "call", fn: "add", args: Object.values(entries).flat(2) });
  const perGroup = whichPerGroup(params, groups, total, loc);
  const count = perGroup.some(Boolean) ? groups : 1;
  const systems = Array.from({ length: count }, (_, g) => params.flatMap((p, i) => (perGroup[i] ? elements(p, g, groups) : [...p.data])));
  const evaluate = (rows: readonly (readonly Expr[])[]): Constant => ({
    shape: [...(count === 1 ? [] : [count]), rows.length, rows[0]?.length ?? 0],
    data: Float64Array.from(systems.flatMap((values) => rows.flatMap((row) => row.map((e) => evalExpr(e, values))))),
  });
  return { A: evaluate(entries.A), B: evaluate(entries.B), C: evaluate(entries.C), D: evaluate(entries.D) };
}

function elements(param: Constant, group: number, groups: number): number[] {
  const size = param.data.length / groups;
  return [...param.data.subarray(group * size, (group + 1) * size)];
}

/** Vectors `[G]` and stacks `[G N N2]` have one value a group; `[]`, `[1]` and matrices are shared. */
function whichPerGroup(params: readonly Constant[], groups: number, total: number, loc: Loc | undefined): readonly boolean[] {
  const perGroup = params.map(({ shape }) => shape[0] === groups && (shape.length === 1 || shape.length === 3));
  const given = params.reduce((sum, p, i) => sum + p.data.length / (perGroup[i] ? groups : 1), 0);
  if (given >= total) return perGroup;
  const message = `the entries of a system read parameter element $${total - 1}, but its parameters have ${given} elements`;
  throw new CompileError({
    code: "ssm-shape",
    message,
    fix: "give every parameter its full shape: [] or [channels] for a scalar, [rows columns] for a matrix",
    loc,
  });
}
