/**
 * Kernels without a device: whole programs of small plans on the simulator of kernel IR. Results equal the float64
 * interpreter, and no kernel races or leaves its buffers.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compileGraph, type Compiled } from "../../src/compile.ts";
import { conv, glu, hippoLegs, layerNorm, linear, mean, model, rmsNorm, sequence, silu } from "../../src/dsl/index.ts";
import { graphBuilder } from "../../src/ir/build.ts";
import { arg, call, constant } from "../../src/ir/expr.ts";
import type { Constants } from "../../src/ir/graph.ts";
import { interpret } from "../../src/ir/interpret.ts";
import { printGraph } from "../../src/ir/print.ts";
import { errorOf, rounded } from "../setup/execute.ts";
import { arbitraryModule, steps } from "../setup/random-graph.ts";
import { compileCase, type SsmCase } from "../setup/ssm-case.ts";
import { type Entry, numbers, type Ran, type Simulated, SimulatedModel } from "./program.ts";

/** float32 against float64, of the output's scale. */
const tolerance = 1e-5;

interface Sized {
  readonly inputs: Constants;
  readonly B: number;
  readonly L: number;
}

/** Runs every entry point from the zero state and checks results and violations; gives all dispatches. */
function checkPrograms(compiled: Compiled, { inputs, B, L }: Sized, device: Simulated = {}): Ran[] {
  const { graph, constants } = compiled.module;
  const expected = interpret(graph, constants, inputs).outputs;
  const streams = compiled.plan.step !== undefined;
  const entries: Entry[] = streams ? [{ kind: "step" }] : [];
  for (const mode of new SimulatedModel(compiled).modes) {
    entries.push({ kind: "whole", mode });
    if (streams) entries.push({ kind: "resume", mode });
  }
  return entries.flatMap((entry) => {
    const { outputs, ran } = new SimulatedModel(compiled, device).run(entry, inputs, B, L);
    const actual = Object.fromEntries(
      [...outputs].map(([name, { shape, data }]) => [name, { data: Float32Array.from(data), dims: shape }]),
    );
    expect(errorOf(actual, expected), `${JSON.stringify(entry)}\n${printGraph(graph)}`).toBeLessThan(tolerance);
    expect([...new Set(ran.flatMap((r) => [...r.counts.violations]))], printGraph(graph)).toEqual([]);
    return ran;
  });
}

async function checkSystem(c: SsmCase, device: Simulated = {}): Promise<Ran[]> {
  const inputs = new Map([["x", numbers([c.B, c.L, c.H], c.seed)]]);
  return checkPrograms(await compileCase(c), { inputs, B: c.B, L: c.L }, device);
}

const system: SsmCase = { structure: "s4d", discretization: "zoh", B: 2, L: 10, H: 3, N: 8, P: 1, logDelta: -1, seed: 5 };

