/**
 * Rewrites of scalar expressions that keep their float64 meaning: exactly, or to the last bits where a comment says so.
 * Nothing that is wrong for NaN, infinity or cancellation: `x * 0` stays, `(x + 1e20) - 1e20` stays. The sign of zero
 * is not kept.
 */
import { arityOf, call, constant, evalExpr, scalarDef, type CallExpr, type Expr, type ScalarFn } from "./expr.ts";

/** One rewrite: what stands for `expr`, or undefined where the rule does not apply. */
type Rule = (expr: CallExpr, x: Expr, y: Expr) => Expr | undefined;

const is = (expr: Expr, value: number): boolean => expr.op === "const" && expr.value === value;
const isCall = (expr: Expr, fn: ScalarFn): expr is CallExpr => expr.op === "call" && expr.fn === fn;
const first = (expr: CallExpr): Expr => expr.args[0] ?? expr;

/** The rules of each function; x and y are its first two arguments. */
const rules: { readonly [K in ScalarFn]?: readonly Rule[] } = {
  add: [
    /** x + 0 -> x */
    (_, x, y) => (is(y, 0) ? x : undefined),
    /** 0 + x -> x */
    (_, x, y) => (is(x, 0) ? y : undefined),
    /** x + -y -> x - y */
    (_, x, y) => (isCall(y, "neg") ? call("sub", x, first(y)) : undefined),
    /** -x + y -> y - x */
    (_, x, y) => (isCall(x, "neg") ? call("sub", y, first(x)) : undefined),
  ],
  sub: [
    /** x - 0 -> x */
    (_, x, y) => (is(y, 0) ? x : undefined),
    /** 0 - x -> -x */
    (_, x, y) => (is(x, 0) ? call("neg", y) : undefined),
    /** x - -y -> x + y */
    (_, x, y) => (isCall(y, "neg") ? call("add", x, first(y)) : undefined),
  ],
  mul: [
    /** x * 1 -> x */
    (_, x, y) => (is(y, 1) ? x : undefined),
    /** 1 * x -> x */
    (_, x, y) => (is(x, 1) ? y : undefined),
    /** x * -1 -> -x */
    (_, x, y) => (is(y, -1) ? call("neg", x) : undefined),
    /** -1 * x -> -x */
    (_, x, y) => (is(x, -1) ? call("neg", y) : undefined),
    /** -x * -y -> x * y */
    (_, x, y) => (isCall(x, "neg") && isCall(y, "neg") ? call("mul", first(x), first(y)) : undefined),
  ],
  div: [
    /** x / 1 -> x */
    (_, x, y) => (is(y, 1) ? x : undefined),
    /** x / -1 -> -x */
    (_, x, y) => (is(y, -1) ? call("neg", x) : undefined),
    /** x / 2^k -> x * 2^-k: exact */
    (_, x, y) => (y.op === "const" && isPowerOfTwo(y.value) ? call("mul", x, constant(1 / y.value)) : undefined),
  ],
  pow: [
    /** x ** 0 -> 1 */
    (_, _x, y) => (is(y, 0) ? constant(1) : undefined),
    /** x ** 1 -> x */
    (_, x, y) => (is(y, 1) ? x : undefined),
    /** $i ** 2 -> $i * $i: to the last bit; WGSL's pow has no negative base */
    (_, x, y) => (is(y, 2) && x.op === "arg" ? call("mul", x, x) : undefined),
    /** x ** -1 -> 1 / x: to the last bit */
    (_, x, y) => (is(y, -1) ? call("div", constant(1), x) : undefined),
  ],
  neg: [
    /** --x -> x */
    (_, x) => (isCall(x, "neg") ? first(x) : undefined),
    /** -(x - y) -> y - x */
    (_, x) => (isCall(x, "sub") ? call("sub", x.args[1] ?? x, first(x)) : undefined),
  ],
  abs: [
    /** |-x| -> |x|, ||x|| -> |x| */
    (_, x) => (isCall(x, "neg") || isCall(x, "abs") ? call("abs", first(x)) : undefined),
  ],
  select: [
    /** select(c, x, x) -> x */
    (expr, _, y) => (equalExprs(y, expr.args[2] ?? y) ? y : undefined),
    /** select(c, x, y) -> x or y, where c has no arguments */
    (expr, x, y) => (arityOf(x) === 0 ? (evalExpr(x, []) !== 0 ? y : expr.args[2]) : undefined),
  ],
};

const isPowerOfTwo = (x: number): boolean => Number.isInteger(Math.log2(Math.abs(x))) && Math.abs(x) > 1e-30 && Math.abs(x) < 1e30;

/** An expression of the same meaning with the algebra above applied from the leaves up, constants computed. */
export function simplify(expr: Expr): Expr {
  if (expr.op !== "call") return expr;
  const args = expr.args.map(simplify);
  const now: CallExpr = args.every((a, i) => a === expr.args[i]) ? expr : { op: "call", fn: expr.fn, args };
  /** f(1, 2) -> its value; comparisons stay, a constant is no boolean */
  if (scalarDef(now.fn).result === undefined && args.every((a) => a.op === "const")) return constant(evalExpr(now, []));
  const [x = now, y = x] = args;
  for (const rule of rules[now.fn] ?? []) {
    const better = rule(now, x, y);
    if (better !== undefined) return simplify(better);
  }
  return now;
}

/** Whether two expressions are the same tree. */
export function equalExprs(a: Expr, b: Expr): boolean {
  if (a === b) return true;
  if (a.op === "arg") return b.op === "arg" && a.index === b.index;
  if (a.op === "const") return b.op === "const" && Object.is(a.value, b.value);
  return b.op === "call" && a.fn === b.fn && a.args.every((x, i) => equalExprs(x, b.args[i] ?? b));
}

/** How many calls an expression makes, shared subtrees counted each time they occur. */
export function callsOf(expr: Expr): number {
  return expr.op === "call" ? 1 + expr.args.reduce((sum, a) => sum + callsOf(a), 0) : 0;
}

/** The argument indices an expression reads, ascending. */
export function argsOf(expr: Expr): readonly number[] {
  if (expr.op === "arg") return [expr.index];
  if (expr.op === "const") return [];
  return [...new Set(expr.args.flatMap(argsOf))].sort((a, b) => a - b);
}
