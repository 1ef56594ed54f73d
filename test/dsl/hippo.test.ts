/** The layers that give the coefficients of a memory. */
import { describe, expect, test } from "vitest";
import { hippo, hippoLegs, type HippoOptions, model, sequence } from "../../src/dsl/index.ts";
import type { Graph } from "../../src/ir/graph.ts";
import { interpret } from "../../src/ir/interpret.ts";
import { printGraph } from "../../src/ir/print.ts";
import { matrixOf, multiply } from "../../src/math/matrix.ts";
import { basisOf } from "../../src/ssm/bases.ts";
import { discretizationNamed } from "../../src/ssm/discretizations.ts";
import { evaluateSystem } from "../../src/ssm/evaluate.ts";
import { relativeError } from "../math/golden.ts";
import { random } from "../setup/random-graph.ts";
import { compileGraph } from "../../src/compile.ts";

const memory = (options: HippoOptions<number>): Graph => model("memory", { u: sequence(2) }, ({ u }) => ({ c: hippo(u, options) })).graph;

describe("hippo", () => {
  test.each([
    { basis: "legs", state: 6, delta: 0.05, discretize: "zoh" },
    { basis: "legt", state: 5, delta: 0.1, window: 3, discretize: "bilinear" },
    { basis: "fourier", state: 8, delta: 0.02, discretize: "zoh" },
    { basis: "lagt", state: 4, delta: 0.3, beta: 0.5, discretize: "backward-euler" },
  ] as const)("$basis: all of x_t = Abar x_{t-1} + Bbar u_t on every channel", async ({ basis, state, delta, discretize, ...options }) => {
    const graph = memory({ basis, state, delta, discretize, ...options });
    const [L, H] = [20, 2];
    const data = Float64Array.from({ length: L * H }, random(7));
    const inputs = new Map([["u", { shape: [1, L, H], data }]]);
    const { A, B } = basisOf(basis, state, options);
    const step = discretizationNamed(discretize).dense(A, matrixOf(state, 1, B), delta);
    if (step === undefined) throw new Error("no step");
    const wanted = new Float64Array(L * H * state);
    for (let h = 0; h < H; h++) {
      let x = matrixOf(state, 1, new Float64Array(state));
      for (let t = 0; t < L; t++) {
        const moved = multiply(step.abar, x);
        x = matrixOf(
          state,
          1,
          moved.data.map((v, n) => v + (step.bbar.data[n] ?? NaN) * (data[t * H + h] ?? NaN)),
        );
        wanted.set(x.data, (t * H + h) * state);
      }
    }
    const { module } = await compileGraph(graph, new Map(), { maxLength: 64 });
    const after = interpret(module.graph, module.constants, inputs, { systems: evaluateSystem }).outputs.get("c");
    expect(after?.shape).toEqual([1, L, H * state]);
    expect(relativeError(after?.data ?? [], wanted)).toBeLessThan(1e-12);
  });

  test.each([
    { basis: "legs", discretize: "zoh", form: "dense", sizes: [16 * 16, 16, 16 * 16, 16] },
    // Every channel of a form with poles has its own, here two: abar, p, q and bbar of 8 complex states, c of 16 outputs of them.
    { basis: "legt", discretize: "bilinear", form: "dplr", sizes: [32, 64, 64, 32, 512, 32] },
  ] as const)("$basis by $discretize: all N coefficients are read from one state", async ({ form, sizes, ...options }) => {
    const { module } = await compileGraph(memory({ state: 16, delta: 0.05, ...options }), new Map(), { maxLength: 64 });
    const systems = module.graph.nodes.filter((node) => node.op === "ssm");
    expect(systems.map((node) => node.form)).toEqual([
      { stage: "discrete", structure: form, state: form === "dense" ? 16 : 8, outputs: 16 },
    ]);
    expect([...module.constants.values()].map(({ data }) => data.length)).toEqual(sizes);
    expect(module.graph.nodes.filter((node) => node.op === "matmul")).toEqual([]);
  });

  test("refuses a basis' missing option, an odd number of waves and a step that is none", async () => {
    expect(() => memory({ basis: "legs", state: 4, delta: 1, window: 2 })).toThrow(expect.objectContaining({ code: "ssm-option" }));
    expect(() => memory({ basis: "fourier", state: 5, delta: 1 })).toThrow(expect.objectContaining({ code: "ssm-state-odd" }));
    expect(() => memory({ basis: "legs", state: 1.5, delta: 1 })).toThrow(expect.objectContaining({ code: "bad-state" }));
    await expect(compileGraph(memory({ basis: "legs", state: 4, delta: -1 }), new Map(), { maxLength: 64 })).rejects.toThrow(
      expect.objectContaining({ code: "ssm-delta" }),
    );
  });
});

describe("hippoLegs", () => {
  test("gives N coefficients of each channel, and refuses a rule that is none", () => {
    const built = (state: number, alpha?: number): Graph =>
      model("memory", { u: sequence(3) }, ({ u }) => ({ c: hippoLegs(u, alpha === undefined ? { state } : { state, alpha }) })).graph;
    expect(printGraph(built(4))).toMatch(/\[B L H=12\] = ssm scaled state=4 alpha=0.5 %0/);
    expect(() => built(4, 1.5)).toThrow(expect.objectContaining({ code: "unknown-discretization" }));
    expect(() => built(0)).toThrow(expect.objectContaining({ code: "bad-state" }));
  });
});
