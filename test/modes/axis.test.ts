/** Convolutions along the axes of a grid: against N-D convolution by definition, on the simulator and on the device. */
import { describe, expect, test } from "vitest";
import { sequence } from "../../src/dsl/index.ts";
import { compileGraph } from "../../src/compile.ts";
import { graphBuilder } from "../../src/ir/build.ts";
import type { Constant, Constants, Graph } from "../../src/ir/graph.ts";
import { emptyState, interpret } from "../../src/ir/interpret.ts";
import { parseGraph } from "../../src/ir/parse.ts";
import { printGraph } from "../../src/ir/print.ts";
import { InputError } from "../../src/runtime/errors.ts";
import { SimulatedModel } from "../kernels/program.ts";
import { errorOf, loadCompiled, toInputs } from "../setup/execute.ts";
import { random } from "../setup/random-graph.ts";
import { sharedDevice } from "../setup/shared-device.ts";

interface Grid {
  /** Slowest axis first. */
  readonly sizes: readonly number[];
  readonly taps: readonly number[];
  readonly B: number;
  readonly H: number;
  /** Grids one after the other in a sequence. */
  readonly grids: number;
}

interface Made {
  readonly graph: Graph;
  readonly constants: Constants;
  readonly inputs: Constants;
}

function make({ sizes, taps, B, H, grids }: Grid): Made {
  const uniform = random(sizes.length * 100 + H);
  const tensor = (...shape: number[]): Constant => ({
    shape,
    data: Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => Math.fround(2 * uniform() - 1)),
  });
  const g = graphBuilder("grid");
  const L = grids * sizes.reduce((a, b) => a * b, 1);
  let y = g.input("x", sequence(H).type);
  const constants = new Map<string, Constant>();
  sizes.forEach((size, i) => {
    const K = taps[i] ?? 1;
    constants.set(`w${i}`, tensor(H, K));
    const w = g.param(`w${i}`, [
      { name: "H", size: H },
      { name: "K", size: K },
    ]);
    y = g.conv(y, w, undefined, { size, stride: sizes.slice(i + 1).reduce((a, b) => a * b, 1) });
  });
  return { graph: g.finish([{ name: "y", value: y }]), constants, inputs: new Map([["x", tensor(B, L, H)]]) };
}

/** y[p] = sum over q of the product of taps at p - q, axis by axis, times x[q]. */
function byDefinition({ sizes, taps, B, H, grids }: Grid, { constants, inputs }: Made): Float64Array {
  const S = sizes.reduce((a, b) => a * b, 1);
  const x = inputs.get("x")?.data ?? new Float64Array();
  const placeOf = (l: number): number[] => sizes.map((size, i) => Math.floor(l / sizes.slice(i + 1).reduce((a, b) => a * b, 1)) % size);
  const weight = (h: number, p: number[], q: number[]): number =>
    sizes.reduce((product, _, i) => {
      const [K = 1, back] = [taps[i], (p[i] ?? 0) - (q[i] ?? 0)];
      return back < 0 || back >= K ? 0 : product * (constants.get(`w${i}`)?.data[h * K + K - 1 - back] ?? NaN);
    }, 1);
  const y = new Float64Array(x.length);
  for (let b = 0; b < B * grids; b++)
    for (let p = 0; p < S; p++)
      for (let h = 0; h < H; h++) {
        let sum = 0;
        for (let q = 0; q <= p; q++) sum += weight(h, placeOf(p), placeOf(q)) * (x[(b * S + q) * H + h] ?? NaN);
        y[(b * S + p) * H + h] = sum;
      }
  return y;
}

const small: readonly Grid[] = [
  { sizes: [6, 5], taps: [6, 5], B: 2, H: 3, grids: 1 },
  { sizes: [3, 4, 5], taps: [2, 7, 3], B: 1, H: 2, grids: 2 },
  { sizes: [70, 3], taps: [70, 3], B: 1, H: 2, grids: 1 },
  { sizes: [2, 100], taps: [2, 40], B: 1, H: 1, grids: 2 },
];

