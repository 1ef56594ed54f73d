/** `Math` as scalar expressions: each function in terms of those the compiler has, exact to a few ulp in float64. */
import { call, constant, type Expr } from "../ir/expr.ts";

const num = constant;
const add = (a: Expr, b: Expr): Expr => call("add", a, b);
const sub = (a: Expr, b: Expr): Expr => call("sub", a, b);
const mul = (a: Expr, b: Expr): Expr => call("mul", a, b);
const div = (a: Expr, b: Expr): Expr => call("div", a, b);

/** Constants by their name in source. */
export const mathConstants: ReadonlyMap<string, number> = new Map([
  ...(["E", "LN10", "LN2", "LOG10E", "LOG2E", "PI", "SQRT1_2", "SQRT2"] as const).map((name): [string, number] => [
    `Math.${name}`,
    Math[name],
  ]),
  ["Number.EPSILON", Number.EPSILON],
  ["Number.MAX_SAFE_INTEGER", Number.MAX_SAFE_INTEGER],
]);

/** A number as a condition: neither 0 nor NaN. */
export const truthy = (x: Expr): Expr => call("or", call("lt", x, num(0)), call("gt", x, num(0)));

/** x^n by products for small whole n, so that negative x is as right on a device as in JavaScript. */
export function power(x: Expr, n: Expr): Expr {
  if (n.op !== "const" || !Number.isInteger(n.value) || Math.abs(n.value) > 8) return call("pow", x, n);
  if (n.value < 0) return div(num(1), power(x, num(-n.value)));
  if (n.value === 0) return num(1);
  if (n.value === 1) return x;
  const half = power(x, num(Math.floor(n.value / 2)));
  return n.value % 2 === 0 ? mul(half, half) : mul(mul(half, half), x);
}

const cosh = (x: Expr): Expr => mul(num(0.5), add(call("exp", x), call("exp", call("neg", x))));
const trunc = (x: Expr): Expr => call("select", call("lt", x, num(0)), call("ceil", x), call("floor", x));

/** (e^x - 1), by 2 tanh(x/2) / (1 - tanh(x/2)) where the difference would cancel. */
function expm1(x: Expr): Expr {
  const t = call("tanh", mul(num(0.5), x));
  return call("select", call("lt", call("abs", x), num(1)), div(mul(num(2), t), sub(num(1), t)), sub(call("exp", x), num(1)));
}

/** log(1 + x), corrected for the rounding of 1 + x. Source: Higham, Accuracy and Stability of Numerical Algorithms, problem 1.5. */
function log1p(x: Expr): Expr {
  const u = add(num(1), x);
  const isSmall = call("lt", call("abs", x), num(0.5));
  return call("select", call("eq", u, num(1)), x, call("select", isSmall, div(mul(call("log", u), x), sub(u, num(1))), call("log", u)));
}

const unary: Readonly<Record<string, (x: Expr) => Expr>> = {
  abs: (x) => call("abs", x),
  cbrt: (x) => mul(call("sign", x), call("pow", call("abs", x), num(1 / 3))),
  ceil: (x) => call("ceil", x),
  cos: (x) => call("cos", x),
  cosh,
  exp: (x) => call("exp", x),
  expm1,
  floor: (x) => call("floor", x),
  log: (x) => call("log", x),
  log10: (x) => mul(call("log", x), num(Math.LOG10E)),
  log1p,
  log2: (x) => mul(call("log", x), num(Math.LOG2E)),
  round: (x) => call("floor", add(x, num(0.5))),
  sign: (x) => call("sign", x),
  sin: (x) => call("sin", x),
  sinh: (x) => mul(call("tanh", x), cosh(x)),
  sqrt: (x) => call("sqrt", x),
  tan: (x) => div(call("sin", x), call("cos", x)),
  tanh: (x) => call("tanh", x),
  trunc,
};

/** `Math.name(...args)`; undefined where there is no such function here. */
export function mathCall(name: string, args: readonly Expr[]): Expr | undefined {
  const [first, second] = args;
  if (first === undefined) return undefined;
  if (name === "pow") return second === undefined ? undefined : power(first, second);
  if (name === "min" || name === "max") return args.reduce((a, b) => call(name, a, b));
  if (name === "hypot") return call("sqrt", args.map((a) => mul(a, a)).reduce(add));
  return Object.hasOwn(unary, name) ? unary[name]?.(first) : undefined;
}
