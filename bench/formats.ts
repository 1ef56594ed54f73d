/**
 * Weights by format: what packing changes in real ones (`mamba-austen/model.safetensors` in the folder of `--data`), what
 * those of a language model take, and how long its steps are on this adapter. The model has the layers of mamba-130m, a
 * few of them, and random weights.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { evaluatePlan } from "../src/codegen/plan-source.ts";
import { compileGraph, type Compiled, type CompileOptions } from "../src/compile.ts";
import { conv, linear, model, mul, type Seq, selective, silu, softplus, split, type Tensor, tokens } from "../src/dsl/index.ts";
import { withTensorFile } from "../src/files.ts";
import { formats, type WeightFormat } from "../src/ir/packed.ts";
import { mambaModel } from "../src/models/index.ts";
import { dimsFor, estimate } from "../src/passes/mode.ts";
import { pack } from "../src/weights/packing.ts";
import { loadPlan } from "../test/setup/execute.ts";
import type { Bench, Figure } from "./figure.ts";
import { formats as weightsAs } from "./mamba.ts";

const [LAYERS, VOCABULARY, STEPS, ROUNDS] = [4, 8192, 8, 4];

/** The mixer of mamba-130m. */
function mixer(x: Tensor<Seq<768>>): Tensor<Seq<768>> {
  const [u0, gate] = split(linear(x, { width: 3072, bias: false }), [1536, 1536]);
  const u = silu(conv(u0, { width: 4, causal: true }));
  const [r, B, C] = split(linear(u, { width: 80, bias: false }), [48, 16, 16]);
  const dt = softplus(linear(r, { width: 1536 }));
  return linear(mul(selective(u, { dt, B, C }), silu(gate)), { width: 768, bias: false });
}

const compiledAs = (format: CompileOptions): Promise<Compiled> =>
  compileGraph(
    model("letters", { ids: tokens(VOCABULARY) }, ({ ids }) => ({ logits: mambaModel(ids, { width: 768, layers: LAYERS, mixer }) })).graph,
    new Map(),
    { maxLength: 64, ...format },
  );

/** Errors of each format on the matrices of a checkpoint. */
async function errorsOn(file: string): Promise<Figure[]> {
  const matrices = await withTensorFile(file, async ({ entries, read }) => {
    const names = [...entries].flatMap(([name, { shape }]) =>
      shape.length === 2 && !/A_log/.test(name) && (shape[1] ?? 0) >= 32 ? [name] : [],
    );
    return Promise.all(names.map(async (name) => ({ name, shape: entries.get(name)?.shape ?? [], data: await read(name) })));
  });
  return (Object.keys(formats) as WeightFormat[]).flatMap((format) => {
    const errors = matrices.flatMap(({ shape: [rows = 1, inner = 1], data }) => pack(format, rows, inner, data)?.packed.error ?? []);
    const sum = (of: (error: (typeof errors)[number]) => number): number => errors.reduce((total, error) => total + of(error), 0);
    return [
      {
        name: `${format}, ${errors.length} matrices of mamba-austen: relative error, rms`,
        value: Math.sqrt(sum(({ rms, norm }) => (rms * norm) ** 2) / sum(({ norm }) => norm ** 2)),
        unit: "",
      },
      { name: `${format}: in the worst matrix`, value: Math.max(...errors.map(({ rms }) => rms)), unit: "" },
    ];
  });
}

/** Milliseconds a step, by format: the least of several rounds, in which formats take turns. */
async function timesOf(compiled: ReadonlyMap<string, Compiled>): Promise<Map<string, number>> {
  const models = await Promise.all(
    [...compiled].map(async ([name, one]) => [name, await loadPlan(evaluatePlan(one.plan), one.shards)] as const),
  );
  const ids = { data: new Int32Array(STEPS), dims: [1, STEPS] };
  const least = new Map<string, number>();
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, loaded] of models) {
      const start = performance.now();
      await loaded.run({ ids }, { mode: "recurrence" });
      // The first round compiles shaders.
      if (round > 0) least.set(name, Math.min(least.get(name) ?? Infinity, (performance.now() - start) / STEPS));
    }
  }
  for (const [, loaded] of models) loaded.destroy();
  return least;
}

export const weightFormats: Bench = {
  name: "formats",
  doc: `weights of ${LAYERS} layers of mamba-130m, ${VOCABULARY} tokens, by format`,
  device: true,
  run: async ({ data }) => {
    const file = join(data ?? "", "mamba-austen", "model.safetensors");
    const errors = data !== undefined && existsSync(file) ? await errorsOn(file) : [];
    const compiled = new Map<string, Compiled>();
    for (const [name, format] of Object.entries(weightsAs)) compiled.set(name, await compiledAs(format));
    const times = await timesOf(compiled);
    const figures = [...compiled].flatMap(([name, { shards, lowered, manifest }]): Figure[] => {
      const step = estimate(lowered.costs.step?.body ?? [], dimsFor(1, 1), true);
      return [
        { name: `${name}: weights`, value: shards.reduce((sum, { bytes }) => sum + bytes.length, 0) / 2 ** 20, unit: "MiB" },
        { name: `${name}: relative error, rms`, value: manifest.weights?.rms ?? 0, unit: "" },
        { name: `${name}: bytes a step`, value: step.bytes / 2 ** 20, unit: "MiB" },
        { name: `${name}: bytes a step over the compulsory minimum`, value: step.bytes / step.minimum, unit: "" },
        { name: `${name}: a step`, value: times.get(name) ?? NaN, unit: "ms" },
      ];
    });
    return [...errors, ...figures];
  },
};
