/**
 * Scalar expressions: what a `map` node, a fused epilogue, or an entry of a system matrix computes from its arguments.
 * Pure and untyped by width; booleans exist only between a comparison and the condition of `select`.
 */
import { bug } from "./error.ts";

export type Expr = ArgExpr | ConstExpr | CallExpr;
/** `$index`: an argument of the expression. */
export interface ArgExpr {
  readonly op: "arg";
  readonly index: number;
}
export interface ConstExpr {
  readonly op: "const";
  readonly value: number;
}
export interface CallExpr {
  readonly op: "call";
  readonly fn: ScalarFn;
  readonly args: readonly Expr[];
}

interface ScalarDef {
  readonly arity: number;
  /** How the text form writes it between its two arguments; a name where absent. */
  readonly infix?: string;
  readonly result?: "bool";
  /** The meaning, in float64. Comparisons give 0 or 1. */
  readonly eval: (...x: number[]) => number;
}

const truth = (b: boolean): number => (b ? 1 : 0);

/** Every scalar function there is. A new one goes here and into the table of each backend, which the types enforce. */
export const scalarFns = {
  add: { arity: 2, infix: "+", eval: (a = 0, b = 0) => a + b },
  sub: { arity: 2, infix: "-", eval: (a = 0, b = 0) => a - b },
  mul: { arity: 2, infix: "*", eval: (a = 0, b = 0) => a * b },
  div: { arity: 2, infix: "/", eval: (a = 0, b = 0) => a / b },
  pow: { arity: 2, eval: (a = 0, b = 0) => a ** b },
  min: { arity: 2, eval: (a = 0, b = 0) => Math.min(a, b) },
  max: { arity: 2, eval: (a = 0, b = 0) => Math.max(a, b) },
  neg: { arity: 1, eval: (a = 0) => -a },
  abs: { arity: 1, eval: (a = 0) => Math.abs(a) },
  sign: { arity: 1, eval: (a = 0) => Math.sign(a) },
  floor: { arity: 1, eval: (a = 0) => Math.floor(a) },
  ceil: { arity: 1, eval: (a = 0) => Math.ceil(a) },
  sqrt: { arity: 1, eval: (a = 0) => Math.sqrt(a) },
  rsqrt: { arity: 1, eval: (a = 0) => 1 / Math.sqrt(a) },
  exp: { arity: 1, eval: (a = 0) => Math.exp(a) },
  log: { arity: 1, eval: (a = 0) => Math.log(a) },
  sin: { arity: 1, eval: (a = 0) => Math.sin(a) },
  cos: { arity: 1, eval: (a = 0) => Math.cos(a) },
  tanh: { arity: 1, eval: (a = 0) => Math.tanh(a) },
  sigmoid: { arity: 1, eval: (a = 0) => 1 / (1 + Math.exp(-a)) },
  softplus: { arity: 1, eval: (a = 0) => Math.max(a, 0) + Math.log1p(Math.exp(-Math.abs(a))) },
  erf: { arity: 1, eval: (a = 0) => erf(a) },
  lt: { arity: 2, infix: "<", result: "bool", eval: (a = 0, b = 0) => truth(a < b) },
  le: { arity: 2, infix: "<=", result: "bool", eval: (a = 0, b = 0) => truth(a <= b) },
  gt: { arity: 2, infix: ">", result: "bool", eval: (a = 0, b = 0) => truth(a > b) },
  ge: { arity: 2, infix: ">=", result: "bool", eval: (a = 0, b = 0) => truth(a >= b) },
  eq: { arity: 2, infix: "==", result: "bool", eval: (a = 0, b = 0) => truth(a === b) },
  ne: { arity: 2, infix: "!=", result: "bool", eval: (a = 0, b = 0) => truth(a !== b) },
  and: { arity: 2, infix: "&&", result: "bool", eval: (a = 0, b = 0) => truth(a !== 0 && b !== 0) },
  or: { arity: 2, infix: "||", result: "bool", eval: (a = 0, b = 0) => truth(a !== 0 || b !== 0) },
  not: { arity: 1, result: "bool", eval: (a = 0) => truth(a === 0) },
  /** `select(condition, then, otherwise)`. */
  select: { arity: 3, eval: (c = 0, a = 0, b = 0) => (c !== 0 ? a : b) },
} as const satisfies Record<string, ScalarDef>;

export type ScalarFn = keyof typeof scalarFns;

/** The definition of a scalar function, widened. */
export function scalarDef(fn: ScalarFn): ScalarDef {
  return scalarFns[fn];
}

export const arg = (index: number): Expr => ({ op: "arg", index });
export const constant = (value: number): Expr => ({ op: "const", value });
export function call(fn: ScalarFn, ...args: readonly Expr[]): Expr {
  if (args.length !== scalarFns[fn].arity) bug(`${fn} takes ${scalarFns[fn].arity} arguments, got ${args.length}`);
  return { op: "call", fn, args };
}

/** The value of `expr` in float64; booleans are 0 and 1. */
export function evalExpr(expr: Expr, args: ArrayLike<number>): number {
  switch (expr.op) {
    case "arg":
      return args[expr.index] ?? bug(`expression argument $${expr.index} is missing`);
    case "const":
      return expr.value;
    case "call":
      return scalarDef(expr.fn).eval(...expr.args.map((a) => evalExpr(a, args)));
  }
}

/** Replaces every `$i` by `replacement[i]`. */
export function substitute(expr: Expr, replacement: readonly Expr[]): Expr {
  switch (expr.op) {
    case "arg":
      return replacement[expr.index] ?? bug(`no replacement for $${expr.index}`);
    case "const":
      return expr;
    case "call":
      return { op: "call", fn: expr.fn, args: expr.args.map((a) => substitute(a, replacement)) };
  }
}

/** One more than the largest argument index used; 0 where none is. */
export function arityOf(expr: Expr): number {
  switch (expr.op) {
    case "arg":
      return expr.index + 1;
    case "const":
      return 0;
    case "call":
      return Math.max(0, ...expr.args.map(arityOf));
  }
}

/**
 * The error function in float64: its Maclaurin series below 2.5, the continued fraction of erfc above.
 * Source: Abramowitz and Stegun 7.1.6 and 7.1.14. Relative error below 1e-15.
 */
function erf(x: number): number {
  const a = Math.abs(x);
  if (!(a < 6)) return Number.isNaN(x) ? x : Math.sign(x);
  if (a < 2.5) {
    let term = a;
    let sum = a;
    for (let n = 1; Math.abs(term) > 1e-17 * sum; n++) {
      term *= (2 * a * a) / (2 * n + 1);
      sum += term;
    }
    return Math.sign(x) * (2 / Math.sqrt(Math.PI)) * Math.exp(-a * a) * sum;
  }
  let fraction = a;
  for (let n = 60; n > 0; n--) fraction = a + n / 2 / fraction;
  return Math.sign(x) * (1 - Math.exp(-a * a) / (Math.sqrt(Math.PI) * fraction));
}
