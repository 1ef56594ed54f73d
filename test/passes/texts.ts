/** Pass tests as text: the IR before, `---`, the IR after. */
import { expect } from "vitest";
import type { Constant, Constants, Graph } from "../../src/ir/graph.ts";
import { parseGraph } from "../../src/ir/parse.ts";
import { printGraph } from "../../src/ir/print.ts";
import { verifyGraph } from "../../src/ir/verify.ts";
import type { Module, Pass } from "../../src/passes/pass.ts";
import { runPasses } from "../../src/passes/pipeline.ts";
import { quiet } from "./meaning.ts";

/** Parameters count 1, 2, 3, ... unless given. */
function constantsOf(graph: Graph, given: Readonly<Record<string, readonly number[]>>): Constants {
  const constants = new Map<string, Constant>();
  for (const node of graph.nodes) {
    if (node.op !== "param") continue;
    const shape = node.type.dims.map((d) => Number(d.size));
    const count = shape.reduce((a, b) => a * b, 1);
    constants.set(node.name, { shape, data: Float64Array.from(given[node.name] ?? Array.from({ length: count }, (_, i) => i + 1)) });
  }
  return constants;
}

const lines = (body: string): string => `graph g {\n${body.trim()}\n}\n`;

/** Runs the pass on the text before `---` and compares with the text after it; gives the module for further facts. */
export function expectRewrite(pass: Pass, text: string, given: Readonly<Record<string, readonly number[]>> = {}): Module {
  const [before = "", after = ""] = text.split("---");
  const graph = parseGraph(lines(before));
  const expected = parseGraph(lines(after));
  verifyGraph(expected);
  const result = runPasses([pass], { graph, constants: constantsOf(graph, given) }, quiet);
  expect(printGraph(result.graph)).toBe(printGraph(expected));
  return result;
}
