/** Layers become the nodes they should, under the names they should, and compute what their definition says. */
import { describe, expect, test } from "vitest";
import * as dsl from "../../src/dsl/index.ts";
import type { Seq, Tensor, Unary } from "../../src/dsl/index.ts";
import { at, useSites } from "../../src/dsl/trace.ts";
import type { Constant, Constants, Graph } from "../../src/ir/graph.ts";
import { interpret } from "../../src/ir/interpret.ts";
import { init } from "../../src/passes/init.ts";
import { printGraph } from "../../src/ir/print.ts";
import { evaluateSystem } from "../../src/ssm/evaluate.ts";

/** A layer of a sequence of two channels. */
type Layer = (x: Tensor<Seq<2>>) => { readonly shape: object };

const graphOf = (layer: Layer): Graph => dsl.model("m", { u: dsl.sequence(2) }, ({ u }) => ({ y: layer(u) })).graph;

/** The nodes behind the input, one a line. */
const nodesOf = (layer: Layer): string => printGraph(graphOf(layer)).split("\n").slice(2, -3).join("\n").replaceAll(/^ +/gm, "");

const paramsOf = (graph: Graph): string[] => graph.nodes.flatMap((n) => (n.op === "param" ? [n.name] : []));

const tensor = (shape: readonly number[], ...data: number[]): Constant => ({ shape, data: Float64Array.from(data) });

/** What a layer makes of these time steps of two channels. */
function run(layer: Layer, steps: readonly (readonly [number, number])[], constants: Record<string, Constant> = {}): number[] {
  const given: Constants = new Map(Object.entries(constants));
  const { outputs } = interpret(graphOf(layer), given, new Map([["u", tensor([1, steps.length, 2], ...steps.flat())]]), {
    systems: evaluateSystem,
  });
  return [...(outputs.get("y")?.data ?? [])];
}

const close = (got: readonly number[], want: readonly number[]): void => {
  expect(got).toHaveLength(want.length);
  got.forEach((x, i) => expect(x).toBeCloseTo(want[i] ?? NaN, 12));
};

describe("activations", () => {
  const x = [-3, -0.5, 0, 2] as const;
  const sigmoid = (v: number): number => 1 / (1 + Math.exp(-v));
  const cases: readonly (readonly [string, Unary, (v: number) => number])[] = [
    ["relu", dsl.relu, (v) => Math.max(v, 0)],
    ["silu", dsl.silu, (v) => v * sigmoid(v)],
    ["sigmoid", dsl.sigmoid, sigmoid],
    ["softplus", dsl.softplus, (v) => Math.log(1 + Math.exp(v))],
    ["elu", dsl.elu, (v) => (v > 0 ? v : Math.exp(v) - 1)],
    ["squaredRelu", dsl.squaredRelu, (v) => Math.max(v, 0) ** 2],
    ["square", dsl.square, (v) => v * v],
    ["abs", dsl.abs, Math.abs],
    ["tanh", dsl.tanh, Math.tanh],
    ["exp", dsl.exp, Math.exp],
    ["sin", dsl.sin, Math.sin],
    ["cos", dsl.cos, Math.cos],
    ["leakyRelu", (t) => dsl.leakyRelu(t, 0.1), (v) => (v > 0 ? v : 0.1 * v)],
    ["geluTanh", dsl.geluTanh, (v) => 0.5 * v * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3)))],
    ["x / 4 - 1", (t) => dsl.sub(dsl.div(t, 4), 1), (v) => v / 4 - 1],
    ["clamp", (t) => dsl.minimum(dsl.maximum(t, -1), 1), (v) => Math.min(Math.max(v, -1), 1)],
  ];
  test.each(cases)("%s", (_, layer, meaning) => {
    close(
      run(layer, [
        [x[0], x[1]],
        [x[2], x[3]],
      ]),
      x.map(meaning),
    );
  });

  test("gelu is x times the normal distribution function, to a table's ten digits", () => {
    // Abramowitz and Stegun, table 26.1: Phi(0.5), Phi(1), Phi(2).
    const phi = [0.6914624612740131, 0.8413447460685429, 0.9772498680518208];
    close(
      run(dsl.gelu, [
        [0.5, 1],
        [2, -1],
      ]),
      [0.5 * (phi[0] ?? 0), phi[1] ?? 0, 2 * (phi[2] ?? 0), (phi[1] ?? 0) - 1],
    );
  });
});

