/** Blocks once more, as plain loops over rows of numbers: what the tests of `recurve/models` hold them to. */
import { model, sequence, type Seq, type Tensor } from "../../src/dsl/index.ts";
import type { Constant, Constants } from "../../src/ir/graph.ts";
import { complex, type Complex, add as plus, exp as cexp, mul as times, scale } from "../../src/math/complex.ts";
import { random } from "../../src/math/random.ts";
import { init } from "../../src/passes/init.ts";
import type { Case } from "./golden.ts";

/** A sequence: time steps of channels. */
export type Rows = readonly (readonly number[])[];

export const map = (x: Rows, f: (v: number, h: number, t: number) => number): Rows => x.map((row, t) => row.map((v, h) => f(v, h, t)));
export const zip = (x: Rows, y: Rows, f: (a: number, b: number) => number): Rows => map(x, (v, h, t) => f(v, y[t]?.[h] ?? Number.NaN));
export const sum = (x: Rows, y: Rows): Rows => zip(x, y, (a, b) => a + b);
export const product = (x: Rows, y: Rows): Rows => zip(x, y, (a, b) => a * b);
export const sigmoid = (v: number): number => 1 / (1 + Math.exp(-v));
export const geluTanh = (v: number): number => 0.5 * v * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3)));

/** The error function by its series, which converges fast for the arguments of these tests. */
export function erf(x: number): number {
  let [term, total] = [x, x];
  for (let n = 1; n < 200; n++) {
    term *= (-x * x) / n;
    total += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * total;
}
export const gelu = (v: number): number => 0.5 * v * (1 + erf(v / Math.SQRT2));

/** A model's parameters by name, `[i]` an element. */
export interface Weights {
  readonly data: (name: string) => Float64Array;
  readonly at: (name: string, i: number) => number;
}

export function weightsOf(constants: Constants): Weights {
  const data = (name: string): Float64Array => {
    const found = constants.get(name);
    if (found === undefined) throw new Error(`no parameter ${name}: ${[...constants.keys()].join(", ")}`);
    return found.data;
  };
  return { data, at: (name, i) => data(name)[i] ?? Number.NaN };
}

/** W x + b with the parameters `<name>.weight` and, where there is one, `<name>.bias`. */
export function linear(w: Weights, name: string, x: Rows, bias = true): Rows {
  const weight = w.data(`${name}.weight`);
  return x.map((row) =>
    Array.from({ length: weight.length / row.length }, (_, o) =>
      row.reduce((total, v, i) => total + v * (weight[o * row.length + i] ?? Number.NaN), bias ? w.at(`${name}.bias`, o) : 0),
    ),
  );
}

const mean = (row: readonly number[]): number => row.reduce((a, b) => a + b, 0) / row.length;
const variance = (row: readonly number[]): number => mean(row.map((v) => (v - mean(row)) ** 2));

export const layerNorm = (w: Weights, name: string, x: Rows, eps = 1e-5): Rows =>
  x.map((row) =>
    row.map((v, h) => ((v - mean(row)) / Math.sqrt(variance(row) + eps)) * w.at(`${name}.weight`, h) + w.at(`${name}.bias`, h)),
  );
export const scalarNorm = (w: Weights, name: string, x: Rows): Rows =>
  x.map((row) => row.map((v) => (w.at(`${name}.s`, 0) / Math.sqrt(variance(row))) * (v - mean(row) + w.at(`${name}.m`, 0))));
export const batchNorm = (w: Weights, name: string, x: Rows): Rows =>
  map(x, (v, h) => {
    const centred = (v - w.at(`${name}.running_mean`, h)) / Math.sqrt(w.at(`${name}.running_var`, h) + 1e-5);
    return centred * w.at(`${name}.weight`, h) + w.at(`${name}.bias`, h);
  });

/** x_t = abar x_{t-1} + B u_t, y = weight Re(C x) + D u with complex rows of B and C. */
export function recurrence(
  x: Rows,
  abar: readonly Complex[],
  B: (n: number, h: number) => Complex,
  C: (h: number, n: number) => Complex,
  D: (h: number) => number,
): Rows {
  let state = abar.map(() => complex(0));
  return x.map((row) => {
    state = state.map((s, n) => row.reduce((total, u, h) => plus(total, scale(B(n, h), u)), times(abar[n] ?? s, s)));
    return row.map((u, h) => state.reduce((total, s, n) => total + times(C(h, n), s).re, D(h) * u));
  });
}

export const exp = cexp;

type Layer<O> = (x: Tensor<Seq<number>>) => O;

/** A model of one block, its parameters random, and what `oracle` makes of them and of a random input. */
export function blockCase(
  H: number,
  block: Layer<{ readonly shape: { readonly H: number } }>,
  oracle: (w: Weights, x: Rows) => Rows,
  { L = 24, seed = 5 } = {},
): Case {
  const { graph } = model("m", { u: sequence(H) }, ({ u }) => ({ y: block(u) }));
  const { normal } = random(seed, "block");
  const started = init.run({ graph, constants: new Map() }, { seed, note: () => undefined, warn: () => undefined }).constants;
  const fixed = new Set(graph.nodes.flatMap((n) => (n.op === "param" && n.fixed === true ? [n.name] : [])));
  const constants = new Map(
    [...started].map(([name, { shape, data }]): [string, Constant] => [
      name,
      { shape, data: fixed.has(name) ? data : data.map((v) => v + 0.1 * normal()) },
    ]),
  );
  const x = Array.from({ length: L }, () => Array.from({ length: H }, () => normal()));
  const y = oracle(weightsOf(constants), x);
  const pooled = graph.nodes.at(-1)?.type.dims.length === 2;
  const width = y[0]?.length ?? 0;
  return {
    graph,
    constants,
    inputs: new Map([["u", { shape: [1, L, H], data: Float64Array.from(x.flat()) }]]),
    outputs: new Map([["y", { shape: pooled ? [1, width] : [1, L, width], data: Float64Array.from(y.flat()) }]]),
  };
}
