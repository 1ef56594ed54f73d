/** The layer `s4`: names and shapes of its parameters, its width, and what its options mean in numbers. */
import { describe, expect, expectTypeOf, test } from "vitest";
import { model, s4, sequence, type S4Options, type Seq, type Tensor } from "../../src/dsl/index.ts";
import type { Constant, Constants, Graph } from "../../src/ir/graph.ts";
import { interpret } from "../../src/ir/interpret.ts";
import { complex, div, exp, expm1, mul, scale } from "../../src/math/complex.ts";
import { init } from "../../src/passes/init.ts";
import { structure } from "../../src/passes/structure.ts";
import { basisOf } from "../../src/ssm/bases.ts";
import { bilinear } from "../../src/ssm/discretizations/bilinear.ts";
import { evaluateSystem } from "../../src/ssm/evaluate.ts";
import { nplr } from "../../src/ssm/nplr.ts";
import { flatten, relativeError } from "../math/golden.ts";
import { kernelOf, siso } from "../ssm/runs.ts";

const graphOf = (options: S4Options): Graph =>
  model("m", { u: sequence(4) }, ({ u }) => ({ y: s4(u, { name: "layer", ...options }) })).graph;
const shapes = (options: S4Options): Record<string, number[]> =>
  Object.fromEntries(
    graphOf(options).nodes.flatMap((n) => (n.op === "param" ? [[n.name, n.type.dims.map((d) => Number(d.size))] as const] : [])),
  );

describe("parameters have the names and shapes of the published checkpoints", () => {
  const pairs = {
    "layer.kernel.A_real": [4, 8],
    "layer.kernel.A_imag": [4, 8],
    "layer.kernel.B": [1, 4, 8, 2],
    "layer.kernel.C": [1, 4, 8, 2],
  };
  const channel = { "layer.kernel.inv_dt": [4, 1], "layer.D": [1, 4] };
  test("diagonal plus low rank", () =>
    expect(shapes({ state: 16 })).toEqual({ ...pairs, ...channel, "layer.kernel.P": [1, 4, 8, 2], "layer.kernel.l_kernel": [] }));
  test("diagonal", () => expect(shapes({ state: 16, mode: "diagonal", init: "diag-lin" })).toEqual({ ...pairs, ...channel }));
  test("real poles", () =>
    expect(shapes({ state: 5, mode: "real" })).toEqual({
      ...channel,
      "layer.kernel.A_real": [4, 5],
      "layer.kernel.B": [1, 4, 5],
      "layer.kernel.C": [1, 4, 5],
    }));
  test("shared systems, outputs, rank, step sizes of states, both directions", () =>
    expect(shapes({ state: 16, ssms: 2, channels: 3, rank: 2, untied: true, bidirectional: true })).toMatchObject({
      "layer.kernel.A_real": [2, 8],
      "layer.kernel.B": [1, 2, 8, 2],
      "layer.kernel.P": [2, 2, 8, 2],
      "layer.kernel.C": [6, 4, 8, 2],
      "layer.kernel.inv_dt": [4, 8],
      "layer.D": [3, 4],
    }));
});

test("one output a feature keeps the width in the type; several make it a number, which is right", () => {
  model("m", { u: sequence(4) }, ({ u }) => {
    expectTypeOf(s4(u)).toEqualTypeOf<Tensor<Seq<4>>>();
    const wide = s4(u, { channels: 3 });
    expectTypeOf(wide.shape.H).toEqualTypeOf<number>();
    expect(wide.shape.H).toBe(12);
    return { y: wide };
  });
});

