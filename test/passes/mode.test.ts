/** The cost model against times of an H100, by its own clock (`bench/kernels.ts` and `bench/selective.ts`). */
import { describe, expect, test } from "vitest";
import { evaluatePlan } from "../../src/codegen/plan-source.ts";
import { compileGraph, type Compiled } from "../../src/compile.ts";
import { gelu, glu, model, s4d, selective, sequence, type Model } from "../../src/dsl/index.ts";
import { bug } from "../../src/ir/error.ts";
import { mamba2Block, mamba3Block, mambaBlock } from "../../src/models/index.ts";
import { dimsFor, estimateDispatch } from "../../src/passes/mode.ts";
import type { Mode } from "../../src/runtime/plan.ts";

const compile = ({ graph }: Model): Promise<Compiled> => compileGraph(graph, new Map(), { maxLength: 16_384 });

const layers = {
  Mamba: () => compile(model("mamba", { u: sequence(768) }, ({ u }) => ({ y: mambaBlock(u) }))),
  "Mamba-2": () => compile(model("mamba2", { u: sequence(768) }, ({ u }) => ({ y: mamba2Block(u) }))),
  "Mamba-3": () => compile(model("mamba3", { u: sequence(768) }, ({ u }) => ({ y: mamba3Block(u) }))),
  S4D: () => compile(model("s4d", { u: sequence(256) }, ({ u }) => ({ y: glu(gelu(s4d(u, { state: 64 })), { width: 256 }) }))),
  "a scan of 512 columns": () =>
    compile(
      model("scan", { u: sequence(512), dt: sequence(512), B: sequence(16), C: sequence(16) }, ({ u, dt, B, C }) => ({
        y: selective(u, { dt, B, C }),
      })),
    ),
};
type Layer = keyof typeof layers;

/** Milliseconds: of models of four such layers, and of the scan alone. */
const measured: readonly (readonly [Layer, number, Partial<Record<Mode, number>>])[] = [
  ["Mamba", 1024, { scan: 6.37, chunked: 6.24 }],
  ["Mamba-2", 1024, { scan: 14.06, chunked: 6.55 }],
  ["Mamba-3", 1024, { scan: 43.59, chunked: 8.57 }],
  ["S4D", 1024, { scan: 0.94, convolution: 0.52 }],
  ["S4D", 16_384, { scan: 15.87, convolution: 2.53 }],
  ["a scan of 512 columns", 1024, { scan: 0.179, chunked: 0.076 }],
  ["a scan of 512 columns", 4096, { scan: 0.838, chunked: 0.131 }],
];

describe("the mode chosen is as fast as the fastest, or 3 % slower", () => {
  test.each(measured)("%s, L = %i", async (layer, length, times) => {
    const chosen = evaluatePlan((await layers[layer]()).plan).choose(dimsFor(1, length));
    expect(times[chosen] ?? Infinity).toBeLessThan(1.03 * Math.min(...Object.values(times)));
  });
});

test("software adapters scan where a GPU takes chunks", async () => {
  const { choose, chooseResume } = evaluatePlan((await layers["Mamba-2"]()).plan);
  const modes = (W: number): unknown[] => [choose, chooseResume].map((mode) => mode?.({ ...dimsFor(1, 1024), W }));
  expect([modes(256), modes(32)]).toEqual([
    ["chunked", "chunked"],
    ["scan", "scan"],
  ]);
});

test.each(Object.keys(layers) as Layer[])("one step of %s runs as a step, whole or of a stream", async (layer) => {
  const { choose, chooseResume } = evaluatePlan((await layers[layer]()).plan);
  expect([choose(dimsFor(1, 1)), chooseResume?.(dimsFor(1, 1))]).toEqual(["recurrence", "recurrence"]);
});

describe("kernels of few lanes take on the reference device what they take on a wider one, or half more or less", () => {
  test.each([
    ["Mamba", "selective_slices", 230],
    ["Mamba-2", "selective_lanes", 2051],
  ] as const)("%s: %s", async (layer, kernel, microseconds) => {
    const { scan } = (await layers[layer]()).lowered.costs.whole;
    const cost = scan?.body.find((c) => c.kernel === kernel) ?? bug(`no ${kernel}`);
    const ratio = estimateDispatch(cost, dimsFor(1, 1024)).seconds / (1e-6 * microseconds);
    expect(Math.max(ratio, 1 / ratio)).toBeLessThan(1.5);
  });
});
