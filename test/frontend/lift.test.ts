/** Lifted arrows mean what the arrows mean: random ones bit for bit, `Math` in other terms to a few ulp. */
import { runInThisContext } from "node:vm";
import fc from "fast-check";
import { Project, ts } from "ts-morph";
import { describe, expect, test } from "vitest";
import { lift, type Lifted } from "../../src/frontend/lift.ts";
import { evalExpr, type Expr } from "../../src/ir/expr.ts";
import { printExpr } from "../../src/ir/print.ts";

/** Lifts the initializer of every `f<i>` of a source text. Random texts compare constants, which TypeScript would warn of. */
function liftAll(source: string, { checked = true } = {}): readonly Lifted[] {
  const project = new Project({
    useInMemoryFileSystem: true,
    compilerOptions: { strict: true, target: ts.ScriptTarget.ES2022, lib: ["lib.es2022.d.ts"] },
  });
  const file = project.createSourceFile("model.ts", source);
  // TypeScript takes some comparisons, such as `(a) < ((b > (c)) ? d : e)`, for type arguments, and says so.
  fc.pre(checked || project.getProgram().compilerObject.getSyntacticDiagnostics(file.compilerNode).length === 0);
  const faults = checked ? project.getProgram().compilerObject.getSemanticDiagnostics(file.compilerNode) : [];
  expect(faults.map((d) => ts.flattenDiagnosticMessageText(d.messageText, "\n"))).toEqual([]);
  const checker = project.getTypeChecker().compilerObject;
  return file
    .getVariableDeclarations()
    .filter((d) => /^f\d*$/.test(d.getName()))
    .map((d) => lift(checker, d.getInitializerOrThrow().compilerNode));
}

const textOf = (source: string): string => printExpr(liftAll(source)[0]?.expr ?? { op: "const", value: NaN });

/** The arrow itself, from text without types. */
const arrowOf = (source: string): ((x: number, y: number) => number) =>
  runInThisContext(source.replaceAll(": number", "")) as (x: number, y: number) => number;

/** Neither they nor their fifth powers are subnormal numbers, which have no ulp to speak of. */
const numbers = fc.double({ noNaN: true, min: -50, max: 50 }).map((x) => (Math.abs(x) < 1e-60 ? 0 : x));
const constants = fc.constantFrom("0", "1", "2", "0.5", "1e-3", "(-1.25)", "3", "Math.PI", "Math.SQRT2");
const exactFunctions = fc.constantFrom("abs", "ceil", "floor", "exp", "log", "sin", "cos", "tanh", "sqrt", "sign");

/** Expressions of numbers and conditions whose lifted form does the same operations in the same order. */
const { number, block } = fc.letrec<{ number: string; condition: string; block: string }>((tie) => ({
  number: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.constantFrom("x", "y"),
    constants,
    fc.tuple(tie("number"), fc.constantFrom("+", "-", "*", "/"), tie("number")).map(([a, op, b]) => `(${a} ${op} ${b})`),
    fc.tuple(exactFunctions, tie("number")).map(([f, a]) => `Math.${f}(${a})`),
    fc
      .tuple(fc.constantFrom("min", "max"), fc.array(tie("number"), { minLength: 1, maxLength: 3 }))
      .map(([f, a]) => `Math.${f}(${a.join(", ")})`),
    fc.tuple(tie("condition"), tie("number"), tie("number")).map(([c, a, b]) => `(${c} ? ${a} : ${b})`),
    fc.tuple(tie("number"), fc.constantFrom("||", "&&"), tie("number")).map(([a, op, b]) => `(${a} ${op} ${b})`),
    tie("number").map((a) => `(-${a})`),
  ),
  condition: fc.oneof(
    { depthSize: "small" },
    fc.tuple(tie("number"), fc.constantFrom("<", "<=", ">", ">=", "===", "!=="), tie("number")).map(([a, op, b]) => `(${a} ${op} ${b})`),
    fc.tuple(tie("condition"), fc.constantFrom("&&", "||"), tie("condition")).map(([a, op, b]) => `(${a} ${op} ${b})`),
    tie("condition").map((c) => `!${c}`),
  ),
  block: fc
    .tuple(tie("number"), tie("condition"), tie("number"), tie("number"), fc.boolean())
    .map(([a, c, b, d, otherwise]) =>
      otherwise
        ? `{ const z: number = ${a}; if (${c}) { return z + ${b}; } else return ${d} * z; }`
        : `{ const z: number = ${a}; const g = (x: number): number => x - z; if (${c}) return g(${b}); return z * ${d}; }`,
    ),
}));

