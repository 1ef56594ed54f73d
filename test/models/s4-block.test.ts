/** The S4 block: a golden one under a mask, and gate and bottleneck against plain loops; the golden ones whole are in test/modes. */
import { describe, expect, test } from "vitest";
import { model, sequence, type Seq, type Tensor } from "../../src/dsl/index.ts";
import { complex, type Complex, div, expm1, mul, scale } from "../../src/math/complex.ts";
import { s4Block, type S4BlockOptions } from "../../src/models/index.ts";
import { loadWeights } from "../../src/weights/load.ts";
import { schemeNamed } from "../../src/weights/schemes.ts";
import { expectMeaning, expectOnDevice, golden, tensorOf } from "./golden.ts";
import { blockCase, exp, gelu, linear, map, product, recurrence, sigmoid, type Rows, type Weights } from "./oracle.ts";

const modes = ["convolution", "scan", "recurrence"];

test("a mask of lengths makes the padding of golden sequences zeros", async () => {
  const { graph } = model("block", { x: sequence(8), mask: sequence(1) }, ({ x, mask }) => ({
    y: s4Block(x, { state: 16, mode: "diagonal", mask }),
  }));
  const io = await golden("block_diag_lin_zoh.io.safetensors");
  const lengths = [...(await io.read("lengths"))];
  const x = await tensorOf(io, "x");
  const L = x.shape[1] ?? 0;
  const mask = { shape: [2, L, 1], data: Float64Array.from(lengths.flatMap((n) => Array.from({ length: L }, (_, t) => (t < n ? 1 : 0)))) };
  const c = {
    graph,
    constants: await loadWeights(graph, await golden("block_diag_lin_zoh.safetensors"), schemeNamed("s4block")),
    inputs: new Map([
      ["x", x],
      ["mask", mask],
    ]),
    outputs: new Map([["y", await tensorOf(io, "y_lengths")]]),
  };
  expect(Math.min(...lengths)).toBeLessThan(L);
  expectMeaning(c, 1e-12);
  await expectOnDevice(c, 1e-5, modes);
});

const [H, N] = [4, 3];

/** S4 of N diagonal states under zoh, `outputs` for each channel of x. */
function s4(w: Weights, x: Rows, outputs: number): Rows {
  const width = x[0]?.length ?? 0;
  const part = (name: string, i: number): Complex => complex(w.at(`layer.kernel.${name}`, 2 * i), w.at(`layer.kernel.${name}`, 2 * i + 1));
  const channels = Array.from({ length: outputs * width }, (_, o) => {
    const h = o % width;
    const lambda = Array.from({ length: N }, (__, n) =>
      complex(-Math.exp(w.at("layer.kernel.A_real", h * N + n)), -w.at("layer.kernel.A_imag", h * N + n)),
    );
    const z = lambda.map((l) => scale(l, Math.exp(w.at("layer.kernel.inv_dt", h))));
    return recurrence(
      x.map((row) => [row[h] ?? Number.NaN]),
      z.map(exp),
      (n) => mul(div(expm1(z[n] ?? complex(0)), lambda[n] ?? complex(0)), part("B", h * N + n)),
      (_o, n) => scale(part("C", o * N + n), 2),
      () => w.at("layer.D", o),
    );
  });
  return x.map((_, t) => channels.map((y) => y[t]?.[0] ?? Number.NaN));
}

const halves = (x: Rows): Rows =>
  x.map((row) => row.slice(0, row.length / 2).map((v, i) => v * sigmoid(row[row.length / 2 + i] ?? Number.NaN)));
const common = { state: 2 * N, mode: "diagonal", init: "diag-lin", delta: [0.02, 0.2] } as const;

const cases: readonly (readonly [string, S4BlockOptions, (w: Weights, x: Rows) => Rows])[] = [
  [
    "a gate of two and a bottleneck of two",
    { gate: 2, gateAct: "tanh", bottleneck: 2, multAct: "gelu", channels: 2, finalAct: "silu" },
    (w, x) => {
      const y = map(s4(w, linear(w, "input_linear", x), 2), gelu);
      const gated = product(linear(w, "output_gate", y), map(linear(w, "input_gate", x), Math.tanh));
      return map(linear(w, "output_linear", map(gated, gelu)), (v) => v * sigmoid(v));
    },
  ],
  [
    "a gate that doubles the channels of glu",
    { gate: 1, activation: "glu", channels: 2 },
    (w, x) => {
      const y = linear(w, "output_gate", halves(s4(w, x, 4)));
      return halves(linear(w, "output_linear", product(y, linear(w, "input_gate", x))));
    },
  ],
  ["no map at the end", { finalAct: "none", activation: "id", channels: 3 }, (w, x) => s4(w, x, 3)],
];

describe.each(cases)("with %s", (_name, options, oracle) => {
  const block = (x: Tensor<Seq<number>>): Tensor<Seq<number>> => s4Block(x, { ...common, ...options });
  const c = blockCase(H, block, oracle);
  test("it is its oracle's in float64", () => expectMeaning(c, 1e-12));
  test("it is within 1e-5 of it on the device", () => expectOnDevice(c, 1e-5, modes));
});

test.each([{ bottleneck: 3 }, { gate: 0.1 }])("%o does not fit four channels", (options) => {
  const build = (): unknown => model("m", { u: sequence(4) }, ({ u }) => ({ y: s4Block(u, options) }));
  expect(build).toThrowError(expect.objectContaining({ code: "bad-width" }));
});
