/** The classifier of example.py: golden checkpoints of both norms. */
import { describe, expect, test } from "vitest";
import { model, sequence, type Seq, type Tensor } from "../../src/dsl/index.ts";
import type { Constant } from "../../src/ir/graph.ts";
import { s4Block, s4dBlock, s4Model } from "../../src/models/index.ts";
import { loadWeights } from "../../src/weights/load.ts";
import { schemeNamed } from "../../src/weights/schemes.ts";
import { expectMeaning, expectOnDevice, golden, tensorOf, type Case } from "./golden.ts";

interface Shape {
  readonly inputs: number;
  readonly width: number;
  readonly layers: number;
  readonly state: number;
  readonly prenorm: boolean;
  readonly outputs: number;
  /** S4 blocks of normal plus low rank in both directions, instead of minimal S4D. */
  readonly s4: boolean;
}

async function caseOf(name: string, { inputs, width, layers, state, prenorm, outputs, s4 }: Shape): Promise<Case> {
  const { graph } = model("classifier", { u: sequence(inputs) }, ({ u }) => ({
    y: s4Model(u, {
      width,
      outputs,
      layers,
      prenorm,
      layer: (x) => (s4 ? s4Block(x, { state, bidirectional: true }) : s4dBlock(x, { state })),
    }),
  }));
  const io = await golden(`${name}.io.safetensors`);
  return {
    graph,
    constants: await loadWeights(graph, await golden(`${name}.safetensors`), schemeNamed("s4model")),
    inputs: new Map([["u", await tensorOf(io, "x")]]),
    outputs: new Map([["y", await tensorOf(io, "y")]]),
  };
}

describe.each([
  ["s4model_s4d_d1", { inputs: 1, width: 8, layers: 2, state: 64, prenorm: false, outputs: 10, s4: false }],
  ["s4model_s4d_d3_prenorm", { inputs: 3, width: 16, layers: 4, state: 32, prenorm: true, outputs: 10, s4: false }],
  ["s4model_s4_dplr", { inputs: 3, width: 8, layers: 3, state: 16, prenorm: true, outputs: 5, s4: true }],
] as const)("%s", (name, shape) => {
  test("is the reference's in float64", async () => expectMeaning(await caseOf(name, shape), 1e-13));

  test("is within 1e-5 of it on the device, in every mode", async () =>
    expectOnDevice(await caseOf(name, shape), 1e-5, shape.s4 ? ["convolution"] : ["convolution", "recurrence", "scan"]));
});

describe("s4model_s4_dplr: S4 blocks of version 4 that read in both directions", () => {
  const block = (x: Tensor<Seq<8>>): Tensor<Seq<8>> => s4Block(x, { state: 16, bidirectional: true });
  const { graph } = model("classifier", { u: sequence(3) }, ({ u }) => {
    const outputs: Record<string, Tensor<Seq<8>>> = {};
    const layer = (x: Tensor<Seq<8>>, i: number): Tensor<Seq<8>> => (outputs[`trace_layer${i}_out`] = block(x));
    return { y: s4Model(u, { width: 8, outputs: 5, layers: 3, prenorm: true, layer }), ...outputs };
  });

  async function goldenCase(): Promise<Case> {
    const io = await golden("s4model_s4_dplr.io.safetensors");
    const outputs = graph.outputs.map(
      async ({ name }) => [name, name === "y" ? await tensorOf(io, name) : byTime(await tensorOf(io, name))] as const,
    );
    return {
      graph,
      constants: await loadWeights(graph, await golden("s4model_s4_dplr.safetensors"), schemeNamed("s4model")),
      inputs: new Map([["u", await tensorOf(io, "x")]]),
      outputs: new Map(await Promise.all(outputs)),
    };
  }

  test("is the reference's in float64, logits and every layer", async () => expectMeaning(await goldenCase(), 1e-13));

  test("is within 1e-5 of it on the device, in every mode it has", async () => expectOnDevice(await goldenCase(), 1e-5, ["convolution"]));
});

/** `[B H L]` of the reference to our `[B L H]`. */
function byTime({ shape: [B = 0, H = 0, L = 0], data }: Constant): Constant {
  const at = (i: number): number => Math.floor(i / (H * L)) * H * L + (i % H) * L + (Math.floor(i / H) % L);
  return { shape: [B, L, H], data: data.map((_, i) => data[at(i)] ?? NaN) };
}

test("without a layer of the caller's it stacks minimal S4D layers of 64 states", () => {
  const { graph } = model("classifier", { u: sequence(1) }, ({ u }) => ({ y: s4Model(u, { width: 2, outputs: 3, layers: 2 }) }));
  const states = graph.nodes.flatMap((n) => (n.op === "ssm" ? [n.form.state] : []));
  expect(states).toEqual([64, 64]);
});