/** Every arrow is lifted in one program: type-checking is what takes time. */
const arrows = fc.array(
  fc.oneof(number, block).map((body) => `(x: number, y: number): number => ${body}`),
  { minLength: 20, maxLength: 20 },
);

describe("lift", () => {
  test("a random arrow and its expression agree bit for bit", { timeout: 120_000 }, () => {
    fc.assert(
      fc.property(arrows, fc.array(fc.tuple(numbers, numbers), { minLength: 5, maxLength: 5 }), (sources, inputs) => {
        const lifted = liftAll(sources.map((source, i) => `const f${i} = ${source};`).join("\n"), { checked: false });
        expect(lifted).toHaveLength(sources.length);
        for (const [i, source] of sources.entries()) {
          const { expr } = lifted[i] ?? { expr: { op: "const", value: NaN } satisfies Expr };
          const arrow = arrowOf(source);
          for (const [x, y] of inputs) expect(evalExpr(expr, [x, y]), `${source} at ${x}, ${y}`).toBe(arrow(x, y));
        }
      }),
      { numRuns: 15 },
    );
  });

  test.each([
    ["Math.cbrt(x)", 1e-14],
    ["Math.cosh(x)", 1e-14],
    ["Math.expm1(x)", 1e-13],
    ["Math.expm1(x / 1e6)", 1e-13],
    ["Math.hypot(x, y, 1)", 1e-14],
    ["Math.log10(x * x + 1)", 1e-14],
    ["Math.log2(x * x + 1)", 1e-14],
    ["Math.log1p(x * x)", 1e-14],
    ["Math.log1p(x / 1e9)", 1e-13],
    ["Math.round(x)", 0],
    ["Math.sinh(x)", 1e-14],
    ["Math.sinh(x / 1e6)", 1e-14],
    ["Math.tan(x)", 1e-14],
    ["Math.trunc(x)", 0],
    ["x ** 5", 1e-14],
    ["x ** -2", 1e-14],
    ["Math.pow(Math.abs(x), y / 10)", 0],
  ])("%s is right to %d of its value", (body, tolerance) => {
    const source = `(x: number, y: number) => ${body}`;
    const { expr } = liftAll(`const f = ${source};`)[0] ?? { expr: { op: "const", value: NaN } satisfies Expr };
    const arrow = arrowOf(source);
    fc.assert(
      fc.property(numbers, numbers, (x, y) => {
        const want = arrow(x, y);
        const got = evalExpr(expr, [x, y]);
        if (got !== want) expect(Math.abs(got - want)).toBeLessThanOrEqual(tolerance * Math.abs(want));
      }),
    );
  });

  test("constants around the arrow are resolved, also through arithmetic, objects and other constants", () => {
    const source = `
      const half = 1 / 2, slopes = { negative: -half * Math.SQRT2 } as const;
      const f = (x: number) => (x > 0 ? x * half : slopes.negative * x);`;
    expect(textOf(source)).toBe("select(($0 > 0), ($0 * 0.5), (-0.7071067811865476 * $0))");
  });

  test("functions and arrows it calls are put in place, with their defaults and locals", () => {
    const source = `
      function clamp(v: number, low = -1, high = 1): number { const floor = Math.max(v, low); return Math.min(floor, high); }
      const twice = (x: number) => 2 * x;
      const f = (y: number, x: number) => clamp(twice(x)) + clamp(y, 0);`;
    expect(textOf(source)).toBe("(min(max((2 * $1), -1), 1) + min(max($0, 0), 1))");
  });

  test("a number that only running the file tells is captured by name", () => {
    const [lifted] = liftAll(`
      declare const width: () => number;
      const scale = width();
      const config = { shift: width() };
      const f = (x: number) => x * scale + config.shift - scale;`);
    expect(lifted?.captures).toEqual(["scale", "config.shift"]);
    expect(lifted?.expr).toEqual(liftAll("const f = (x: number, a: number, b: number) => x * a + b - a;")[0]?.expr);
  });

  test("a shadowing Math is not taken for the global one", () => {
    const source = `
      const f = (x: number) => { const Math = { exp: (v: number) => v }; return Math.exp(x); };`;
    expect(() => liftAll(source)).toThrow("cannot be compiled");
  });
});
