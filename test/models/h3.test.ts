/** H3: golden checkpoints of heads of one and of two channels. */
import { describe, expect, test } from "vitest";
import { model, sequence } from "../../src/dsl/index.ts";
import { interpret } from "../../src/ir/interpret.ts";
import { h3 } from "../../src/models/index.ts";
import { init } from "../../src/passes/init.ts";
import { evaluateSystem } from "../../src/ssm/evaluate.ts";
import { loadWeights } from "../../src/weights/load.ts";
import { schemeNamed } from "../../src/weights/schemes.ts";
import { expectMeaning, expectOnDevice, golden, tensorOf, type Case } from "./golden.ts";

const graphOf = (width: number, state: number, headDim: number) =>
  model("h3", { x: sequence(width) }, ({ x }) => ({ y: h3(x, { state, headDim }) })).graph;

async function caseOf(name: string, width: number, state: number, headDim: number, scheme = "h3"): Promise<Case> {
  const graph = graphOf(width, state, headDim);
  const io = await golden(`${name}.io.safetensors`);
  return {
    graph,
    constants: await loadWeights(graph, await golden(`${name}.safetensors`), schemeNamed(scheme)),
    inputs: new Map([["x", await tensorOf(io, "x")]]),
    outputs: new Map([["y", await tensorOf(io, "y")]]),
  };
}

describe.each([
  ["h3_hd1", 6, 8, 1],
  ["h3_hd2", 8, 4, 2],
] as const)("%s, by its own names", (name, width, state, headDim) => {
  test("is the reference's in float64", async () => {
    expectMeaning(await caseOf(name, width, state, headDim), 1e-12);
    const { constants } = await caseOf(name, width, state, headDim, "identity");
    expect(constants).toEqual((await caseOf(name, width, state, headDim)).constants);
  });

  test("is within 1e-5 of it on the device, in every mode", async () =>
    expectOnDevice(await caseOf(name, width, state, headDim), 1e-5, ["convolution", "recurrence", "scan"]));
});

test("the reference's steps are those of the whole", async () => {
  const { graph, constants, inputs } = await caseOf("h3_hd1", 6, 8, 1);
  const steps = await tensorOf(await golden("h3_hd1.io.safetensors"), "y_step");
  const { outputs } = interpret(graph, constants, inputs, { systems: evaluateSystem });
  outputs.get("y")?.data.forEach((y, i) => expect(y).toBeCloseTo(steps.data[i] ?? NaN, 12));
});

test("without weights it starts with finite numbers; heads that do not divide the channels are refused", () => {
  const { constants } = init.run({ graph: graphOf(6, 4, 3), constants: new Map() }, { seed: 1, note: () => {}, warn: () => {} });
  for (const { data } of constants.values()) expect(data.every(Number.isFinite)).toBe(true);
  expect(() => graphOf(6, 4, 4)).toThrow(/heads of 4 channels do not divide 6/);
});