describe.each(small.map((grid) => [grid.sizes.join(" x "), grid] as const))("a grid of %s", (_, grid) => {
  test("is convolved as its definition says: interpreter, simulator, device", async () => {
    const made = make(grid);
    const { outputs } = interpret(made.graph, made.constants, made.inputs);
    const expected = byDefinition(grid, made);
    outputs.get("y")?.data.forEach((y, i) => expect(Math.abs(y - (expected[i] ?? NaN))).toBeLessThan(1e-12));
    const compiled = await compileGraph(made.graph, made.constants, { maxLength: 1024 });
    const L = made.inputs.get("x")?.shape[1] ?? 0;
    const { outputs: simulated, ran } = new SimulatedModel(compiled).run({ kind: "whole", mode: "convolution" }, made.inputs, grid.B, L);
    const y = simulated.get("y");
    expect(errorOf({ y: { data: Float32Array.from(y?.data ?? []), dims: y?.shape ?? [] } }, outputs)).toBeLessThan(1e-6);
    expect([...new Set(ran.flatMap((r) => [...r.counts.violations]))]).toEqual([]);
    const model = await loadCompiled(compiled, { device: await sharedDevice() });
    expect(errorOf(await model.run(toInputs(compiled, made.inputs), { mode: "convolution" }), outputs)).toBeLessThan(1e-6);
  });
});

test("an axis of more places than a workgroup has memory for is convolved by an FFT in rows and columns", async () => {
  const made = make({ sizes: [2100, 2], taps: [2100, 1], B: 1, H: 2, grids: 1 });
  const { outputs } = interpret(made.graph, made.constants, made.inputs);
  const compiled = await compileGraph(made.graph, made.constants, { maxLength: 8192 });
  expect(compiled.plan.kernels.map(({ name }) => name)).toEqual(expect.arrayContaining(["fft_columns", "fft_rows", "fft_columns_inverse"]));
  const model = await loadCompiled(compiled, { device: await sharedDevice() });
  expect(errorOf(await model.run(toInputs(compiled, made.inputs), { mode: "convolution" }), outputs)).toBeLessThan(1e-6);
});

test("grids print and parse, and whole sequences are whole grids", async () => {
  const made = make({ sizes: [6, 5], taps: [6, 5], B: 1, H: 1, grids: 1 });
  expect(printGraph(parseGraph(printGraph(made.graph)))).toBe(printGraph(made.graph));
  const model = await loadCompiled(await compileGraph(made.graph, made.constants, { maxLength: 64 }), { device: await sharedDevice() });
  expect(model.info).toMatchObject({ period: 30, modes: ["convolution", "recurrence"] });
  await expect(model.run({ x: new Float32Array(29) })).rejects.toThrow(InputError);
});

test.each([
  [{ sizes: [6, 5], taps: [6, 5], B: 2, H: 3, grids: 4 }, [1, 5, 10, 14, 60, 7, 23]],
  [{ sizes: [3, 4, 5], taps: [2, 7, 3], B: 1, H: 2, grids: 3 }, [59, 2, 119]],
  [{ sizes: [4, 1, 3], taps: [1, 1, 3], B: 2, H: 1, grids: 2 }, [3, 21]],
] as const)("a stream of grids, %j, takes pieces of any length: %j", async (grid, pieces) => {
  const made = make(grid);
  const [B, L, H] = made.inputs.get("x")?.shape ?? [];
  const { outputs } = interpret(made.graph, made.constants, made.inputs);
  const compiled = await compileGraph(made.graph, made.constants, { maxLength: 256 });
  const model = await loadCompiled(compiled, { device: await sharedDevice() });
  expect(errorOf(await model.run(toInputs(compiled, made.inputs), { mode: "recurrence" }), outputs)).toBeLessThan(1e-6);
  const stream = await model.stream({ batch: B ?? 0 });
  const cut = ({ data }: Constant, from: number, to: number): Constant => ({
    shape: [B ?? 0, to - from, H ?? 0],
    data: Float64Array.from({ length: (B ?? 0) * (to - from) * (H ?? 0) }, (_, i) => {
      const size = (to - from) * (H ?? 0);
      return data[Math.floor(i / size) * (L ?? 0) * (H ?? 0) + from * (H ?? 0) + (i % size)] ?? NaN;
    }),
  });
  let [from, state] = [0, emptyState];
  for (const length of pieces) {
    const piece = new Map([...made.inputs].map(([name, x]) => [name, cut(x, from, from + length)]));
    const expected = new Map([...outputs].map(([name, y]) => [name, cut(y, from, from + length)]));
    const inPieces = interpret(made.graph, made.constants, piece, { state });
    inPieces.outputs.get("y")?.data.forEach((y, i) => expect(Math.abs(y - (expected.get("y")?.data[i] ?? NaN))).toBeLessThan(1e-12));
    expect(errorOf(await stream.push(toInputs(compiled, piece)), expected), `${from} to ${from + length}`).toBeLessThan(1e-6);
    [from, state] = [from + length, inPieces.state];
  }
  expect(from).toBe(L);
});
