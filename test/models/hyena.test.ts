/** Hyena against its definition in plain loops over float64. */
import { expect, test } from "vitest";
import { model, sequence } from "../../src/dsl/index.ts";
import type { Constant, Constants } from "../../src/ir/graph.ts";
import { hyena, type HyenaOptions } from "../../src/models/index.ts";
import { init } from "../../src/passes/init.ts";
import { random } from "../setup/random-graph.ts";
import { expectMeaning, expectOnDevice, type Case } from "./golden.ts";

type Matrix = readonly (readonly number[])[];

const rowsOf = ({ shape: [rows = 0, columns = 1], data }: Constant): Matrix =>
  Array.from({ length: rows }, (_, i) => [...data.subarray(i * columns, (i + 1) * columns)]);
const affine = (x: Matrix, w: Matrix, b?: ArrayLike<number>): Matrix =>
  x.map((row) => w.map((weights, o) => weights.reduce((sum, value, i) => sum + value * (row[i] ?? NaN), b?.[o] ?? 0)));
const at = (x: Matrix, i: number, j: number): number => x[i]?.[j] ?? 0;

/** The filters before the skip connection, `[N C]`. */
function filters(get: (name: string) => Constant, { length: N, embedding = 3, layers = 2, shift = 0 }: HyenaOptions): Matrix {
  const bands = (embedding - 1) / 2;
  const each = (f: (band: number) => number): number[] =>
    Array.from({ length: bands }, (_, i) => f(1e-4 + (bands === 1 ? 0 : (i * (bands - 1 - 1e-4)) / (bands - 1))));
  let x: Matrix = Array.from({ length: N }, (_, l) => {
    const w = (2 * Math.PI * l) / N;
    return [N === 1 ? 0 : l / (N - 1), ...each((f) => Math.cos(f * w)), ...each((f) => -Math.sin(f * w))];
  });
  const freq = get("filter_fn.implicit_filter.1.freq").data;
  for (let i = 0; i <= layers; i++) {
    const name = `filter_fn.implicit_filter.${2 * i}`;
    x = affine(x, rowsOf(get(`${name}.weight`)), get(`${name}.bias`).data).map((row) => row.map((v, r) => Math.sin((freq[r] ?? NaN) * v)));
  }
  const decay = get("filter_fn.modulation.deltas").data;
  return affine(x, rowsOf(get(`filter_fn.implicit_filter.${2 * layers + 2}.weight`))).map((row, l) =>
    row.map((v, c) => v * (Math.exp(-(N === 1 ? 0 : l / (N - 1)) * Math.abs(decay[c] ?? NaN)) + shift)),
  );
}

/** One sequence `[L D]` through the operator. */
function oracle(u: Matrix, weights: Constants, options: HyenaOptions): Matrix {
  const get = (name: string): Constant => weights.get(name) ?? { shape: [], data: new Float64Array() };
  const order = options.order ?? 2;
  const D = u[0]?.length ?? 0;
  const projected = affine(u, rowsOf(get("in_proj.weight")), get("in_proj.bias").data);
  const taps = rowsOf(get("short_filter.weight"));
  const short = projected.map((row, t) =>
    row.map(
      (_, c) =>
        (get("short_filter.bias").data[c] ?? NaN) + [0, 1, 2].reduce((sum, k) => sum + at(taps, c, k) * at(projected, t - 2 + k, c), 0),
    ),
  );
  const part = (i: number): Matrix => short.map((row) => row.slice(i * D, (i + 1) * D));
  const gated = (a: Matrix, b: Matrix): Matrix => a.map((row, t) => row.map((v, c) => v * at(b, t, c)));
  const kernel = filters(get, options);
  const skip = get("filter_fn.bias").data;
  let v = part(order);
  for (let o = 0; o < order - 1; o++) {
    const input = gated(v, part(order - 1 - o));
    v = input.map((row, t) =>
      row.map((own, c) => {
        const column = c * (order - 1) + o;
        let sum = (skip[column] ?? NaN) * own;
        for (let j = 0; j <= t; j++) sum += at(kernel, j, column) * at(input, t - j, c);
        return sum;
      }),
    );
  }
  return affine(gated(v, part(0)), rowsOf(get("out_proj.weight")), get("out_proj.bias").data);
}

function caseOf(width: number, L: number, options: HyenaOptions): Case {
  const { graph } = model("hyena", { x: sequence(width) }, ({ x }) => ({ y: hyena(x, options) }));
  const { constants } = init.run({ graph, constants: new Map() }, { seed: 7, note: () => {}, warn: () => {} });
  const uniform = random(3);
  const x = Float64Array.from({ length: 2 * L * width }, () => Math.fround(2 * uniform() - 1));
  const y = [0, 1].flatMap((b) =>
    oracle(rowsOf({ shape: [L, width], data: x.subarray(b * L * width, (b + 1) * L * width) }), constants, options).flat(),
  );
  const shape = [2, L, width];
  return {
    graph,
    constants,
    inputs: new Map([["x", { shape, data: x }]]),
    outputs: new Map([["y", { shape, data: Float64Array.from(y) }]]),
  };
}

test.each([
  ["two gates, a filter of 150 steps", 3, 140, { length: 150, filterWidth: 8 }],
  [
    "three gates, five numbers a position, a filter shorter than the sequence",
    2,
    90,
    { length: 70, order: 3, filterWidth: 6, embedding: 5, layers: 1, shift: 0.05 },
  ],
  ["a filter of few steps", 2, 20, { length: 16, filterWidth: 4, layers: 0 }],
] as const)("%s: the definition, in float64 and on the device in every mode", async (_, width, L, options) => {
  const c = caseOf(width, L, options);
  expectMeaning(c, 1e-12);
  await expectOnDevice(c, 1e-5, ["convolution", "recurrence"]);
});

test("refuses an even embedding, an order of one, a filter of no steps", () => {
  const build = (options: HyenaOptions) => () => caseOf(2, 4, options);
  expect(build({ length: 4, embedding: 4 })).toThrow(/frequencies of 1.5/);
  expect(build({ length: 4, order: 1 })).toThrow(/order of 1/);
  expect(build({ length: 0 })).toThrow(/filter of 0/);
});
