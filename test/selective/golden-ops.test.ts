/** The golden op cases of the selective families: in float64 and on the device, against the reference implementations' own numbers. */
import { describe, expect, onTestFinished, test } from "vitest";
import { evaluatePlan } from "../../src/codegen/plan-source.ts";
import { compileGraph } from "../../src/compile.ts";
import type { Constants, Graph } from "../../src/ir/graph.ts";
import { emptyState, interpret } from "../../src/ir/interpret.ts";
import type { Mode, Plan } from "../../src/runtime/plan.ts";
import { relativeError } from "../math/golden.ts";
import { loadPlan, toInputs } from "../setup/execute.ts";
import { sharedDevice } from "../setup/shared-device.ts";
import { cutInputs, joinPieces } from "../setup/tensors.ts";
import { goldenOp, type Memory, opCases } from "./golden.ts";

const cases = opCases.filter(({ op }) => !["causal_conv", "gated_rmsnorm"].includes(op));

describe("in float64", () => {
  test.each(cases)("$op $name", async (c) => {
    const { graph, constants, inputs, y, memories } = await goldenOp(c);
    const known = memories.flatMap(({ keptBy, before }) =>
      before === undefined ? [] : [[graph.nodes.findIndex(keptBy), before] as const],
    );
    const found = interpret(graph, constants, inputs, { state: { ...emptyState, nodes: new Map(known) } });
    const goal = ["ssd", "gated_delta", "mlstm"].includes(c.op) ? 1e-11 : 1e-12;
    expect(relativeError(found.outputs.get("y")?.data ?? [], y.data)).toBeLessThan(goal);
    for (const { name, keptBy, after } of memories)
      expect(relativeError(found.state.nodes.get(graph.nodes.findIndex(keptBy)) ?? [], after), name).toBeLessThan(goal);
  });
});

describe("on the device, in every mode", () => {
  test.each(cases)("$op $name", async (c) => {
    const { graph, constants, inputs, y, memories } = await goldenOp(c);
    const compiled = await compileGraph(graph, constants, { maxLength: 256 });
    const stateOf = ({ keptBy }: Memory): string => `state${compiled.module.graph.nodes.findIndex(keptBy)}`;
    let resume: Mode = "recurrence";
    const plan: Plan = { ...evaluatePlan(compiled.plan), chooseResume: () => resume };
    const model = await loadPlan(plan, compiled.shards, { device: await sharedDevice() });
    onTestFinished(() => model.destroy());
    const stream = await model.stream({ batch: y.shape[0] ?? 1 });
    const start = await stream.save();
    const given = memories.flatMap((memory) => (memory.before ? [[stateOf(memory), Float32Array.from(memory.before)] as const] : []));
    const states = { ...start.states, ...Object.fromEntries(given) };
    const goal = tolerance(c);
    for (const mode of model.info.modes as readonly Mode[]) {
      if (given.length === 0) {
        const whole = await model.run(toInputs(compiled, inputs), { mode });
        expect.soft(relativeError(whole["y"]?.data ?? [], y.data), `${mode}, whole`).toBeLessThan(goal);
      }
      resume = mode;
      await stream.restore({ ...start, states });
      const pieces = [...pieceOf(graph, inputs, y.shape[1] ?? 0)];
      const found: Constants[] = [];
      for (const piece of pieces) {
        const { y: part } = await stream.push(toInputs(compiled, piece));
        found.push(new Map([["y", { shape: part?.dims ?? [], data: Float64Array.from(part?.data ?? []) }]]));
      }
      expect.soft(relativeError(joinPieces(graph, found).get("y")?.data ?? [], y.data), `${mode}, in pieces`).toBeLessThan(goal);
      const { states: kept } = await stream.save();
      for (const memory of memories)
        expect.soft(relativeError(kept[stateOf(memory)] ?? [], memory.after), `${mode}, state ${memory.name}`).toBeLessThan(goal);
    }
  });
});

/** INDEX.md, f32 on WebGPU. */
function tolerance({ op, name }: { readonly op: string; readonly name: string }): number {
  if (name.startsWith("ssd_decay") || name.startsWith("sscan_extreme")) return 3e-4;
  return ["ssd", "gated_delta", "mlstm"].includes(op) ? 5e-5 : 2e-5;
}

/** The inputs in three pieces, of which the first is one step. */
function* pieceOf(graph: Graph, inputs: Constants, L: number): Generator<Constants> {
  const cuts = [...new Set([0, Math.min(1, L), Math.ceil(L / 2), L])];
  for (const [i, from] of cuts.entries()) {
    const to = cuts[i + 1];
    if (to !== undefined) yield cutInputs(graph, inputs, from, to);
  }
}
