/** S4ND: golden checkpoints in two dimensions, and a naive convolution in three. */
import { describe, expect, test } from "vitest";
import { model, sequence } from "../../src/dsl/index.ts";
import type { Constant, Constants } from "../../src/ir/graph.ts";
import { s4nd, type S4ndOptions } from "../../src/models/index.ts";
import { init } from "../../src/passes/init.ts";
import { familyNamed } from "../../src/ssm/families.ts";
import { discretizationNamed } from "../../src/ssm/discretizations.ts";
import { delayed } from "../../src/ssm/truncate.ts";
import { loadWeights } from "../../src/weights/load.ts";
import { schemeNamed } from "../../src/weights/schemes.ts";
import { random } from "../setup/random-graph.ts";
import { expectMeaning, expectOnDevice, golden, tensorOf, type Case } from "./golden.ts";

const graphOf = (width: number, options: S4ndOptions) => model("s4nd", { x: sequence(width) }, ({ x }) => ({ y: s4nd(x, options) })).graph;

/** `[B C ..]` to `[B L C]`. */
function channelsLast({ shape: [B = 1, C = 1, ...sizes], data }: Constant): Constant {
  const L = sizes.reduce((a, b) => a * b, 1);
  const from = (i: number): number => (Math.floor(i / (L * C)) * C + (i % C)) * L + (Math.floor(i / C) % L);
  return { shape: [B, L, C], data: data.map((_, i) => data[from(i)] ?? NaN) };
}

async function goldenCase(name: string, width: number, options: S4ndOptions): Promise<Case> {
  const graph = graphOf(width, options);
  const io = await golden(`${name}.io.safetensors`);
  return {
    graph,
    constants: await loadWeights(graph, await golden(`${name}.safetensors`), schemeNamed("s4block")),
    inputs: new Map([["x", channelsLast(await tensorOf(io, "x"))]]),
    outputs: new Map([["y", channelsLast(await tensorOf(io, "y"))]]),
  };
}

describe.each([
  ["s4nd_2d", 3, ["convolution"], { sizes: [6, 5], state: 8, mode: "diagonal", init: "diag-lin", bidirectional: true }],
  ["s4nd_2d_causal_dplr", 2, ["convolution", "recurrence"], { sizes: [4, 7], state: 8, init: "legs", channels: 2 }],
] as const)("%s", (name, width, modes, options) => {
  test("is the reference's in float64", async () => expectMeaning(await goldenCase(name, width, options), 1e-13));

  test("is within 1e-5 of it on the device, in every mode", async () =>
    expectOnDevice(await goldenCase(name, width, options), 1e-5, modes));
});

/** The two-sided kernel of an axis, `[rows]` of a function of the distance. */
function kernelOf(
  constants: Constants,
  axis: number,
  rows: number,
  features: number,
  size: number,
): (row: number, distance: number) => number {
  const get = (param: string): Constant => constants.get(`kernel.${axis}.${param}`) ?? { shape: [], data: new Float64Array() };
  const family = familyNamed("s4-diagonal");
  const D = { shape: [rows / features, features], data: new Float64Array(rows) };
  const values = Object.fromEntries(Object.keys(family.params).map((param) => [param, param === "D" ? D : get(param)]));
  const rule = discretizationNamed("zoh");
  const taps = (direction: string): Float64Array => {
    const system = family.evaluate(values, { H: rows, N: 4 }, { direction }, { discretization: () => rule });
    return delayed(system, rule, size, 0).kernel;
  };
  const [forward, backward] = [taps("forward"), taps("backward")];
  return (row, distance) => (distance >= 0 ? forward[row * size + distance] : backward[row * size - distance - 1]) ?? 0;
}

test.each([
  [[3, 4, 2], 1, 1],
  [[2, 3, 5], 2, 2],
  [[70, 2], 1, 2],
])("axes %j, %i outputs, tensor rank %i, both directions: the naive convolution", async (sizes, channels, tensorRank) => {
  const [features, B] = [2, 2];
  const S = sizes.reduce((a, b) => a * b, 1);
  const graph = graphOf(features, {
    sizes,
    channels,
    tensorRank,
    state: 4,
    mode: "diagonal",
    init: "diag-inv",
    bidirectional: true,
    delta: [0.05, 0.5],
  });
  const { constants } = init.run({ graph, constants: new Map() }, { seed: 5, note: () => {}, warn: () => {} });
  const rows = channels * tensorRank * features;
  const kernels = sizes.map((size, axis) => kernelOf(constants, axis, rows, features, size));
  const places = Array.from({ length: S }, (_, l) =>
    sizes.map((size, i) => Math.floor(l / sizes.slice(i + 1).reduce((a, b) => a * b, 1)) % size),
  );
  const uniform = random(2);
  const x = Float64Array.from({ length: B * S * features }, () => Math.fround(2 * uniform() - 1));
  const D = constants.get("D")?.data ?? new Float64Array();
  const y = new Float64Array(B * S * channels * features);
  const kernel = Array.from({ length: channels * features }, (_, c) =>
    places.map((p) =>
      places.map((q) => {
        let sum = 0;
        for (let r = 0; r < tensorRank; r++)
          sum +=
            kernels.reduce((product, axis, i) => product * axis(r * channels * features + c, (p[i] ?? 0) - (q[i] ?? 0)), 1) / tensorRank;
        return sum;
      }),
    ),
  );
  for (let b = 0; b < B; b++)
    for (let p = 0; p < S; p++)
      for (let c = 0; c < channels * features; c++) {
        const input = (q: number): number => x[(b * S + q) * features + (c % features)] ?? NaN;
        let sum = (D[c] ?? NaN) * input(p);
        for (let q = 0; q < S; q++) sum += (kernel[c]?.[p]?.[q] ?? NaN) * input(q);
        y[(b * S + p) * channels * features + c] = sum;
      }
  const made: Case = {
    graph,
    constants,
    inputs: new Map([["x", { shape: [B, S, features], data: x }]]),
    outputs: new Map([["y", { shape: [B, S, channels * features], data: y }]]),
  };
  expectMeaning(made, 1e-12);
  await expectOnDevice(made, 1e-5, ["convolution"]);
});

test("refuses a grid without axes, and an axis of no size", () => {
  expect(() => graphOf(2, { sizes: [] })).toThrow(/without axes/);
  expect(() => graphOf(2, { sizes: [3, 0] })).toThrow(/axis or a tensor rank of 0/);
});
