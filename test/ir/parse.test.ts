import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CompileError, type Loc } from "../../src/ir/error.ts";
import { call, scalarFns, type Expr, type ScalarFn } from "../../src/ir/expr.ts";
import type { Dim, Graph, Init, Node, Op, SsmForm, TensorType } from "../../src/ir/graph.ts";
import { ownArity } from "../../src/ir/graph.ts";
import { parseExpr, parseGraph } from "../../src/ir/parse.ts";
import { printExpr, printGraph } from "../../src/ir/print.ts";
import { arbitraryModule } from "../setup/random-graph.ts";

/** Every number, with those that need care often. */
const number = fc.oneof(
  fc.double(),
  fc.constantFrom(0, -0, 1, -1, Infinity, -Infinity, NaN, 0.1, 1e-7, 1e21, 5e-324, 1.7976931348623157e308),
);
const name = fc.oneof(fc.constantFrom("u", "layers.0.weight", "a-b", "init", "post"), fc.string());
const size = fc.integer({ min: 1, max: 512 });
const options = fc.dictionary(name, fc.oneof(fc.string(), number, fc.boolean()), { maxKeys: 3 });

const { expr } = fc.letrec<{ expr: Expr; call: Expr }>((tie) => ({
  call: fc.constantFrom(...(Object.keys(scalarFns) as ScalarFn[])).chain((fn) => {
    const { arity } = scalarFns[fn];
    return fc.array(tie("expr"), { minLength: arity, maxLength: arity }).map((args) => call(fn, ...args));
  }),
  expr: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.record({ op: fc.constant("arg" as const), index: fc.nat(9) }),
    fc.record({ op: fc.constant("const" as const), value: number }),
    tie("call"),
  ),
}));

const matrix = fc.array(fc.array(expr, { minLength: 1, maxLength: 2 }), { minLength: 1, maxLength: 2 });
const form: fc.Arbitrary<SsmForm> = fc.oneof(
  fc.record({ stage: fc.constant("family" as const), family: name, discretization: name, state: size, options }),
  fc.record({
    stage: fc.constant("family" as const),
    family: name,
    discretization: name,
    state: size,
    along: fc.record({ size, stride: size, delay: fc.nat(1) }),
    options,
  }),
  fc.record({
    stage: fc.constant("family" as const),
    family: name,
    discretization: name,
    state: size,
    options,
    entries: fc.record({ A: matrix, B: matrix, C: matrix, D: matrix }),
  }),
  fc.record(
    {
      stage: fc.constant("continuous" as const),
      structure: fc.constantFrom("dense" as const, "diagonal" as const, "dplr" as const),
      discretization: name,
      state: size,
      outputs: size,
      pairs: fc.boolean(),
    },
    { requiredKeys: ["stage", "structure", "discretization", "state", "pairs"] },
  ),
  fc.record(
    {
      stage: fc.constant("discrete" as const),
      structure: fc.constantFrom("dense" as const, "diagonal" as const, "dplr" as const),
      state: size,
      outputs: size,
    },
    { requiredKeys: ["stage", "structure", "state"] },
  ),
  fc.record({
    stage: fc.constant("selective" as const),
    heads: size,
    state: size,
    width: size,
    groups: size,
    writes: size,
    reads: size,
    rates: fc.boolean(),
    gain: fc.boolean(),
    correction: fc.boolean(),
    before: fc.boolean(),
    bonus: fc.boolean(),
  }),
);
const init: fc.Arbitrary<Init> = fc.oneof(
  fc.record({ kind: fc.constant("constant" as const), value: number }),
  fc.record({ kind: fc.constant("values" as const), values: fc.array(number) }),
  fc.record({ kind: fc.constantFrom("uniform" as const, "logUniform" as const, "ramp" as const), low: number, high: number }),
  fc.record({ kind: fc.constant("normal" as const), mean: number, std: number }),
  fc.record({ kind: fc.constant("family" as const), family: name, param: name, options }),
);
const dim: fc.Arbitrary<Dim> = fc.oneof(
  fc.constantFrom<Dim>({ name: "B", size: "B" }, { name: "L", size: "L" }, { name: "T", size: "L" }, { name: "B", size: 3 }),
  fc.constantFrom<Dim>({ name: "L", size: "L/4" }, { name: "T", size: "L/12" }, { name: "L", size: 4 }),
  fc.record({ name: fc.constantFrom("H", "N", "N2", "c", "K"), size }),
);
const type: fc.Arbitrary<TensorType> = fc.record({
  dtype: fc.constantFrom("f32" as const, "i32" as const),
  dims: fc.array(dim, { maxLength: 3 }),
});
const loc: fc.Arbitrary<Loc> = fc.record({
  file: fc.oneof(fc.constantFrom("model.ts", "/a b/c:d.ts", " x @ y.ts:3:4", '"q".ts'), fc.string({ unit: "binary" })),
  line: size,
  column: size,
});

