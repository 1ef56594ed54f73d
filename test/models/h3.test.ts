/** H3: golden checkpoints of heads of one and of two channels. */
import { describe, expect, test } from "vitest";
import { model, sequence } from "../../src/dsl/index.ts";
import { bug } from "../../src/ir/error.ts";
import { interpret } from "../../src/ir/interpret.ts";
import { complex, complexArray, complexAt, mul } from "../../src/math/complex.ts";
import { h3 } from "../../src/models/index.ts";
import { init } from "../../src/passes/init.ts";
import { discretize } from "../../src/passes/discretize.ts";
import { structure } from "../../src/passes/structure.ts";
import { bilinear } from "../../src/ssm/discretizations/bilinear.ts";
import { evaluateSystem } from "../../src/ssm/evaluate.ts";
import { loadWeights } from "../../src/weights/load.ts";
import { schemeNamed } from "../../src/weights/schemes.ts";
import { relativeError } from "../math/golden.ts";
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

test("its last states are the reference's, of the diagonal system and of the shift register", async () => {
  const { graph, constants, inputs } = await caseOf("h3_hd1", 6, 8, 1);
  const context = { seed: 1, note: () => undefined, warn: (message: string) => expect.fail(message) };
  const module = discretize.run(structure.run(init.run({ graph, constants }, context), context), context);
  const { state } = interpret(module.graph, module.constants, inputs);
  const stateOf = (op: "ssm" | "conv"): Float64Array =>
    state.nodes.get(module.graph.nodes.findIndex((node) => node.op === op)) ?? bug("no state");
  const io = await golden("h3_hd1.io.safetensors");
  const [B, H, n, N] = [2, 6, 4, 8];
  const at = (name: string, i: number): number => constants.get(name)?.data[i] ?? NaN;
  /** The state of a diagonal system receives the input itself; the reference's Bbar times it. */
  const bbar = (i: number) => {
    const lambda = complex(-Math.exp(at("kernel.kernel.inv_A_real", i)), at("kernel.kernel.A_imag", i));
    const { data } = constants.get("kernel.kernel.B") ?? bug("no B");
    return mul(bilinear.scalar(lambda, Math.exp(at("kernel.kernel.log_dt", Math.floor(i / n)))).bbar, complexAt(data, i));
  };
  const diagonal = stateOf("ssm");
  const ours = complexArray(B * H * n, (i) => {
    const [b, h, k] = [Math.floor(i / (H * n)), Math.floor(i / n) % H, i % n];
    const part = (c: number): number => diagonal[(b * 2 * n + 2 * k + c) * H + h] ?? NaN;
    return mul(bbar(i % (H * n)), complex(part(0), part(1)));
  });
  expect(relativeError(ours, (await tensorOf(io, "state_diag_final")).data)).toBeLessThan(1e-12);
  /** With B = e_0 the register is the last N inputs, newest first. Its last one leaves with the next step and is read no more: a stream has N - 1. */
  const register = stateOf("conv");
  const reference = (await tensorOf(io, "state_shift_final")).data;
  const kept = (i: number): boolean => i % N < N - 1;
  const shifted = Float64Array.from(
    reference,
    (_, i) => register[(Math.floor(i / (H * N)) * (N - 1) + N - 2 - (i % N)) * H + (Math.floor(i / N) % H)] ?? NaN,
  );
  expect(
    relativeError(
      shifted.filter((_, i) => kept(i)),
      reference.filter((_, i) => kept(i)),
    ),
  ).toBeLessThan(1e-12);
});

test("without weights it starts with finite numbers; heads that do not divide the channels are refused", () => {
  const { constants } = init.run({ graph: graphOf(6, 4, 3), constants: new Map() }, { seed: 1, note: () => {}, warn: () => {} });
  for (const { data } of constants.values()) expect(data.every(Number.isFinite)).toBe(true);
  expect(() => graphOf(6, 4, 4)).toThrow(/heads of 4 channels do not divide 6/);
});
