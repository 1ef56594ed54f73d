/** The option `rate`: a model at another sampling rate is the model with other step sizes, exactly. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compileGraph } from "../../src/compile.ts";
import { model, sequence, s4d, ssm, mat } from "../../src/dsl/index.ts";
import type { Constants, Graph } from "../../src/ir/graph.ts";
import { discretize } from "../../src/passes/discretize.ts";
import { structure } from "../../src/passes/structure.ts";
import { random } from "../../src/math/random.ts";
import { relativeError } from "../math/golden.ts";
import { quiet } from "./meaning.ts";

const discretized = (graph: Graph, constants: Constants, rate = 1): number[][] => {
  const context = { ...quiet, rate };
  const module = discretize.run(structure.run({ graph, constants }, context), context);
  return [...module.constants].flatMap(([name, { data }]) => (name.includes(":") ? [Array.from(data)] : []));
};

/** [[-1, -2], [2, -1]] is normal, [[0, 1], [-2, -1]] is not. */
const system = (coupling: number, delta: number, discretize: "zoh" | "bilinear"): Graph => {
  const layer = ssm("cell", { state: 2, delta, discretize }, () => ({
    A: mat([
      [-1, coupling],
      [2, -1],
    ]),
    B: mat([[1], [0]]),
    C: mat([[1, 1]]),
  }));
  return model("g", { u: sequence(1) }, ({ u }) => ({ y: layer(u) })).graph;
};

describe("a rate is a factor of every step size", () => {
  test.each([
    ["a dense system", 1],
    ["poles", -2],
  ])("%s", (_, coupling) => {
    for (const rule of ["zoh", "bilinear"] as const)
      for (const rate of [0.5, 2, 3])
        expect(discretized(system(coupling, 0.1, rule), new Map(), rate)).toEqual(
          discretized(system(coupling, 0.1 * rate, rule), new Map()),
        );
  });

  test("s4d with any weights", () => {
    const { graph } = model("g", { u: sequence(2) }, ({ u }) => ({ y: s4d(u, { state: 4, name: "a" }) }));
    fc.assert(
      fc.property(fc.nat(1e6), fc.double({ min: -3, max: 3, noNaN: true }), (seed, octaves) => {
        const { normal } = random(seed, "weights");
        const weights = (shift: number): Constants =>
          new Map(
            graph.nodes.flatMap((node) => {
              if (node.op !== "param") return [];
              const shape = node.type.dims.map((d) => Number(d.size));
              const data = Float64Array.from({ length: shape.reduce((x, y) => x * y, 1) }, normal);
              return [[node.name, { shape, data: node.name.endsWith("log_dt") ? data.map((x) => x - 3 + shift) : data }] as const];
            }),
          );
        const plain = weights(0);
        const shifted = new Map(
          [...plain].map(([name, c]) => [name, name.endsWith("log_dt") ? { ...c, data: c.data.map((x) => x + octaves * Math.LN2) } : c]),
        );
        const [got, want] = [discretized(graph, plain, 2 ** octaves), discretized(graph, shifted)];
        got.forEach((data, i) => expect(relativeError(data, want[i] ?? [])).toBeLessThan(1e-13));
      }),
      { numRuns: 50 },
    );
  });
});

test("a rate that is no number above 0 is refused", async () => {
  for (const rate of [0, -1, NaN, Infinity])
    await expect(compileGraph(system(1, 0.1, "zoh"), new Map(), { rate })).rejects.toMatchObject({ code: "bad-rate" });
});
