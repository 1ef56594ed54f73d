/** One token of a language model with the shapes of mamba-130m, random weights: the cost report of a step, and submits on this device. */
import { evaluatePlan } from "../src/codegen/plan-source.ts";
import { compileGraph, type Compiled } from "../src/compile.ts";
import { model, tokens, type Model } from "../src/dsl/index.ts";
import type { Constant } from "../src/ir/graph.ts";
import { mambaBlock, mambaModel } from "../src/models/index.ts";
import { dimsFor, estimate, evaluateSize, type ProgramEstimate } from "../src/passes/mode.ts";
import { loadPlan } from "../test/setup/execute.ts";
import { random } from "../test/setup/random-graph.ts";
import { sharedDevice } from "../test/setup/shared-device.ts";
import type { Bench, Figure } from "./figure.ts";

interface Shape {
  readonly width: number;
  readonly layers: number;
  readonly vocabulary: number;
}

const mamba130m: Shape = { width: 768, layers: 24, vocabulary: 50_280 };

const mamba = ({ width, layers, vocabulary }: Shape): Model =>
  model("mamba", { ids: tokens(vocabulary) }, ({ ids }) => ({ logits: mambaModel(ids, { width, layers, mixer: (x) => mambaBlock(x) }) }));

/** Random numbers; parameters of one size share theirs, for costs depend on none. */
function weightsOf({ graph }: Model): Map<string, Constant> {
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

const compile = (language: Model): Promise<Compiled> => compileGraph(language.graph, weightsOf(language), { maxLength: 256 });

const stepOf = ({ lowered }: Compiled): ProgramEstimate => estimate(lowered.costs.step?.body ?? [], dimsFor(1, 1), true);

/** Bytes of the parameters, and of the state of one stream. */
function least(language: Model, { plan }: Compiled): number {
  const weights = [...weightsOf(language).values()].reduce((sum, { data }) => sum + data.length, 0);
  const d = dimsFor(1, 1);
  const state = plan.buffers.reduce((sum, spec) => sum + (spec.kind === "state" ? evaluateSize(spec.size, d) : 0), 0);
  return 4 * (weights + state);
}

async function costs(): Promise<Figure[]> {
  const language = mamba(mamba130m);
  const compiled = await compile(language);
  const step = stepOf(compiled);
  const around = stepOf(await compile(mamba({ ...mamba130m, layers: 0 })));
  return [
    { name: "dispatches a layer", value: (step.dispatches - around.dispatches) / mamba130m.layers, unit: "", atMost: 5 },
    { name: "dispatches around the layers", value: around.dispatches, unit: "" },
    { name: "bytes over weights plus state", value: step.bytes / least(language, compiled), unit: "", atMost: 1.1 },
  ];
}

/** Of a small model: the programs are the same. */
async function submits(): Promise<Figure> {
  const compiled = await compile(mamba({ width: 16, layers: 2, vocabulary: 32 }));
  const device = await sharedDevice();
  const loaded = await loadPlan(evaluatePlan(compiled.plan), compiled.shards, { device });
  const stream = await loaded.stream({ batch: 1 });
  const push = (): Promise<unknown> => stream.push({ ids: { data: Int32Array.of(3), dims: [1, 1] } });
  await push();
  const { queue } = device;
  const submit = queue.submit.bind(queue);
  let count = 0;
  queue.submit = (commands) => {
    count++;
    return submit(commands);
  };
  for (let i = 0; i < 4; i++) await push();
  queue.submit = submit;
  loaded.destroy();
  return { name: "submits a token", value: count / 4, unit: "", atMost: 1 };
}

export const decode: Bench = {
  name: "decode",
  doc: "a token of a language model with the shapes of mamba-130m",
  device: true,
  run: async () => [...(await costs()), await submits()],
};
