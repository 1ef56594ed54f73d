/** Small language models of layers there are, loaded on the test's device, and what they say in plain loops. */
import { onTestFinished } from "vitest";
import { processGpu } from "../../src/cli/adapter.ts";
import { evaluatePlan } from "../../src/codegen/plan-source.ts";
import { compileGraph, type Compiled, type CompileOptions } from "../../src/compile.ts";
import { add, conv, embed, gelu, layerNorm, linear, model, type Model, s4d, tokens } from "../../src/dsl/index.ts";
import { interpret } from "../../src/ir/interpret.ts";
import type { TensorInput, TensorOutput } from "../../src/runtime/api.ts";
import type { LanguageLoadOptions, LanguageModel, Piece } from "../../src/runtime/language-api.ts";
import { createLanguageLoader } from "../../src/runtime/language.ts";
import type { Plan } from "../../src/runtime/plan.ts";
import * as makers from "../../src/runtime/tables.ts";
import { sample, type Sampling } from "./sampler.ts";

type Inputs = { readonly ids: TensorInput<Int32Array> };
type Outputs = { readonly logits: TensorOutput };
export type TestLanguageModel = LanguageModel<Inputs, Outputs, unknown>;

/** Embedding, a convolution, a state space layer, a head; seeded weights, so that what it says has no pattern. */
export function languageModel<const V extends number>(vocabulary: V, head: number = vocabulary): Model {
  return model("letters", { ids: tokens(vocabulary) }, ({ ids }) => {
    const x = embed(ids, { width: 8, name: "embedding" });
    const y = conv(x, { width: 3, causal: true, name: "conv" });
    const z = add(x, gelu(s4d(layerNorm(y, { name: "norm" }), { state: 4, name: "layer" })));
    return { logits: linear(z, { width: head, name: "head" }) };
  });
}

/** A language model, compiled. */
export const compileLanguage = async (built: Model, options: CompileOptions = {}): Promise<Compiled> =>
  compileGraph(built.graph, new Map(), { maxLength: 256, ...options });

/** A compiled language model, loaded; destroyed when the test ends. */
export async function loadLanguage(
  { plan, shards }: Compiled,
  options: LanguageLoadOptions = {},
  change: Partial<Plan> = {},
): Promise<TestLanguageModel> {
  const read = async (file: string): Promise<ArrayBuffer> =>
    (shards.find((shard) => shard.file === file)?.bytes.slice() ?? new Uint8Array()).buffer;
  const load = createLanguageLoader<Inputs, Outputs, unknown>({ ...evaluatePlan(plan), ...change }, "https://bundle.invalid/", makers);
  const loaded = await load({ read, ...(options.device ? {} : { gpu: processGpu() }), ...options });
  onTestFinished(() => loaded.destroy());
  return loaded;
}

/** All pieces. */
export async function collect(pieces: AsyncIterable<Piece>): Promise<Piece[]> {
  const all: Piece[] = [];
  for await (const piece of pieces) all.push(piece);
  return all;
}

/** The new ids of one sequence. */
export async function idsOf(pieces: AsyncIterable<Piece>, sequence = 0): Promise<number[]> {
  return (await collect(pieces)).filter((piece) => piece.sequence === sequence).map(({ id }) => id);
}

const greedy: Sampling = { temperature: 0, topK: 0, topP: 1, seed: 0 };

/** What the model says after a prompt, by the float64 interpreter and the plain sampler. */
export function continuation(
  { module, plan }: Compiled,
  prompt: readonly number[],
  count: number,
  { sampling = greedy, sequence = 0 }: { readonly sampling?: Sampling; readonly sequence?: number } = {},
): number[] {
  const ids = [...prompt];
  for (let i = 0; i < count; i++) {
    const input = { shape: [1, ids.length], data: Float64Array.from(ids) };
    const { shape = [], data = [] } = interpret(module.graph, module.constants, new Map([["ids", input]])).outputs.get("logits") ?? {};
    const width = shape.at(-1) ?? 0;
    const last = Array.from(data).slice(-width).slice(0, plan.generate?.vocabulary);
    ids.push(sample(last, sampling, ids.length - 1, sequence));
  }
  return ids.slice(prompt.length);
}