/** The response of one feature of `options` to an impulse, with these parameters and D = 0. */
function kernel(options: S4Options, parameters: Readonly<Record<string, readonly number[]>>, length = 6): number[] {
  const { graph } = model("m", { u: sequence(1) }, ({ u }) => ({ y: s4(u, { name: "layer", ...options }) }));
  const given: [string, Constant][] = graph.nodes.flatMap((node) => {
    if (node.op !== "param") return [];
    const values = parameters[node.name.replace(/^layer\.(kernel\.)?/, "")];
    return values === undefined ? [] : [[node.name, { shape: node.type.dims.map((d) => Number(d.size)), data: Float64Array.from(values) }]];
  });
  const constants: Constants = init.run(
    { graph, constants: new Map(given) },
    { seed: 1, note: () => undefined, warn: () => undefined },
  ).constants;
  const impulse = { shape: [1, length, 1], data: Float64Array.from({ length }, (_, i) => (i === 0 ? 1 : 0)) };
  return [...(interpret(graph, constants, new Map([["u", impulse]]), { systems: evaluateSystem }).outputs.get("y")?.data ?? [])];
}
const steps = (f: (k: number) => number): number[] => Array.from({ length: 6 }, (_, k) => f(k));

describe("what options mean", () => {
  test("real poles are counted twice", () => {
    const parameters = { A_real: [Math.log(0.5), Math.log(2)], B: [1, 3], C: [0.7, -0.2], inv_dt: [Math.log(0.1)], D: [0] };
    const want = steps((k) =>
      [
        [0.5, 0.7],
        [2, -0.6],
      ].reduce((sum, [a = 0, v = 0]) => sum + 2 * v * ((1 - Math.exp(-0.1 * a)) / a) * Math.exp(-0.1 * a * k), 0),
    );
    expect(relativeError(kernel({ mode: "real", state: 2 }, parameters), want)).toBeLessThan(1e-14);
  });

  test("a fast step size is made from sinh of what is stored", () => {
    const own = { A_real: [Math.log(0.5)], A_imag: [1], B: [1, 0], C: [1, 0], D: [0] };
    const options = { mode: "diagonal", state: 2, init: "diag-lin" } as const;
    const fast = kernel({ ...options, fastDelta: true, transforms: { delta: "softplus" } }, { ...own, inv_dt: [-0.3] });
    expect(relativeError(fast, kernel(options, { ...own, inv_dt: [Math.log(Math.log1p(Math.exp(Math.sinh(-0.3))))] }))).toBeLessThan(1e-14);
  });

  test("dss: the kernel of every state sums to its weight over L steps, growing ones too", () => {
    for (const decay of [0.5, -0.5]) {
      const own = { A_real: [decay], A_imag: [2], B: [1, 0], C: [0.3, 0.4], inv_dt: [Math.log(0.2)], D: [0] };
      const K = kernel({ mode: "diagonal", state: 2, init: "diag-lin", discretize: "dss(6)", transforms: { real: "none" } }, own);
      // sum_k (e^z - 1) / (lambda (e^{zL} - 1)) e^{zk} = 1 / lambda
      const [re, im] = [-decay, -2];
      expect(K.reduce((a, b) => a + b, 0)).toBeCloseTo((0.3 * re + 0.4 * im) / (re * re + im * im), 12);
    }
  });

  test("a band limit silences poles of at least that part of half the sampling rate", () => {
    const own = { A_real: [0, 0], A_imag: [Math.PI * 0.4, Math.PI * 0.6], B: [1, 0, 1, 0], C: [1, 0, 1, 0], inv_dt: [0], D: [0] };
    const options = { mode: "diagonal", state: 4, init: "diag-lin", bandlimit: 0.5 } as const;
    const silent = kernel(options, { ...own, C: [1, 0, 0, 0] });
    expect(kernel(options, own)).toEqual(silent);
    expect(kernel({ ...options, bandlimit: 0.7 }, own)).not.toEqual(silent);
  });

  test("step sizes may start evenly spaced", () => {
    const { graph } = model("m", { u: sequence(3) }, ({ u }) => ({
      y: s4(u, { name: "layer", delta: [0.01, 1], start: { delta: "even" } }),
    }));
    const { constants } = init.run({ graph, constants: new Map() }, { seed: 1, note: () => undefined, warn: () => undefined });
    expect(relativeError([...(constants.get("layer.kernel.inv_dt")?.data ?? [])].map(Math.exp), [0.01, 0.1, 1])).toBeLessThan(1e-14);
  });
});

