import { describe, expect, test } from "vitest";
import { CompileError } from "../../src/ir/error.ts";
import type { Constant, Node } from "../../src/ir/graph.ts";
import { parseGraph } from "../../src/ir/parse.ts";
import type { Module, Pass } from "../../src/passes/pass.ts";
import { runPasses } from "../../src/passes/pipeline.ts";
import { quiet } from "./meaning.ts";

const module = (lines: string, constants: Readonly<Record<string, Constant>> = {}): Module => ({
  graph: parseGraph(`graph g {\n${lines}\n}`),
  constants: new Map(Object.entries(constants)),
});
const plain = module("%0: [B L H=2] = input u\n%1: [B H=2] = pool mean %0\nreturn y: %1");
const pass = (name: string, more: Partial<Pass> = {}): Pass => ({ name, doc: "", needs: [], ensures: [], run: (m) => m, ...more });
const add = (name: string, node: Node): Pass =>
  pass(name, { run: (m) => ({ ...m, graph: { ...m.graph, nodes: [...m.graph.nodes, node] } }) });
const exp: Node = { op: "map", expr: { op: "arg", index: 0 }, args: [0], type: { dtype: "f32", dims: [{ name: "B", size: "B" }] } };

describe("runPasses", () => {
  const log = (): { order: string[]; passes: readonly Pass[] } => {
    const order: string[] = [];
    return { order, passes: ["one", "two", "three"].map((name) => pass(name, { run: (m) => (order.push(name), m) })) };
  };
  test("runs the passes in order", () => {
    const { order, passes } = log();
    expect(runPasses(passes, plain, quiet)).toBe(plain);
    expect(order).toEqual(["one", "two", "three"]);
  });
  test("stops after the pass named, and shows each module on the way", () => {
    const { order, passes } = log();
    const seen: string[] = [];
    runPasses(passes, plain, quiet, { after: "two", onPass: (p) => seen.push(p.name) });
    expect(order).toEqual(["one", "two"]);
    expect(seen).toEqual(["one", "two"]);
  });
  test("a pass there is not is the user's error, and the fix lists those there are", () => {
    const run = (): Module => runPasses(log().passes, plain, quiet, { after: "four" });
    expect(run).toThrow(CompileError);
    expect(run).toThrow(expect.objectContaining({ code: "pass-unknown", fix: "name one of one, two, three" }));
  });
  test("a graph that is broken before the first pass is a bug", () => {
    expect(() => runPasses([], { ...plain, graph: { ...plain.graph, outputs: [] } }, quiet)).toThrow("bug: g has no output");
  });
  test("a pass that breaks the graph is named", () => {
    expect(() => runPasses([pass("fine"), add("wild", exp)], plain, quiet)).toThrow(
      "bug: pass wild breaks the graph: g %2 map: is typed [B], its arguments give [B L H=2]",
    );
  });
});

describe("properties", () => {
  const param = "%0: [B L H=2] = input u\n%1: [H=2] = param p\n%2: [B L H=2] = map {($0 * $1)} %0 %1\nreturn y: %2";
  const family = "%0: [B L H=2] = input u\n%1: [B L H=2] = ssm family s4d zoh state=4 options={} %0 @ m.ts:2:3\nreturn y: %1";
  const operands = "%1: [G=1 N=1 N2=1] = param A\n%2: [G=1 N=1] = param B\n%3: [G=1 N=1] = param C\n%4: [G=1] = param D";
  const continuous = `%0: [B L H=2] = input u\n${operands}\n%5: [G=1] = param dt\n%6: [B L H=2] = ssm continuous dense zoh state=1 %0 %1 %2 %3 %4 %5\nreturn y: %6`;
  const computed = `%0: [B L H=2] = input u\n${operands}\n%5: [G=1 N=1 N2=1] = map {exp($0)} %1\n%6: [B L H=2] = ssm discrete dense state=1 %0 %5 %2 %3 %4\nreturn y: %6`;
  test.each([
    ["initialized", "a parameter without values", module(param), "%1: p has no values"],
    [
      "initialized",
      "values of another shape",
      module(param, { p: { shape: [3], data: new Float64Array(3) } }),
      "%1: p is [2], its 3 values [3]",
    ],
    ["structured", "an ssm of a family", module(family), "%1: s4d is not structured m.ts:2:3"],
    ["discretized", "an ssm in continuous time", module(continuous), "%6: an ssm is at stage continuous"],
    ["discretized", "a system that is not made of parameters", module(computed), "%6: the system of an ssm is not made of parameters"],
    [
      "fused",
      "a pointwise node beside its anchor",
      module("%0: [B L H=2] = input u\n%1: [B H=2] = pool mean %0\n%2: [B H=2] = map {exp($0)} %1\nreturn y: %2"),
      "a pointwise node can still be fused",
    ],
  ] as const)("%s fails for %s", (property, _, broken, message) => {
    expect(() => runPasses([pass("p", { needs: [property] })], broken, quiet)).toThrow(`bug: pass p needs ${property}: ${message}`);
    expect(() => runPasses([pass("p", { ensures: [property], run: () => broken })], plain, quiet)).toThrow(
      `bug: pass p ensures ${property}: ${message}`,
    );
  });
  test("each holds where there is nothing to do", () => {
    const all = pass("p", { needs: ["initialized", "structured", "discretized", "fused"] });
    expect(runPasses([all], plain, quiet)).toBe(plain);
  });
});
