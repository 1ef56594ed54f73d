/** Dispatches and bytes of a 4-layer classifier, from the cost report: figures that need no device. */
import { compileGraph, type Compiled } from "../src/compile.ts";
import { add, gelu, glu, layerNorm, linear, mean, model, s4d, sequence } from "../src/dsl/index.ts";
import { dimsFor, estimate, type ProgramEstimate } from "../src/passes/mode.ts";
import type { Bench, Figure } from "./figure.ts";

const LAYERS = 4;
/** Dispatches that belong to no layer: the encoder before, the mean and the decoder after. */
const AROUND = 3;

/** H = 128, N = 64, post-norm: the sizes at which peers publish their times. */
const classifier = () =>
  model("classifier", { u: sequence(1) }, ({ u }) => {
    let x = linear(u, { width: 128 });
    for (let i = 0; i < LAYERS; i++) x = layerNorm(add(x, glu(gelu(s4d(x, { state: 64 })), { width: 128 })));
    return { logits: linear(mean(x, "L"), { width: 10 }) };
  });

function figures(name: string, { dispatches, bytes, minimum }: ProgramEstimate, most: number): Figure[] {
  return [
    { name: `${name}: dispatches a layer`, value: (dispatches - AROUND) / LAYERS, unit: "", atMost: most },
    { name: `${name}: bytes over the compulsory minimum`, value: bytes / minimum, unit: "", atMost: 1.5 },
  ];
}

function whole({ lowered }: Compiled, length: number): Figure[] {
  return Object.entries(lowered.costs.whole).flatMap(([mode, { body }]) =>
    figures(`${mode}, L = ${length}`, estimate(body, dimsFor(1, length)), 4),
  );
}

export const costs: Bench = {
  name: "costs",
  doc: `${LAYERS} layers of S4D, H = 128, N = 64`,
  device: false,
  run: async () => {
    const compiled = await compileGraph(classifier().graph, new Map());
    const step = estimate(compiled.lowered.costs.step?.body ?? [], dimsFor(1, 1), true);
    return [...whole(compiled, 1024), ...whole(compiled, 2048), ...figures("step", step, 5)];
  },
};