describe("C may start such that an output is the first coordinate", () => {
  const start = { C: "first" } as const;
  /** x_0 of the basis' own matrices, by the same rule. */
  const ofBasis = (name: string, delta: number): number[] => {
    const { A, B } = basisOf(name, 8);
    return kernelOf(siso(A, B, [1, ...Array.from({ length: 7 }, () => 0)], 0, delta), bilinear, 6);
  };
  test.each([
    ["legs", 1],
    ["legt", 2],
    ["fourier", 1],
  ] as const)("%s: whatever the phases of its eigenvectors", (name, rank) => {
    // The poles themselves: those of 0 start at 1e-4.
    const poles = nplr(name, 8, rank).lambda;
    const own = { A_real: poles.map(({ re }) => -re), A_imag: poles.map(({ im }) => -im), inv_dt: [Math.log(0.1)], D: [0] };
    const made = kernel({ state: 8, init: name, rank, start, transforms: { real: "none" } }, own);
    expect(relativeError(made, ofBasis(name, 0.1))).toBeLessThan(1e-12);
  });

  test("systems of several bases that features share, both directions", () => {
    const options = { state: 8, init: "hippo", ssms: 2, bidirectional: true, start } as const;
    const { constants } = init.run(
      { graph: graphOf(options), constants: new Map() },
      { seed: 1, note: () => undefined, warn: () => undefined },
    );
    const C = constants.get("layer.kernel.C") ?? expect.fail("no C");
    const first = (name: string): number[] => flatten((nplr(name, 8, 1).V ?? []).map((v) => v[0] ?? complex(NaN)));
    const rows = [first("legs"), first("fourier"), first("legs"), first("fourier")];
    expect([...C.data]).toEqual([...rows, ...rows].flat());
  });

  test("of a rule the first stored state", () => {
    const made = kernel({ mode: "diagonal", state: 4, init: "diag-inv", start }, { A_imag: [0.3, 2], inv_dt: [Math.log(0.1)], D: [0] });
    // 2 Re of the response of lambda = -1/2 - 0.3 i to a held impulse
    const lambda = complex(-0.5, -0.3);
    const want = steps((k) => 2 * mul(div(expm1(scale(lambda, 0.1)), lambda), exp(scale(lambda, 0.1 * k))).re);
    expect(relativeError(made, want)).toBeLessThan(1e-14);
    const real = kernel({ mode: "real", state: 3, start }, { inv_dt: [Math.log(0.1)], D: [0] });
    expect(
      relativeError(
        real,
        steps((k) => 2 * (1 - Math.exp(-0.1)) * Math.exp(-0.1 * k)),
      ),
    ).toBeLessThan(1e-14);
  });
});

describe("a growing normal part is warned of with its time constant, unless the low-rank part holds it", () => {
  const warnings = (P: number): string[] => {
    const options = { name: "layer", state: 2, transforms: { real: "none" } } as const;
    const { graph } = model("m", { u: sequence(1) }, ({ u }) => ({ y: s4(u, options) }));
    const tensor = (shape: number[], ...data: number[]): Constant => ({ shape, data: Float64Array.from(data) });
    const given: Constants = new Map([
      ["layer.kernel.A_real", tensor([1, 1], -0.25)],
      ["layer.kernel.A_imag", tensor([1, 1], 3)],
      ["layer.kernel.P", tensor([1, 1, 1, 2], P, 0)],
      ["layer.kernel.inv_dt", tensor([1, 1], Math.log(0.1))],
    ]);
    const heard: string[] = [];
    const context = { seed: 1, note: () => undefined, warn: (message: string) => void heard.push(message) };
    structure.run(init.run({ graph, constants: given }, context), context);
    return heard;
  };
  test("grows", () =>
    expect(warnings(0)).toEqual([expect.stringMatching(/pole 0\.25 [-+] 3i .* unstable.*every 4 units of time, 40 samples/)]));
  test("is held", () => expect(warnings(1)).toEqual([]));
});
