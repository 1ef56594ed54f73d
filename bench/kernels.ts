/**
 * Where the time of a model goes, by the device's own clock: whole programs in every mode, and each kernel in them beside the
 * costs its schedule states. Only on devices with timestamps; how the times of a software adapter compare, the others tell.
 */
import { evaluatePlan } from "../src/codegen/plan-source.ts";
import { compileGraph, type Compiled } from "../src/compile.ts";
import {
  gelu,
  glu,
  layerNorm,
  linear,
  model,
  residual,
  s4d,
  sequence,
  type Model,
  type Seq,
  type Tensor,
  tokens,
} from "../src/dsl/index.ts";
import { attentionBlock, mamba2Block, mamba3Block, mambaBlock, mambaModel } from "../src/models/index.ts";
import { dimsFor, estimateDispatch, evaluateSize } from "../src/passes/mode.ts";
import type { DispatchCost } from "../src/passes/lowered.ts";
import type { Mode } from "../src/runtime/plan.ts";
import { type AnyModel, loadPlan } from "../test/setup/execute.ts";
import { random } from "../test/setup/random-graph.ts";
import { sharedDevice } from "../test/setup/shared-device.ts";
import type { Bench, Figure } from "./figure.ts";
import { hasClock, type Pass, spanOf, timed, warm } from "./timestamps.ts";

interface Subject {
  readonly name: string;
  readonly model: () => Model;
  readonly length: number;
}

const language = (mixer: (x: Tensor<Seq<768>>) => Tensor<Seq<768>>) => (): Model =>
  model("language", { ids: tokens(8192) }, ({ ids }) => ({ logits: mambaModel(ids, { width: 768, layers: 4, mixer }) }));
const deep = (layer: (x: Tensor<Seq<256>>) => Tensor<Seq<256>>) => (): Model =>
  model("deep", { u: sequence(1) }, ({ u }) => {
    let x: Tensor<Seq<256>> = linear(u, { width: 256 });
    for (let i = 0; i < 4; i++) x = residual(x, (r) => glu(gelu(layer(layerNorm(r))), { width: 256 }));
    return { y: x };
  });

const subjects: readonly Subject[] = [
  { name: "Mamba, 4 layers of mamba-130m", model: language((x) => mambaBlock(x)), length: 1024 },
  { name: "Mamba-2, 4 layers as wide", model: language((x) => mamba2Block(x)), length: 1024 },
  { name: "Mamba-3, 4 layers as wide", model: language((x) => mamba3Block(x)), length: 1024 },
  { name: "S4D, 4 layers, H = 256", model: deep((x) => s4d(x, { state: 64 })), length: 1024 },
  { name: "S4D, 4 layers, H = 256", model: deep((x) => s4d(x, { state: 64 })), length: 16_384 },
  { name: "attention, 4 layers as wide", model: language((x) => attentionBlock(x, { heads: 12 })), length: 1024 },
];

const TURNS = 7;
/** Steps of one submit. */
const STEPS = 128;

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

async function subject({ name, model: make, length }: Subject): Promise<Figure[]> {
  const device = await sharedDevice();
  const compiled = await compileGraph(make().graph, new Map(), { maxLength: length });
  const loaded = await loadPlan(evaluatePlan(compiled.plan), compiled.shards, { device });
  const figures: Figure[] = [];
  const chosen = evaluatePlan(compiled.plan).choose(dimsOf(device, length));
  for (const mode of Object.keys({ ...compiled.lowered.costs.whole, ...(compiled.lowered.costs.step && { recurrence: true }) }) as Mode[]) {
    const steps = mode === "recurrence" ? STEPS : length;
    const at = `${name}, L = ${length}, ${mode}${mode === chosen ? " (chosen)" : ""}`;
    const run = runOf(loaded, compiled, mode, steps);
    await warm(device, run);
    const spans: number[] = [];
    for (let turn = 0; turn < TURNS; turn++) spans.push(spanOf(await timed(device, false, run)));
    const each = mode === "recurrence" ? steps : 1;
    figures.push({ name: mode === "recurrence" ? `${at}: a step` : at, value: Math.min(...spans) / each / 1000, unit: "ms" });
    if (mode === "recurrence") {
      figures.push(
        ...kernelFigures(
          at,
          await quickest(device, runOf(loaded, compiled, mode, 8)),
          8,
          compiled.lowered.costs.step?.body ?? [],
          dimsOf(device, 1),
        ),
      );
    } else {
      figures.push(
        ...kernelFigures(at, await quickest(device, run), 1, compiled.lowered.costs.whole[mode]?.body ?? [], dimsOf(device, length)),
      );
    }
  }
  loaded.destroy();
  return figures;
}