describe("layers", () => {
  test("glu is the first half times the sigmoid of the second", () => {
    const weight = tensor([4, 2], 1, 0, 0, 1, 2, 0, 0, -1);
    const y = run((u) => dsl.glu(u, { width: 2, name: "g", bias: false }), [[3, 5]], { "g.weight": weight });
    close(y, [3 / (1 + Math.exp(-6)), 5 / (1 + Math.exp(5))]);
  });

  test("batchNorm uses the running mean and variance", () => {
    const constants = {
      "n.running_mean": tensor([2], 1, 2),
      "n.running_var": tensor([2], 4, 9),
      "n.weight": tensor([2], 10, 100),
      "n.bias": tensor([2], 0.5, 0.25),
    };
    close(
      run((u) => dsl.batchNorm(u, { name: "n", eps: 0 }), [[5, 5]], constants),
      [20.5, 100.25],
    );
  });

  test("layerNorm and rmsNorm scale by their parameters", () => {
    const weight = tensor([2], 2, 3);
    close(
      run((u) => dsl.layerNorm(u, { name: "n", eps: 0 }), [[1, 3]], { "n.weight": weight, "n.bias": tensor([2], 1, 1) }),
      [-1, 4],
    );
    close(
      run((u) => dsl.rmsNorm(u, { name: "n", eps: 0 }), [[1, 7]], { "n.weight": weight }),
      [2 / 5, 21 / 5],
    );
  });

  test("conv sees the present and the past only, the last tap on the present", () => {
    const constants = { "c.weight": tensor([2, 2], 10, 1, 0, 2), "c.bias": tensor([2], 0, 0.5) };
    close(
      run(
        (u) => dsl.conv(u, { width: 2, name: "c" }),
        [
          [1, 1],
          [2, 2],
          [3, 3],
        ],
        constants,
      ),
      [1, 2.5, 12, 4.5, 23, 6.5],
    );
  });

  test("reverse: the last step first; delay: zeros first, by taps that no checkpoint holds", () => {
    const steps = [
      [1, 10],
      [2, 20],
      [3, 30],
    ] as const;
    close(
      run((u) => dsl.reverse(u), steps),
      [3, 30, 2, 20, 1, 10],
    );
    const twoLater: Layer = (u) => dsl.delay(u, 2);
    const fixed = init.run({ graph: graphOf(twoLater), constants: new Map() }, { seed: 0, note: () => {}, warn: () => {} }).constants;
    close(run(twoLater, steps, Object.fromEntries(fixed)), [0, 0, 0, 0, 1, 10]);
    expect(graphOf((u) => dsl.delay(u, 0)).nodes).toHaveLength(1);
    expect(() => graphOf((u) => dsl.delay(u, 0.5))).toThrow(/a delay of 0.5 steps/);
  });

  test("pooling over L: mean, max, last, first", () => {
    const steps = [
      [1, 9],
      [5, 2],
      [3, 4],
    ] as const;
    close(run(dsl.mean, steps), [3, 5]);
    close(run(dsl.max, steps), [5, 9]);
    close(run(dsl.last, steps), [3, 4]);
    close(run(dsl.first, steps), [1, 9]);
  });

  test("split and concat keep the order of channels; ofWidth names the sum", () => {
    const swap: Layer = (u) => {
      const [a, b] = dsl.split(u, [1, 1]);
      return dsl.ofWidth(dsl.concat(b, a, a), 3);
    };
    close(run(swap, [[1, 2]]), [2, 1, 1]);
  });

  test("embed takes the rows of its table", () => {
    const { graph } = dsl.model("m", { ids: dsl.tokens(3) }, ({ ids }) => ({ y: dsl.embed(ids, { width: 2, name: "e" }) }));
    const { outputs } = interpret(
      graph,
      new Map([["e.weight", tensor([3, 2], 1, 2, 3, 4, 5, 6)]]),
      new Map([["ids", tensor([1, 2], 2, 0)]]),
    );
    expect([...(outputs.get("y")?.data ?? [])]).toEqual([5, 6, 1, 2]);
  });

  test("residual adds what its layer makes to its input", () => {
    close(
      run((u) => dsl.residual(u, (x) => dsl.mul(x, 10)), [[1, 2]]),
      [11, 22],
    );
  });
});

describe("names", () => {
  test("unnamed layers are numbered, named ones are as they say, scopes go in front", () => {
    const graph = graphOf((u) => {
      const a = dsl.linear(dsl.linear(u, { width: 2, bias: false }), { width: 2, bias: false });
      const b = dsl.scope("encoder", () => dsl.scope("0", () => dsl.linear(a, { width: 2, bias: false })));
      return dsl.scope("encoder", () => dsl.rmsNorm(b, { name: "norm" }));
    });
    expect(paramsOf(graph)).toEqual(["linear0.weight", "linear1.weight", "encoder.0.linear0.weight", "encoder.norm.weight"]);
  });

  test("nodes carry the place of the innermost call, and errors too", () => {
    useSites([
      { file: "model.ts", line: 1, column: 2 },
      { file: "model.ts", line: 3, column: 4 },
    ]);
    const graph = graphOf((u) => at(0, (x: Tensor<Seq<2>>) => dsl.mul(at(1, dsl.gelu<Seq<2>>)(x), 2))(u));
    expect(graph.nodes.map((n) => n.loc?.line)).toEqual([undefined, 3, 1]);
    expect(() => graphOf((u) => at(1, dsl.linear<Seq<2>, 0>)(u, { width: 0 }))).toThrow(
      expect.objectContaining({ code: "bad-width", loc: { file: "model.ts", line: 3, column: 4 } }),
    );
    useSites([]);
  });
});

