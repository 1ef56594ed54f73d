/** Mamba language models of any shape, with random weights: what benchmarks of costs and sizes compile. */
import { compileGraph, type Compiled, type CompileOptions } from "../src/compile.ts";
import { model, tokens, type Model } from "../src/dsl/index.ts";
import type { Constant } from "../src/ir/graph.ts";
import type { WeightFormat } from "../src/ir/packed.ts";
import { mambaBlock, mambaModel } from "../src/models/index.ts";
import { random } from "../test/setup/random-graph.ts";

export interface Shape {
  readonly width: number;
  readonly layers: number;
  readonly vocabulary: number;
}

/** The shapes of mamba-130m. */
export const mamba130m: Shape = { width: 768, layers: 24, vocabulary: 50_280 };

export const mamba = ({ width, layers, vocabulary }: Shape): Model =>
  model("mamba", { ids: tokens(vocabulary) }, ({ ids }) => ({ logits: mambaModel(ids, { width, layers, mixer: (x) => mambaBlock(x) }) }));

/** Random numbers; parameters of one size share theirs, for costs depend on none. */
export function weightsOf({ graph }: Model): Map<string, Constant> {
  const next = random(20261123);
  const known = new Map<number, Float64Array>();
  const weights = new Map<string, Constant>();
  for (const node of graph.nodes) {
    if (node.op !== "param") continue;
    const shape = node.type.dims.map(({ size }) => Number(size));
    const size = shape.reduce((product, extent) => product * extent, 1);
    const data = known.get(size) ?? Float64Array.from({ length: size }, () => 0.1 * (next() - 0.5));
    known.set(size, data);
    weights.set(node.name, { shape, data });
  }
  return weights;
}

/** What weights may be stored as. */
export const formats: Readonly<Record<"f32" | WeightFormat, CompileOptions>> = {
  f32: {},
  f16: { dtype: "f16" },
  q8: { quantize: "q8", dtype: "f16" },
  q4: { quantize: "q4", dtype: "f16" },
};

export const compile = (language: Model, options: CompileOptions = {}): Promise<Compiled> =>
  compileGraph(language.graph, weightsOf(language), { maxLength: 256, ...options });