/** The passes of the fastest of a few runs, every dispatch by itself. */
async function quickest(device: GPUDevice, run: () => Promise<void>): Promise<Pass[]> {
  const runs: Pass[][] = [];
  for (let turn = 0; turn < 3; turn++) runs.push(await timed(device, true, run));
  const [best = []] = runs.toSorted((a, b) => spanOf(a) - spanOf(b));
  return best;
}

const dimsOf = (device: GPUDevice, L: number): ReturnType<typeof dimsFor> =>
  dimsFor(1, L, 2 ** Math.floor(Math.log2(device.limits.maxComputeWorkgroupStorageSize / 8)));

function runOf(loaded: AnyModel, { plan }: Compiled, mode: Mode, steps: number): () => Promise<void> {
  const next = random(7);
  const inputs = Object.fromEntries(
    plan.inputs.map(({ name, dtype, dims }) => {
      const shape = dims.map((size) => (size === "B" ? 1 : size === "L" ? steps : Number(size)));
      const count = shape.reduce((a, b) => a * b, 1);
      return [
        name,
        dtype === "i32"
          ? { data: Int32Array.from({ length: count }, () => Math.floor(next() * 8192)), dims: shape }
          : { data: Float32Array.from({ length: count }, () => next() - 0.5), dims: shape },
      ];
    }),
  );
  return async () => {
    const outputs = (await loaded.run(inputs, { mode, onDevice: true })) as Readonly<Record<string, { readonly data: GPUBuffer }>>;
    for (const { data } of Object.values(outputs)) data.destroy();
  };
}

/** Kernels of one name together: time, what they do of it, and what the cost model expected. */
function kernelFigures(
  at: string,
  passes: readonly Pass[],
  runs: number,
  costs: readonly DispatchCost[],
  d: ReturnType<typeof dimsFor>,
): Figure[] {
  const running = costs.filter(({ when }) => when === undefined || evaluateSize(when, d) !== 0);
  const kernels = new Map<string, { times: number[]; costs: DispatchCost[]; workgroups: number }>();
  passes.forEach(({ kernels: [name = ""], workgroups: [size = []], begin, end }, i) => {
    const kernel = kernels.get(name) ?? { times: [], costs: [], workgroups: 0 };
    kernels.set(name, kernel);
    kernel.times.push(end - begin);
    kernel.workgroups += size.reduce((a, b) => a * b, 1);
    const cost = running[i % running.length];
    if (cost?.kernel === name) kernel.costs.push(cost);
  });
  return [...kernels]
    .map(([name, { times, costs: stated, workgroups }]) => {
      const estimates = stated.map((cost) => estimateDispatch(cost, d));
      const [time, flops, bytes, expected] = [
        sum(times),
        sum(estimates.map((e) => e.flops)),
        sum(estimates.map((e) => e.bytes)),
        1e6 * sum(estimates.map((e) => e.seconds)),
      ];
      const what = `${times.length / runs} of ${(workgroups / times.length).toFixed(0)} workgroups, ${(flops / time / 1e3).toFixed(0)} GFLOP/s, ${(bytes / time / 1e3).toFixed(0)} GB/s, expected ${(expected / runs).toFixed(0)}`;
      return { name: `${at}: ${name} (${what})`, value: time / runs, unit: "us" };
    })
    .toSorted((a, b) => b.value - a.value);
}

export const kernelTimes: Bench = {
  name: "kernels",
  doc: "time of programs and of the kernels in them, by the device's clock",
  device: true,
  run: async () => {
    if (!hasClock(await sharedDevice())) return [{ name: "this device has no clock of its own", value: 0, unit: "" }];
    const figures: Figure[] = [];
    for (const one of subjects) {
      process.stderr.write(`${one.name}, L = ${one.length}\n`);
      figures.push(...(await subject(one)));
    }
    return figures;
  },
};
