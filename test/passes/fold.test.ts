import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { simplify } from "../../src/ir/algebra.ts";
import { evalExpr } from "../../src/ir/expr.ts";
import { parseExpr } from "../../src/ir/parse.ts";
import { printExpr, printGraph } from "../../src/ir/print.ts";
import { fold } from "../../src/passes/fold.ts";
import { arbitraryModule } from "../setup/random-graph.ts";
import { expectSameMeaning, quiet } from "./meaning.ts";
import { expectRewrite } from "./texts.ts";

describe("expression algebra", () => {
  test.each([
    ["($0 + 0)", "$0"],
    ["(0 + $0)", "$0"],
    ["($0 + -0)", "$0"],
    ["($0 - 0)", "$0"],
    ["(0 - $0)", "neg($0)"],
    ["($0 * 1)", "$0"],
    ["(1 * $0)", "$0"],
    ["(-1 * $0)", "neg($0)"],
    ["($0 / -1)", "neg($0)"],
    ["($0 / 1)", "$0"],
    ["($0 / 8)", "($0 * 0.125)"],
    ["neg(neg($0))", "$0"],
    ["neg(($0 - $1))", "($1 - $0)"],
    ["($0 + neg($1))", "($0 - $1)"],
    ["(neg($0) + $1)", "($1 - $0)"],
    ["($0 - neg($1))", "($0 + $1)"],
    ["(neg($0) * neg($1))", "($0 * $1)"],
    ["pow($0, 0)", "1"],
    ["pow($0, 1)", "$0"],
    ["pow($0, 2)", "($0 * $0)"],
    ["pow($0, -1)", "(1 / $0)"],
    ["abs(neg($0))", "abs($0)"],
    ["abs(abs($0))", "abs($0)"],
    ["select(($0 > 1), $1, $1)", "$1"],
    ["select((1 > 2), $0, $1)", "$1"],
    ["select((2 > 1), $0, $1)", "$0"],
    ["sqrt((2 + 2))", "2"],
    ["(neg(neg($0)) * (2 - 1))", "$0"],
    ["exp((($0 + 0) * (3 * 2)))", "exp(($0 * 6))"],
  ])("%s -> %s", (before, after) => {
    expect(printExpr(simplify(parseExpr(before)))).toBe(after);
  });
  test.each(["($0 * 0)", "($0 - $0)", "($0 / $0)", "(($0 + 1e20) - 1e20)", "($0 / 3)", "($0 / 5e-324)", "(1 < 2)", "pow($0, 0.5)"])(
    "%s stays: NaN, infinity and cancellation keep their meaning",
    (text) => {
      const expr = parseExpr(text);
      expect(printExpr(simplify(expr))).toBe(printExpr(expr));
    },
  );
  test("every rewrite above keeps the value at any numbers, the sign of zero aside", () => {
    const texts = [
      "($0 + neg($1))",
      "neg(($0 - $1))",
      "($0 - neg($1))",
      "(neg($0) * neg($1))",
      "(0 - $0)",
      "($0 / 8)",
      "pow($0, -1)",
      "pow($0, 2)",
      "pow($0, 0)",
      "abs(neg($0))",
    ];
    fc.assert(
      fc.property(fc.constantFrom(...texts), fc.double(), fc.double(), (text, a, b) => {
        const expr = parseExpr(text);
        const [expected, actual] = [evalExpr(expr, [a, b]), evalExpr(simplify(expr), [a, b])];
        if (Number.isFinite(expected)) expect(Math.abs(actual - expected)).toBeLessThanOrEqual(4e-16 * Math.abs(expected));
        else expect(Object.is(actual, expected)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("fold", () => {
  test("a map of parameters becomes a parameter, computed in float64", () => {
    const { constants } = expectRewrite(
      fold,
      `%0: [B L H=2] = input u
       %1: [H=2] = param log_dt
       %2: [] = param s
       %3: [H=2] = map {(exp($0) * $1)} %1 %2
       %4: [B L H=2] = map {($0 * $1)} %0 %3
       return y: %4
       ---
       %0: [B L H=2] = input u
       %1: [H=2] = param "(exp(log_dt) * s)"
       %2: [B L H=2] = map {($0 * $1)} %0 %1
       return y: %2`,
      { s: [3] },
    );
    expect(constants).toEqual(new Map([["(exp(log_dt) * s)", { shape: [2], data: Float64Array.of(Math.E * 3, Math.exp(2) * 3) }]]));
  });
  test("a reverse of a reverse is nothing; pooling knows where the first and the last step are", () => {
    expectRewrite(
      fold,
      `%0: [B L H=2] = input u
       %1: [B L H=2] = reverse %0
       %2: [B L H=2] = reverse %1
       %3: [B L H=2] = map {exp($0)} %2
       %4: [B L H=2] = reverse %3
       %5: [B H=2] = pool last %4
       %6: [B H=2] = pool mean %4
       %7: [B H=2] = map {($0 + $1)} %5 %6
       return y: %7
       ---
       %0: [B L H=2] = input u
       %1: [B L H=2] = map {exp($0)} %0
       %2: [B H=2] = pool first %1
       %3: [B H=2] = pool mean %1
       %4: [B H=2] = map {($0 + $1)} %2 %3
       return y: %4`,
    );
  });
  test("equal nodes become one, whatever the places they come from", () => {
    expectRewrite(
      fold,
      `%0: [B L H=2] = input u
       %1: [B L H=2] = map {exp($0)} %0 @ model.ts:1:1
       %2: [B L H=2] = map {exp($1)} %0 %0 @ model.ts:2:1
       %3: [B L H=2] = map {($0 * $1)} %1 %2
       return y: %3
       ---
       %0: [B L H=2] = input u
       %1: [B L H=2] = map {exp($0)} %0 @ model.ts:1:1
       %2: [B L H=2] = map {($0 * $0)} %1
       return y: %2`,
    );
  });
  test("what no output needs goes, with its parameters; inputs stay", () => {
    const { constants } = expectRewrite(
      fold,
      `%0: [B L H=2] = input u
       %1: [B L H=2] = input v
       %2: [H=2] = param p
       %3: [B L H=2] = map {($0 * $1)} %0 %2
       %4: [B H=2] = pool mean %0
       return y: %4
       ---
       %0: [B L H=2] = input u
       %1: [B L H=2] = input v
       %2: [B H=2] = pool mean %0
       return y: %2`,
    );
    expect(constants.size).toBe(0);
  });
  test("a map that only repeats its argument goes; one that widens or converts it stays", () => {
    expectRewrite(
      fold,
      `%0: [B L H=2] = input u
       %1: [B L] = input s
       %2: i32[B L] = input ids
       %3: [B L H=2] = map {($0 * 1)} %0
       %4: [B L H=2] = map {$1} %0 %1
       %5: [B L] = map {$0} %2
       return a: %3, b: %4, c: %5
       ---
       %0: [B L H=2] = input u
       %1: [B L] = input s
       %2: i32[B L] = input ids
       %3: [B L H=2] = map {$0} %1 %0
       %4: [B L] = map {$0} %2
       return a: %0, b: %3, c: %4`,
    );
  });
  test("an epilogue's unread and repeated values go, an epilogue of nothing goes", () => {
    expectRewrite(
      fold,
      `%0: [B L H=2] = input u
       %1: [B L H=2] = input v
       %2: [B L H=2] = input w
       %3: [B L H=2] = norm rms eps=1 %0 post {($0 + ($3 * $2))} %1 %2 %2
       %4: [B L H=2] = norm layer eps=1 %0 post {($0 * 1)} %1
       return y: %3, z: %4
       ---
       %0: [B L H=2] = input u
       %1: [B L H=2] = input v
       %2: [B L H=2] = input w
       %3: [B L H=2] = norm rms eps=1 %0 post {($0 + ($1 * $1))} %2
       %4: [B L H=2] = norm layer eps=1 %0
       return y: %3, z: %4`,
    );
  });
  test("slices of slices and of concats, slices of all, concats of one and of adjacent slices", () => {
    expectRewrite(
      fold,
      `%0: [B L H=4] = input u
       %1: [B L H=2] = input v
       %2: [B L H=3] = slice start=1 %0
       %3: [B L H=1] = slice start=2 %2
       %4: [B L H=6] = concat %0 %1
       %5: [B L H=1] = slice start=5 %4
       %6: [B L H=2] = slice start=4 %4
       %7: [B L H=4] = slice start=0 %0
       %8: [B L H=2] = concat %1
       %9: [B L H=1] = slice start=0 %0
       %10: [B L H=4] = concat %9 %2
       return a: %3, b: %5, c: %6, d: %7, e: %8, f: %10
       ---
       %0: [B L H=4] = input u
       %1: [B L H=2] = input v
       %2: [B L H=1] = slice start=3 %0
       %3: [B L H=1] = slice start=1 %1
       return a: %2, b: %3, c: %1, d: %0, e: %1, f: %0`,
    );
  });
});

describe("random models", () => {
  test("fold keeps the meaning", () => expectSameMeaning((module) => fold.run(module, quiet), 400));
  test("fold keeps the meaning of slices and concats", () =>
    expectSameMeaning((module) => fold.run(module, quiet), 300, { steps: ["slice", "concat", "map", "pool"], maxSteps: 12 }));
  test("folding again changes nothing", () => {
    fc.assert(
      fc.property(arbitraryModule({ smooth: false }), ({ module }) => {
        const once = fold.run(module, quiet);
        expect(printGraph(fold.run(once, quiet).graph)).toBe(printGraph(once.graph));
      }),
      { numRuns: 200 },
    );
  });
});
