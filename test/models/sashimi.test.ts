/** SaShiMi: the golden towers, and towers whose stepping the reference gets wrong. */
import { describe, expect, test } from "vitest";
import { compileGraph } from "../../src/compile.ts";
import { model, s4d, sequence } from "../../src/dsl/index.ts";
import type { Constants, Graph } from "../../src/ir/graph.ts";
import { emptyState, interpret } from "../../src/ir/interpret.ts";
import { s4Block, sashimi, type SashimiOptions } from "../../src/models/index.ts";
import { init } from "../../src/passes/init.ts";
import { evaluateSystem } from "../../src/ssm/evaluate.ts";
import { loadWeights } from "../../src/weights/load.ts";
import { schemeNamed } from "../../src/weights/schemes.ts";
import { numbers } from "../kernels/program.ts";
import { loadCompiled, toInputs } from "../setup/execute.ts";
import { sharedDevice } from "../setup/shared-device.ts";
import { cutInputs, joinPieces, largestErrorOf } from "../setup/tensors.ts";
import { type Case, expectMeaning, expectOnDevice, golden, tensorOf } from "./golden.ts";

const tower = (options: SashimiOptions): Graph => model("tower", { u: sequence(4) }, ({ u }) => ({ y: sashimi(u, options) })).graph;

const towers = {
  sashimi_p22: { layers: 1, pool: [2, 2] },
  sashimi_diag_p42: {
    layers: 2,
    pool: [4, 2],
    layer: (x) => s4Block(x, { mode: "diagonal", init: "diag-lin" }),
  },
  sashimi_unet_bidir: { layers: 1, pool: [2, 2], unet: true, bidirectional: true },
} as const satisfies Record<string, SashimiOptions>;

async function caseOf(name: keyof typeof towers): Promise<Case> {
  const graph = tower(towers[name]);
  const io = await golden(`${name}.io.safetensors`);
  return {
    graph,
    constants: await loadWeights(graph, await golden(`${name}.safetensors`), schemeNamed("sashimi")),
    inputs: new Map([["u", await tensorOf(io, "x")]]),
    outputs: new Map([["y", await tensorOf(io, "y")]]),
  };
}

/** What pieces of these lengths give one after another, in float64. */
function stepped(graph: Graph, constants: Constants, inputs: Constants, L: number, lengths: readonly number[]): Constants {
  const pieces: Constants[] = [];
  let state = emptyState;
  for (let from = 0, i = 0; from < L; i++) {
    const to = Math.min(L, from + (lengths[i % lengths.length] ?? 1));
    const one = interpret(graph, constants, cutInputs(graph, inputs, from, to), { state, systems: evaluateSystem });
    pieces.push(one.outputs);
    state = one.state;
    from = to;
  }
  return joinPieces(graph, pieces);
}

const streaming = ["convolution", "recurrence", "scan"];

describe.each([
  ["sashimi_p22", ["convolution", "recurrence"]],
  ["sashimi_diag_p42", streaming],
  ["sashimi_unet_bidir", ["convolution"]],
] as const)("%s", (name, modes) => {
  test("is the reference's in float64", async () => expectMeaning(await caseOf(name), 1e-13));

  test("is within 1e-5 of it on the device, in every mode", async () => expectOnDevice(await caseOf(name), 1e-5, modes));
});

test.each(["sashimi_p22", "sashimi_diag_p42"] as const)("%s: a step at a time is what the reference's steps give", async (name) => {
  const { graph, constants, inputs } = await caseOf(name);
  const y = await tensorOf(await golden(`${name}.io.safetensors`), "y_step");
  const found = stepped(graph, constants, inputs, y.shape[1] ?? 0, [1]);
  expect(largestErrorOf(found, new Map([["y", y]]))).toBeLessThan(1e-13);
});

test("a stream pushed pieces that are no blocks gives the golden output", async () => {
  const { graph, constants, inputs, outputs } = await caseOf("sashimi_diag_p42");
  const compiled = await compileGraph(graph, constants, { maxLength: 64 });
  const loaded = await loadCompiled(compiled, { device: await sharedDevice() });
  const stream = await loaded.stream();
  const pieces: Constants[] = [];
  for (const [from, to] of [
    [0, 3],
    [3, 4],
    [4, 21],
    [21, 24],
  ] as const) {
    const { y } = await stream.push(toInputs(compiled, cutInputs(graph, inputs, from, to)));
    pieces.push(new Map(y === undefined ? [] : [["y", { shape: y.dims, data: Float64Array.from(y.data) }]]));
  }
  expect(largestErrorOf(joinPieces(graph, pieces), outputs)).toBeLessThan(1e-5);
});

describe("towers without a golden output", () => {
  const layer: SashimiOptions["layer"] = (x) => s4d(x, { state: 4 });
  test.each([
    ["three layers a tier, U-Net", { layers: 3, pool: [2, 2], unet: true, layer }],
    ["three poolings, two layers a tier, U-Net", { layers: 2, pool: [2, 3, 2], unet: true, layer }],
    ["no feed-forward layers, U-Net", { layers: 2, pool: [3], unet: true, feedForward: 0, expand: 3, layer }],
    ["one pooling, no U-Net", { layers: 1, pool: [4], expand: 1, layer }],
  ] as const)("%s: any pieces give the whole, and what has not come is not known", (_, options) => {
    const graph = tower(options);
    const { constants } = init.run({ graph, constants: new Map() }, { seed: 5, note: () => {}, warn: () => {} });
    const L = 24;
    const inputs = new Map([["u", numbers([2, L, 4], 7)]]);
    const whole = interpret(graph, constants, inputs, { systems: evaluateSystem }).outputs;
    expect(largestErrorOf(stepped(graph, constants, inputs, L, [1]), whole)).toBe(0);
    expect(largestErrorOf(stepped(graph, constants, inputs, L, [5, 2, 9]), whole)).toBe(0);
  });
});
