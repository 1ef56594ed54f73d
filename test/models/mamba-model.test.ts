/** The language model around Mamba's mixers, with a mixer that plain loops can say: embedding, residual layers, tied and untied heads. */
import { describe, expect, test } from "vitest";
import { embed, linear as linearLayer, model, tokens } from "../../src/dsl/index.ts";
import type { Constants, Graph } from "../../src/ir/graph.ts";
import { interpret } from "../../src/ir/interpret.ts";
import { gatedMlp, mambaModel, type MambaModelOptions } from "../../src/models/index.ts";
import { init } from "../../src/passes/init.ts";
import { expectOnDevice } from "./golden.ts";
import { layerNorm, linear, map, product, sigmoid, sum, weightsOf, type Rows, type Weights } from "./oracle.ts";

const [V, W, HIDDEN] = [7, 6, 5];
const IDS = [3, 0, 6, 6, 1];

type Options = Partial<MambaModelOptions<number>>;

const graphOf = (options: Options): Graph =>
  model("lm", { ids: tokens(V) }, ({ ids }) => ({
    logits: mambaModel(ids, { width: W, layers: 2, mixer: (x) => gatedMlp(x, { hidden: HIDDEN, bias: true }), ...options }),
  })).graph;

function mlp(x: Rows, weights: Weights, name: string, bias: boolean): Rows {
  const both = linear(weights, `${name}.fc1`, x, bias);
  const half = (from: number): Rows => both.map((row) => row.slice(from, from + row.length / 2));
  const gate = map(half((both[0]?.length ?? 0) / 2), (v) => v * sigmoid(v));
  return linear(weights, `${name}.fc2`, product(half(0), gate), bias);
}

const rmsNorm = ({ at }: Weights, name: string, x: Rows): Rows =>
  x.map((row) => row.map((v, h) => (v * at(`${name}.weight`, h)) / Math.sqrt(row.reduce((a, b) => a + b * b, 0) / row.length + 1e-5)));

/** The logits by plain loops. */
function oracle(weights: Weights, { norm: kind = "rms", mlp: hidden, tied = true }: Options): number[] {
  const norm = kind === "rms" ? rmsNorm : layerNorm;
  let x: Rows = IDS.map((id) => [...weights.data("backbone.embedding.weight").subarray(id * W, (id + 1) * W)]);
  for (const layer of ["backbone.layers.0", "backbone.layers.1"]) {
    x = sum(x, mlp(norm(weights, `${layer}.norm`, x), weights, `${layer}.mixer`, true));
    if (hidden !== undefined) x = sum(x, mlp(norm(weights, `${layer}.norm2`, x), weights, `${layer}.mlp`, false));
  }
  return linear(weights, tied ? "backbone.embedding" : "lm_head", norm(weights, "backbone.norm_f", x), false).flat();
}

const inputs: Constants = new Map([["ids", { shape: [1, IDS.length], data: Float64Array.from(IDS) }]]);
const initial = (graph: Graph): Constants =>
  init.run({ graph, constants: new Map() }, { seed: 4, note: () => {}, warn: () => {} }).constants;

describe("mambaModel", () => {
  test.each<Options>([{}, { tied: false }, { norm: "layer", mlp: 4 }])("%j is what its definition says", async (options) => {
    const graph = graphOf(options);
    const constants = initial(graph);
    const logits = { shape: [1, IDS.length, V], data: Float64Array.from(oracle(weightsOf(constants), options)) };
    const found = interpret(graph, constants, inputs).outputs.get("logits")?.data ?? [];
    logits.data.forEach((y, i) => expect(found[i]).toBeCloseTo(y, 12));
    await expectOnDevice({ graph, constants, inputs, outputs: new Map([["logits", logits]]) }, 1e-6, ["convolution", "recurrence"]);
  });

  test("a tied head adds no parameter", () => {
    const names = (options: Options): string[] => [...initial(graphOf(options)).keys()];
    expect(names({ tied: false }).filter((name) => !names({}).includes(name))).toEqual(["lm_head.weight"]);
    expect(names({})).toContain("backbone.layers.1.mixer.fc2.bias");
  });

  test("inside of a scope the head is tied to its own embedding", () => {
    expect([...initial(graphOf({ name: "outer" })).keys()].filter((name) => /embedding|head/.test(name))).toEqual([
      "outer.backbone.embedding.weight",
    ]);
  });

  test("width-mismatch: a map is tied to a weight of its own sizes", () => {
    const build = (): unknown =>
      model("lm", { ids: tokens(V) }, ({ ids }) => ({
        y: linearLayer(embed(ids, { width: W, name: "e" }), { width: V + 1, tiedTo: "e" }),
      }));
    expect(build).toThrow(expect.objectContaining({ code: "width-mismatch", message: "e.weight is [7 6], not [8 6]" }));
  });
});
