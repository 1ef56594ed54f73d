import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { arg, call } from "../../src/ir/expr.ts";
import type { Graph, Node, TensorType } from "../../src/ir/graph.ts";
import { parseGraph } from "../../src/ir/parse.ts";
import { verifyGraph } from "../../src/ir/verify.ts";
import { arbitraryModule } from "../setup/random-graph.ts";

const text = (lines: string): Graph => parseGraph(`graph g {\n${lines}\n}`);
const sequence: TensorType = {
  dtype: "f32",
  dims: [
    { name: "B", size: "B" },
    { name: "L", size: "L" },
    { name: "H", size: 2 },
  ],
};
const input: Node = { op: "input", name: "u", type: sequence, args: [] };
const graphOf = (...nodes: readonly Node[]): Graph => ({
  name: "g",
  nodes: [input, ...nodes],
  outputs: [{ name: "y", value: nodes.length }],
});

describe("verifyGraph", () => {
  test("accepts every random model", () => {
    fc.assert(fc.property(arbitraryModule({ smooth: false }), ({ module }) => verifyGraph(module.graph)));
  });
  const u = "%0: [B L H=2] = input u";
  test.each([
    [
      "a value used before it is computed",
      `${u}\n%1: [B L H=2] = map {$0} %2\n%2: [B L H=2] = map {$0} %0\nreturn y: %1`,
      "%1 map: uses %2, which does not come before it",
    ],
    ["a value used by itself", `${u}\n%1: [B L H=2] = map {$0} %1\nreturn y: %1`, "%1 map: uses %1"],
    ["too few arguments", `${u}\n%1: [B L H=2] = conv %0\nreturn y: %1`, "%1 conv: has 1 arguments, not 2"],
    ["an argument too many", `${u}\n%1: [B L H=2] = norm rms eps=1 %0 %0\nreturn y: %1`, "%1 norm: has 2 arguments, not 1"],
    [
      "a type that is not the op's",
      `${u}\n%1: [B L H=3] = norm rms eps=1 %0\nreturn y: %1`,
      "is typed [B L H=3], its arguments give [B L H=2]",
    ],
    ["a dtype that is not the op's", `${u}\n%1: i32[B L H=2] = norm rms eps=1 %0\nreturn y: %1`, "is typed i32[B L H=2]"],
    [
      "arguments that do not broadcast",
      `${u}\n%1: [H=3] = param p\n%2: [B L H=2] = map {($0 + $1)} %0 %1\nreturn y: %2`,
      "%2 map: pointwise arguments do not fit",
    ],
    ["a slice beyond the end", `${u}\n%1: [B L H=2] = slice start=1 %0\nreturn y: %1`, "%1 slice"],
    [
      "an expression that reads an argument it has not",
      `${u}\n%1: [B L H=2] = map {$1} %0\nreturn y: %1`,
      "%1 map: reads $1 of 1 arguments",
    ],
    [
      "an epilogue that reads a value it has not",
      `${u}\n%1: [B L H=2] = norm rms eps=1 %0 post {($0 + $1)}\nreturn y: %1`,
      "its epilogue reads $1 of 1 values",
    ],
    ["an epilogue that widens its op", `${u}\n%1: [B H=2] = pool mean %0 post {($0 + $1)} %0\nreturn y: %1`, "%1 pool"],
    [
      "parts that nothing joins",
      `${u}\n%1: [H=4 K=2] = param w\n%2: [B L H=2] = matmul parts=2 %0 %1\nreturn y: %2`,
      "2 parts and no epilogue",
    ],
    [
      "rows that do not split into the parts",
      `${u}\n%1: [H=3 K=2] = param w\n%2: [B L H=1] = matmul parts=2 %0 %1 post {$0}\nreturn y: %2`,
      "%2 matmul",
    ],
    [
      "a number where a boolean is needed",
      `${u}\n%1: [B L H=2] = map {select($0, $0, 1)} %0\nreturn y: %1`,
      "arg gives a number where a bool is needed",
    ],
    [
      "a boolean where a number is needed",
      `${u}\n%1: [B L H=2] = map {($0 + ($0 < 1))} %0\nreturn y: %1`,
      "lt gives a bool where a number is needed",
    ],
    ["a parameter of unknown size", `${u}\n%1: [B] = param p\nreturn y: %0`, "%1 param: a parameter has no size known at run time"],
    ["an input without all time steps", "%0: [B L/2 H=2] = input u\nreturn y: %0", "an input has every time step, not [B L/2 H=2]"],
    [
      "two rates in one op",
      `${u}\n%1: [B L/2 H=4] = pack by=2 %0\n%2: [B L/2 H=2] = slice start=0 %1\n%3: [B L H=2] = map {($0 + $1)} %0 %2\nreturn y: %3`,
      "dim L is L/2 in [B L/2 H=2] and L in [B L H=2]",
    ],
    ["a step that its block has not", `${u}\n%1: [B L/2 H=2] = pack by=2 only=2 %0\nreturn y: %1`, "step 2 of blocks of 2"],
    ["a mean of several steps", `${u}\n%1: [B H=4] = pool mean steps=2 %0\nreturn y: %1`, "a mean of 2 steps"],
    ["a pooling to no steps", `${u}\n%1: [B H=2] = pool last steps=0 %0\nreturn y: %1`, "pooling to 0 steps"],
    ["an unpack beyond the input's rate", `${u}\n%1: [B L H=1] = unpack by=2 %0\nreturn y: %1`, "gives more steps than the input has"],
    [
      "an unpack of channels that do not split",
      `${u}\n%1: [B L/2 H=4] = pack by=2 %0\n%2: [B L/2 H=3] = slice start=0 %1\n%3: [B L H=1] = unpack by=2 %2\nreturn y: %3`,
      "splits its channels",
    ],
    ["a dim named twice", `${u}\n%1: [H=2 H=2] = param p\nreturn y: %0`, "names a dim twice in [H=2 H=2]"],
    ["two inputs of one name", `${u}\n%1: [B] = input u\nreturn y: %0`, "two inputs are named u"],
    ["two parameters of one name", `${u}\n%1: [H=2] = param p\n%2: [H=2] = param p\nreturn y: %0`, "two params are named p"],
    ["two outputs of one name", `${u}\nreturn y: %0, y: %0`, "two outputs are named y"],
    ["an output that does not exist", `${u}\nreturn y: %1`, "output y is %1, which does not exist"],
  ])("refuses %s", (_, lines, message) => {
    expect(() => verifyGraph(text(lines))).toThrow(message);
    expect(() => verifyGraph(text(lines))).toThrow(/^bug: /);
  });
  test("refuses a map of nothing and a graph without outputs, which have no text", () => {
    expect(() => verifyGraph(graphOf({ op: "map", expr: call("exp", arg(0)), type: sequence, args: [] }))).toThrow(
      "has 0 arguments, not 1 or more",
    );
    expect(() => verifyGraph({ ...graphOf(), outputs: [] })).toThrow("bug: g has no output");
  });
});
