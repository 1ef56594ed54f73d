/** One token of a language model with the shapes of mamba-130m, random weights: the cost report of a step, and submits on this device. */
import { evaluatePlan } from "../src/codegen/plan-source.ts";
import type { Compiled } from "../src/compile.ts";
import type { Model } from "../src/dsl/index.ts";
import { dimsFor, estimate, evaluateSize, type ProgramEstimate } from "../src/passes/mode.ts";
import { createLanguageLoader } from "../src/runtime/language.ts";
import * as makers from "../src/runtime/tables.ts";
import { loadPlan } from "../test/setup/execute.ts";
import { sharedDevice } from "../test/setup/shared-device.ts";
import type { Bench, Figure } from "./figure.ts";
import { compile, formats, mamba, mamba130m, weightsOf } from "./mamba.ts";
import { hasClock } from "./timestamps.ts";

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

/** Tokens a second, greedy, from a prompt of one token on; weights as they are, and packed. */
async function speed(): Promise<Figure[]> {
  const device = await sharedDevice();
  const figures: Figure[] = [];
  const tokens = hasClock(device) ? 256 : 8;
  for (const format of ["f32", "q8"] as const) {
    const language = mamba(mamba130m);
    const { plan, shards } = await compile(language, formats[format]);
    const files = new Map(shards.map(({ file, bytes }) => [file, bytes]));
    const read = async (file: string): Promise<ArrayBuffer> => (files.get(file) ?? new Uint8Array()).slice().buffer;
    const load = createLanguageLoader(evaluatePlan(plan), "https://bundle.invalid/", makers);
    const loaded = await load({ read, device });
    for (const every of hasClock(device) ? [8, 64] : [8]) {
      for await (const _ of loaded.generate([1], { maxTokens: every, every })) continue;
      const start = performance.now();
      for await (const _ of loaded.generate([1], { maxTokens: tokens, every })) continue;
      figures.push({
        name: `${format}: greedy, ${every} tokens a read-back`,
        value: (1000 * tokens) / (performance.now() - start),
        unit: "tokens/s",
      });
    }
    loaded.destroy();
  }
  return figures;
}

export const decode: Bench = {
  name: "decode",
  doc: "a token of a language model with the shapes of mamba-130m",
  device: true,
  run: async () => [...(await costs()), await submits(), ...(await speed())],
};
