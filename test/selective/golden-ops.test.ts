/** The golden op cases of the selective families: in float64, against the reference implementations' own numbers. */
import { describe, expect, test } from "vitest";
import { emptyState, interpret } from "../../src/ir/interpret.ts";
import { relativeError } from "../math/golden.ts";
import { goldenOp, opCases } from "./golden.ts";

const cases = opCases.filter(({ op }) => !["causal_conv", "gated_rmsnorm"].includes(op));

describe("in float64", () => {
  test.each(cases)("$op $name", async (c) => {
    const { graph, constants, inputs, y, before, after } = await goldenOp(c);
    const node = graph.nodes.findIndex((n) => n.op === "ssm");
    const state = before === undefined ? emptyState : { position: 0, nodes: new Map([[node, before]]) };
    const found = interpret(graph, constants, inputs, { state });
    const goal = ["ssd", "gated_delta", "mlstm"].includes(c.op) ? 1e-11 : 1e-12;
    expect(relativeError(found.outputs.get("y")?.data ?? [], y.data)).toBeLessThan(goal);
    expect(relativeError(found.state.nodes.get(node) ?? [], after)).toBeLessThan(goal);
  });
});
