/** Random scalar expressions for random models, and the seeded numbers both are drawn from. */
import { arg, call, constant, type Expr } from "../../src/ir/expr.ts";

/** A seeded stream of numbers in [0, 1). Source: mulberry32. */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let z = Math.imul(state ^ (state >>> 15), state | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return ((z ^ (z >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** What expressions are drawn with. */
export interface Dice {
  /** In [0, 1). */
  readonly next: () => number;
  /** `0 .. n-1`. */
  readonly int: (n: number) => number;
  /** No functions that jump. */
  readonly smooth: boolean;
}

const x0 = arg(0);
/** silu, gelu, tanh, softplus, relu, and the forms that fold to less. */
export const activations: readonly Expr[] = [
  call("mul", x0, call("sigmoid", x0)),
  call("mul", call("mul", constant(0.5), x0), call("add", constant(1), call("erf", call("mul", x0, constant(Math.SQRT1_2))))),
  call("tanh", x0),
  call("softplus", x0),
  call("max", x0, constant(0)),
  call("neg", call("neg", call("mul", x0, constant(1)))),
  call("add", x0, call("sub", constant(2), constant(2))),
];

/** Keeps a random expression's values within [-1, 1], so that deep models stay finite. */
export const bounded = (s: Dice, expr: Expr): Expr =>
  s.int(2) === 0 ? call("tanh", expr) : call("div", expr, call("add", constant(1), call("abs", expr)));

/** A tree of at most `depth` calls over `$0 .. $arity-1`, defined for all numbers. */
export function randomExpr(s: Dice, arity: number, depth: number): Expr {
  if (depth === 0 || s.int(5) === 0) return s.int(3) === 0 ? constant([0, 1, -1, 2, 0.5, s.next()][s.int(6)] ?? 1) : arg(s.int(arity));
  const sub = (): Expr => randomExpr(s, arity, depth - 1);
  const makers: (() => Expr)[] = [
    () => call("add", sub(), sub()),
    () => call("sub", sub(), sub()),
    () => call("mul", sub(), sub()),
    () => call("div", sub(), call("add", constant(1), call("abs", sub()))),
    () => call("neg", sub()),
    () => call("min", sub(), sub()),
    () => call("max", sub(), call("abs", sub())),
    () => call("sqrt", call("add", constant(0.1), call("abs", sub()))),
    () => call("rsqrt", call("add", constant(0.5), call("abs", sub()))),
    () => call("exp", call("tanh", sub())),
    () => call("log", call("add", constant(1), call("abs", sub()))),
    () => call("sin", call("tanh", sub())),
    () => call("cos", call("tanh", sub())),
    () => call("sigmoid", sub()),
    () => call("pow", call("add", constant(0.5), call("sigmoid", sub())), constant([0, 1, 2, -1, 1.5][s.int(5)] ?? 1)),
    () => call("erf", sub()),
    ...(s.smooth
      ? []
      : [
          () => call("floor", sub()),
          () => call("sign", sub()),
          () => call("ceil", sub()),
          () => call("select", randomCondition(s, arity, depth - 1), sub(), sub()),
        ]),
  ];
  return makers[s.int(makers.length)]?.() ?? arg(0);
}

function randomCondition(s: Dice, arity: number, depth: number): Expr {
  const compare = (): Expr =>
    call((["lt", "le", "gt", "ge", "eq", "ne"] as const)[s.int(6)] ?? "lt", randomExpr(s, arity, depth), randomExpr(s, arity, depth));
  return (
    [compare, () => call("not", compare()), () => call("and", compare(), compare()), () => call("or", compare(), compare())][
      s.int(4)
    ]?.() ?? compare()
  );
}