/** A node of any op: syntax only, its types and arguments need not fit. */
function node(op: Op): fc.Arbitrary<Node> {
  const base = { type, args: fc.array(fc.nat(20), { minLength: 9, maxLength: 11 }), loc: fc.option(loc, { nil: undefined }) };
  const anchor = { ...base, post: fc.option(expr, { nil: undefined }) };
  switch (op) {
    case "input":
      return fc.record({ ...base, op: fc.constant(op), name, args: fc.constant([]) });
    case "param":
      return fc.record({
        ...base,
        op: fc.constant(op),
        name,
        init: fc.option(init, { nil: undefined }),
        args: fc.constant([]),
        fixed: fc.constantFrom(true as const, undefined),
      });
    case "map":
      return fc.record({ ...base, op: fc.constant(op), expr });
    case "matmul":
      return fc.record({ ...anchor, op: fc.constant(op), parts: fc.integer({ min: 1, max: 4 }) });
    case "norm":
      return fc.record({
        ...anchor,
        op: fc.constant(op),
        kind: fc.constantFrom("layer" as const, "rms" as const),
        eps: number,
        groups: fc.option(size, { nil: undefined }),
      });
    case "pool":
      return fc.record({
        ...anchor,
        op: fc.constant(op),
        kind: fc.constantFrom("mean" as const, "max" as const, "last" as const, "first" as const),
        steps: fc.option(size, { nil: undefined }),
      });
    case "ssm":
      return fc.record({ ...anchor, op: fc.constant(op), form });
    case "conv":
      return fc.record({ ...anchor, op: fc.constant(op), axis: fc.option(fc.record({ size, stride: size }), { nil: undefined }) });
    case "attention":
      return fc.record(
        {
          ...anchor,
          op: fc.constant(op),
          heads: size,
          kvHeads: size,
          scale: number,
          window: size,
          rope: fc.record({ dims: size, base: number, interleaved: fc.boolean() }),
        },
        { requiredKeys: ["op", "type", "args", "heads", "kvHeads", "scale"] },
      );
    case "embed":
      return fc.record({ ...anchor, op: fc.constant(op) });
    case "slice":
      return fc.record({
        ...base,
        op: fc.constant(op),
        start: fc.nat(100),
        step: fc.option(fc.integer({ min: 2, max: 9 }), { nil: undefined }),
      });
    case "concat":
      return fc.record({ ...base, op: fc.constant(op) });
    case "pack":
      return fc.oneof(
        fc.record({ ...base, op: fc.constant(op), by: size }),
        fc.record({ ...base, op: fc.constant(op), by: size, only: fc.nat(511) }),
      );
    case "unpack":
      return fc.record({ ...anchor, op: fc.constant(op), by: size });
    case "reverse":
      return fc.record({ ...base, op: fc.constant(op) });
    case "lowpass":
      return fc.record({ ...base, op: fc.constant(op), by: size });
    case "repeat":
      return fc.record({ ...base, op: fc.constant(op), block: size, times: size });
    case "cumulate":
      return fc.record({ ...base, op: fc.constant(op), kind: fc.constantFrom("sum" as const, "turn" as const, "max-plus" as const) });
    case "rotate":
      return fc.record({
        ...base,
        op: fc.constant(op),
        size,
        planes: size,
        pairs: fc.constantFrom("neighbours" as const, "halves" as const),
      });
  }
}
const ops: readonly Op[] = [
  "input",
  "param",
  "map",
  "matmul",
  "norm",
  "pool",
  "ssm",
  "conv",
  "attention",
  "embed",
  "slice",
  "concat",
  "pack",
  "unpack",
  "reverse",
  "lowpass",
  "repeat",
  "cumulate",
  "rotate",
];
const graph: fc.Arbitrary<Graph> = fc.record({
  name,
  nodes: fc.array(fc.constantFrom(...ops).chain(node), { maxLength: 4 }),
  outputs: fc.array(fc.record({ name, value: fc.nat(20) }), { minLength: 1, maxLength: 3 }),
});

