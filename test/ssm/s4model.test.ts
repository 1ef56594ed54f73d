/** Whole golden checkpoints in float64: a model written in layers, its weights, and every stage of its state spaces. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { add, gelu, glu, layerNorm, linear, mean, model, s4d, sequence } from "../../src/dsl/index.ts";
import type { Constants, Graph } from "../../src/ir/graph.ts";
import { interpret } from "../../src/ir/interpret.ts";
import { discretize } from "../../src/passes/discretize.ts";
import { init } from "../../src/passes/init.ts";
import { structure } from "../../src/passes/structure.ts";
import { evaluateSystem } from "../../src/ssm/evaluate.ts";
import { loadWeights } from "../../src/weights/load.ts";
import { bytesSource, openSafetensors, type TensorFile } from "../../src/weights/safetensors.ts";
import { schemeNamed } from "../../src/weights/schemes.ts";
import { relativeError } from "../math/golden.ts";

const golden = (name: string): Promise<TensorFile> =>
  openSafetensors(bytesSource(readFileSync(new URL(`../../../shared/golden/s4/${name}`, import.meta.url)), name));

/** The reference's S4Model; besides the logits, what each layer gives before its residual. */
function s4model(channels: number, width: number, layers: number, state: number, prenorm: boolean): Graph {
  return model("s4model", { u: sequence(channels) }, ({ u }) => {
    let x = linear(u, { width, name: "encoder" });
    const outputs: Record<string, typeof x> = { trace_encoder: x };
    for (let i = 0; i < layers; i++) {
      const norm = `norms.${i}`;
      const z = prenorm ? layerNorm(x, { name: norm }) : x;
      const y = glu(gelu(s4d(z, { state, name: `s4_layers.${i}` })), { width, name: `s4_layers.${i}.output_linear` });
      outputs[`trace_layer${i}_out`] = y;
      x = prenorm ? add(x, y) : layerNorm(add(x, y), { name: norm });
    }
    return { ...outputs, y: linear(mean(x, "L"), { width: 10, name: "decoder" }) };
  }).graph;
}

/** `[B H L]` of the reference to our `[B L H]`. */
function byTime(data: Float64Array, [, H = 0, L = 0]: readonly number[]): Float64Array {
  const at = (i: number): number => Math.floor(i / (H * L)) * H * L + (i % H) * L + (Math.floor(i / H) % L);
  return data.map((_, i) => data[at(i)] ?? NaN);
}

async function compare(graph: Graph, constants: Constants, io: TensorFile, stage: string): Promise<void> {
  const x = { shape: io.entries.get("x")?.shape ?? [], data: await io.read("x") };
  const { outputs } = interpret(graph, constants, new Map([["u", x]]), { systems: evaluateSystem });
  for (const { name } of graph.outputs) {
    const want = await io.read(name);
    const shape = io.entries.get(name)?.shape ?? [];
    const error = relativeError(outputs.get(name)?.data ?? [], name.startsWith("trace_layer") ? byTime(want, shape) : want);
    expect.soft(error, `${stage} ${name}`).toBeLessThan(1e-13);
  }
}

describe.each([
  ["s4model_s4d_d1", s4model(1, 8, 2, 64, false)],
  ["s4model_s4d_d3_prenorm", s4model(3, 16, 4, 32, true)],
] as const)("%s", (name, graph) => {
  test("logits and every layer equal the reference in float64, before and after each pass", async () => {
    const io = await golden(`${name}.io.safetensors`);
    const constants = await loadWeights(graph, await golden(`${name}.safetensors`), schemeNamed("s4model"));
    const context = { seed: 1, note: () => undefined, warn: (message: string) => expect.fail(message) };
    let module = init.run({ graph, constants }, context);
    await compare(module.graph, module.constants, io, "family");
    module = structure.run(module, context);
    await compare(module.graph, module.constants, io, "continuous");
    module = discretize.run(module, context);
    await compare(module.graph, module.constants, io, "discrete");
  });
});