describe("results and accesses", () => {
  test.each([10, 64, 65, 200])("diagonal, dense and DPLR systems, %i steps", async (L) => {
    await checkSystem({ ...system, L });
    await checkSystem({ ...system, structure: "dense", L, H: 2, N: 6 });
    await checkSystem({ ...system, structure: "dplr", discretization: "bilinear", L, seed: 6 });
  });

  test.each([10, 70])("dense and DPLR systems with several outputs of one state, %i steps", async (L) => {
    await checkSystem({ ...system, structure: "dense", L, H: 2, N: 6, P: 3 });
    await checkSystem({ ...system, structure: "dplr", discretization: "bilinear", L, H: 2, P: 3, seed: 6 });
  });

  test.each([
    [200, 64],
    [600, 64],
    [600, 128],
  ])("an FFT in rows and columns: %i steps where %i points fit", async (L, F) => {
    const ran = await checkSystem({ ...system, L, H: 2 }, { F });
    expect(ran.map((r) => r.kernel)).toContain("fft_rows");
  });

  test.each([
    [40, 90, 2048],
    [100, 90, 2048],
    [100, 300, 2048],
    [400, 300, 64],
  ])("a convolution of many taps: %i steps, %i taps where %i points fit", async (L, width, F) => {
    const long = model("long", { u: sequence(2) }, ({ u }) => ({ y: conv(u, { width }) }));
    const compiled = await compileGraph(long.graph, new Map(), { maxLength: 4096 });
    const ran = checkPrograms(compiled, { inputs: new Map([["u", numbers([2, L, 2], 3)]]), B: 2, L }, { F });
    const whole = L <= 64 ? "direct_convolution" : F === 64 ? "fft_rows" : "fft_convolution";
    const response = L === 400 ? "fft_line" : "conv_response";
    expect(ran.map((r) => r.kernel)).toEqual(expect.arrayContaining([whole, "conv_kernel", response, "conv_tail", "conv_step"]));
  });

  test.each([
    [1, 1, 1, 256, "ssm_scaled_skewed"],
    [5, 20, 2, 256, "ssm_scaled_skewed"],
    [24, 9, 5, 256, "ssm_scaled_skewed"],
    [70, 30, 2, 256, "ssm_scaled_skewed"],
    [24, 9, 5, 32, "ssm_scaled"],
    [300, 12, 1, 256, "ssm_scaled"],
  ] as const)(
    "%i coefficients of the whole past, %i steps of %i channels where %i lanes are worth having",
    async (state, L, H, W, kernel) => {
      const memory = model("memory", { u: sequence(H) }, ({ u }) => ({ c: hippoLegs(u, { state }) }));
      const compiled = await compileGraph(memory.graph, new Map(), { maxLength: 64 });
      const ran = checkPrograms(compiled, { inputs: new Map([["u", numbers([2, L, H], 3)]]), B: 2, L }, { W });
      expect(new Set(ran.map((r) => r.kernel))).toEqual(new Set([kernel, "ssm_scaled"]));
    },
  );

  test.each([
    [256, 16, 1],
    [256, 10, 3],
    [300, 20, 2],
    [515, 12, 2],
    [30, 130, 3],
  ])("products of %i inputs and %i outputs, %i sequences", async (inputs, width, B) => {
    const product = model("product", { u: sequence(inputs) }, ({ u }) => ({
      y: silu(linear(u, { width })),
      z: glu(layerNorm(u), { width }),
      a: linear(rmsNorm(mean(u, "L")), { width }),
    }));
    const compiled = await compileGraph(product.graph, new Map(), { maxLength: 8 });
    const given = { inputs: new Map([["u", numbers([B, 2, inputs], 3)]]), B, L: 2 };
    for (const W of [32, 256]) {
      const kernels = checkPrograms(compiled, given, { W }).map((r) => r.kernel);
      const whole = W < 64 ? "norm_layer_rows" : "norm_layer_group";
      expect(kernels).toEqual(expect.arrayContaining(["norm_layer_matmul_vector", "norm_rms_matmul_vector", whole]));
      expect(kernels.filter((name) => /^norm_rms_(rows|group)$/.test(name))).toEqual([]);
    }
  });

  test.each([
    [200, 1, 1, 1],
    [129, 1, 1, 16],
    [130, 1, 2, 17],
    [36, 1, 3, 43],
    [20, 1, 2, 300],
    [5, 1, 2, 70],
    [1, 1, 1, 3],
    [96, 3, 2, 33],
    [75, 5, 3, 21],
  ])("norms of %i channels in %i groups, %i sequences of %i steps", async (channels, groups, B, L) => {
    const norms = model("norms", { u: sequence(channels) }, ({ u }) => {
      const x = silu(u);
      return { y: silu(rmsNorm(x, { groups })), z: layerNorm(x), m: layerNorm(mean(u, "L")) };
    });
    const compiled = await compileGraph(norms.graph, new Map(), { maxLength: 512 });
    const given = { inputs: new Map([["u", numbers([B, L, channels], 3)]]), B, L };
    for (const W of [32, 256]) checkPrograms(compiled, given, { W });
  });

  test.each([
    [1, 1, 1],
    [3, 2, 63],
    [2, 1, 64],
    [2, 3, 130],
    [1, 2, 300],
  ])("running totals of %i channels, %i sequences of %i steps", async (channels, B, L) => {
    const g = graphBuilder("totals");
    const x = g.input("x", sequence(channels).type);
    const decay = g.map(call("mul", arg(0), call("neg", arg(0))), [x]);
    // The sine, because angles near pi are near -pi.
    const turned = g.map(call("sin", arg(0)), [g.cumulate("turn", [g.map(call("mul", arg(0), constant(3)), [x])])]);
    const outputs = { s: g.cumulate("sum", [x]), t: turned, m: g.cumulate("max-plus", [x, decay]) };
    const graph = g.finish(Object.entries(outputs).map(([name, value]) => ({ name, value })));
    const compiled = await compileGraph(graph, new Map(), { maxLength: 512 });
    const given = { inputs: new Map([["x", numbers([B, L, channels], 3)]]), B, L };
    for (const W of [32, 256]) checkPrograms(compiled, given, { W });
  });

  test("60 random models of all ops", { timeout: 120_000 }, async () => {
    for (const { module, inputs, B, L } of fc.sample(arbitraryModule({ smooth: true }), { numRuns: 60, seed: 20261123 })) {
      const compiled = await compileGraph(module.graph, module.constants, { maxLength: 48 });
      checkPrograms(compiled, { inputs: rounded(inputs), B, L });
    }
  });

  test("20 random models that read sequences backwards", { timeout: 60_000 }, async () => {
    const models = arbitraryModule({ smooth: true, steps: ["reverse", "lowpass", ...steps] });
    for (const { module, inputs, B, L } of fc.sample(models, { numRuns: 20, seed: 20261123 })) {
      const compiled = await compileGraph(module.graph, module.constants, { maxLength: 16 });
      checkPrograms(compiled, { inputs: rounded(inputs), B, L });
    }
  });
});