const g = (...lines: readonly string[]): string =>
  `graph g {\n${lines.map((l) => `  ${l}`).join("\n")}\n  return y: %${lines.length - 1}\n}\n`;

describe("print, then parse", () => {
  test("is the identity on expressions", () => {
    fc.assert(
      fc.property(expr, (e) => {
        expect(parseExpr(printExpr(e))).toEqual(e);
      }),
      { numRuns: 500 },
    );
  });
  test.each(ops)("is the identity on %s nodes with any attributes, epilogue and place", (op) => {
    fc.assert(
      fc.property(node(op), (n) => {
        const one: Graph = { name: "g", nodes: [n], outputs: [{ name: "y", value: 0 }] };
        expect(parseGraph(printGraph(one))).toEqual(one);
      }),
      { numRuns: 150 },
    );
  });
  test("is the identity on graphs with any names", () => {
    fc.assert(
      fc.property(graph, (x) => {
        expect(parseGraph(printGraph(x))).toEqual(x);
      }),
    );
  });
  test("is the identity on random models", () => {
    fc.assert(
      fc.property(arbitraryModule({ smooth: false }), ({ module }) => {
        expect(parseGraph(printGraph(module.graph))).toEqual(module.graph);
      }),
    );
  });
  test("keeps the own operands of every op apart from its epilogue's", () => {
    const [, , matmul] = parseGraph(
      g("%0: [B L H=2] = input u", "%1: [H=2 K=2] = param w", "%2: [B L H=2] = matmul %0 %1 post {($0 + $1)} %0"),
    ).nodes;
    expect(matmul?.args).toEqual([0, 1, 0]);
    expect(matmul?.op === "matmul" && ownArity(matmul)).toBe(2);
  });
});

describe("the text", () => {
  test("reads as documented", () => {
    const text = g(
      "%0: i32[B L] = input ids",
      '%1: [V=3 H=2] = param "the table" init normal(0, 0.02)',
      "%2: [B L H=2] = embed %0 %1 @ model.ts:3:7",
      '%3: [H=2] = param s4.log_dt init family(s4d, log_dt, {init: "legs", min: 0.001})',
      "%4: [B L H=2] = ssm family s4d zoh state=64 options={} %2 %3",
      "%5: [B L H=2] = map {select(($0 > 0), $0, (0.01 * $0))} %4",
      "%6: [B L H=2] = norm layer eps=0.00001 %5 post {($0 * $1)} %3",
      "%7: [B L/4 H=8] = pack by=4 %6",
      "%8: [B H=8] = pool mean %7",
    );
    expect(printGraph(parseGraph(text))).toBe(text);
  });
  test.each([
    ["an op there is not", g("%0: [B L] = inptu u"), 2, 15, "expected input or param or"],
    ["a value out of order", g("%1: [B L] = input u"), 2, 5, "expected value %0 to be the next"],
    ["a function there is not", g("%0: [B] = map {sinh($0)}"), 2, 22, "expected a scalar function, not sinh"],
    ["too few arguments of a function", g("%0: [B] = map {select($0)}"), 2, 28, "expected 3 arguments of select"],
    ["an operator there is not", g("%0: [B] = map {($0 ? 1)}"), 2, 22, "expected an operator"],
    ["a size that is missing", g("%0: [B H] = input u"), 2, 11, "expected a size of H"],
    ["text after a node", g("%0: [B] = input u v"), 2, 21, "expected the end of the line"],
    ["text after the graph", `${g("%0: [B] = input u")}more`, 5, 1, "expected the end of the text"],
    ["a text that ends early", "graph g {\n  %0: [B] = input u", 2, 1, "expected more lines"],
  ])("refuses %s, and says where", (_, text, line, column, message) => {
    let caught: unknown;
    try {
      parseGraph(text);
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(CompileError);
    expect(caught).toMatchObject({ code: "ir-syntax", loc: { line, column } });
    expect(String(caught)).toContain(message);
  });
});