describe("ssm", () => {
  test("entries are numbers, parameters, formulas and functions of both; a step size may be a parameter", () => {
    const oscillator = dsl.ssm(
      "oscillator",
      {
        state: 2,
        params: { w: dsl.param.positive(1), z: dsl.param(0.5, { per: "channel" }) },
        delta: dsl.param.positive(0.1),
        discretize: "bilinear",
      },
      ({ w, z }) => ({
        A: dsl.mat([
          [0, 1],
          [dsl.neg(dsl.sq(w)), dsl.times(-2, dsl.times(z, w))],
        ]),
        B: dsl.mat([[0], [dsl.exp(dsl.plus(z, 1))]]),
        C: dsl.mat([[dsl.over(1, dsl.minus(2, 1)), 0]]),
      }),
    );
    expect(nodesOf((u) => oscillator(u))).toMatchInlineSnapshot(`
      "%1: [] = param oscillator0.log_w init constant(0)
      %2: [H=2] = param oscillator0.z init constant(0.5)
      %3: [] = param oscillator0.log_delta init constant(-2.3025850929940455)
      %4: [] = map {exp($0)} %3
      %5: [B L H=2] = ssm family dense bilinear state=2 options={} A=[[0, 1], [neg((exp($0) * exp($0))), (-2 * ($1 * exp($0)))]] B=[[0], [exp(($1 + 1))]] C=[[1, 0]] D=[[0]] %0 %1 %2 %4"
    `);
  });

  test("a matrix of parameters has its elements behind those of the parameters before it", () => {
    const leak = dsl.ssm("leak", { state: 2, params: { d: dsl.param(1), A: dsl.param.matrix(2, 2) } }, ({ d, A }) => ({
      A,
      B: dsl.matOf(2, 1, (i) => i + 1),
      C: dsl.mat([[1, 1]]),
      D: dsl.mat([[d]]),
    }));
    expect(nodesOf((u) => leak(u, { name: "l" }))).toMatchInlineSnapshot(`
      "%1: [] = param l.d init constant(1)
      %2: [N=2 N2=2] = param l.A init normal(0, 0.7071067811865475)
      %3: [B L H=2] = ssm family dense zoh state=2 options={delta: 1} A=[[$1, $2], [$3, $4]] B=[[1], [2]] C=[[1, 1]] D=[[$0]] %0 %1 %2"
    `);
  });

  test("forward Euler of a leaky integrator is its difference equation", () => {
    const leak = dsl.ssm("leak", { state: 1, params: { rate: dsl.param(2) }, delta: 0.25, discretize: "euler" }, ({ rate }) => ({
      A: dsl.diag([dsl.neg(rate)]),
      B: dsl.mat([[1]]),
      C: dsl.mat([[4]]),
    }));
    const constants = { "l.rate": tensor([], 2) };
    // x = 0.5 x + 0.25 u, y = 4 x
    close(
      run(
        (u) => leak(u, { name: "l" }),
        [
          [1, 2],
          [0, 2],
          [4, 0],
        ],
        constants,
      ),
      [1, 2, 0.5, 3, 4.25, 1.5],
    );
  });

  test("dense declares full matrices as parameters", () => {
    expect(nodesOf((u) => dsl.dense(u, { state: 3, name: "ss" }))).toMatchInlineSnapshot(`
      "%1: [N=3 N2=3] = param ss.A init family(dense, A, {init: "legs", dt_min: 0.001, dt_max: 0.1})
      %2: [N=3 M=1] = param ss.B init family(dense, B, {init: "legs", dt_min: 0.001, dt_max: 0.1})
      %3: [P=1 N=3] = param ss.C init family(dense, C, {init: "legs", dt_min: 0.001, dt_max: 0.1})
      %4: [P=1 M=1] = param ss.D init family(dense, D, {init: "legs", dt_min: 0.001, dt_max: 0.1})
      %5: [] = param ss.delta init family(dense, delta, {init: "legs", dt_min: 0.001, dt_max: 0.1})
      %6: [B L H=2] = ssm family dense zoh state=3 options={init: "legs", dt_min: 0.001, dt_max: 0.1} %0 %1 %2 %3 %4 %5"
    `);
  });
});
