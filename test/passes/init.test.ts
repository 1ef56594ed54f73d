/** The pass init: every initializer, seeded by name. */
import { expect, test } from "vitest";
import { graphBuilder } from "../../src/ir/build.ts";
import { arg } from "../../src/ir/expr.ts";
import type { Constant, Init } from "../../src/ir/graph.ts";
import { init } from "../../src/passes/init.ts";
import type { Pass } from "../../src/passes/pass.ts";

const run = (
  inits: Readonly<Record<string, Init | undefined>>,
  seed = 1,
  given: ReadonlyMap<string, Constant> = new Map(),
  shape = [20, 50],
): ReturnType<Pass["run"]> & { notes: string[] } => {
  const g = graphBuilder("g");
  const dims = shape.map((size, i) => ({ name: `D${i}`, size }));
  const ids = Object.entries(inits).map(([name, from]) => g.param(name, dims, from));
  const graph = g.finish(ids.map((id, i) => ({ name: `y${i}`, value: g.map(arg(0), [id]) })));
  const notes: string[] = [];
  return { ...init.run({ graph, constants: given }, { seed, note: (m) => notes.push(m), warn: (m) => notes.push(m) }), notes };
};
const values = (result: ReturnType<Pass["run"]>, name: string): Float64Array => result.constants.get(name)?.data ?? new Float64Array();
const mean = (x: Float64Array): number => x.reduce((a, b) => a + b, 0) / x.length;

test("constant, values, uniform, normal and logUniform give what they say", () => {
  const result = run({
    c: { kind: "constant", value: 3 },
    v: { kind: "values", values: Array.from({ length: 1000 }, (_, i) => i) },
    u: { kind: "uniform", low: -2, high: 6 },
    n: { kind: "normal", mean: 5, std: 0.5 },
    l: { kind: "logUniform", low: 0.001, high: 0.1 },
  });
  expect(values(result, "c").every((x) => x === 3)).toBe(true);
  expect(values(result, "v")[999]).toBe(999);
  expect(values(result, "u").every((x) => x >= -2 && x < 6)).toBe(true);
  expect(Math.abs(mean(values(result, "u")) - 2)).toBeLessThan(0.3);
  expect(Math.abs(mean(values(result, "n")) - 5)).toBeLessThan(0.08);
  expect(Math.abs(Math.sqrt(mean(values(result, "n").map((x) => (x - 5) ** 2))) - 0.5)).toBeLessThan(0.05);
  expect(Math.abs(mean(values(result, "l").map(Math.log10)) + 2)).toBeLessThan(0.08);
  expect(result.constants.get("u")?.shape).toEqual([20, 50]);
  expect(result.notes).toEqual(["5 parameters without weights were initialized with seed 1"]);
});

test("values depend on the seed and the parameter's name alone", () => {
  const n: Init = { kind: "normal", mean: 0, std: 1 };
  expect(values(run({ a: n }), "a")).toEqual(values(run({ z: n, a: n }), "a"));
  expect(values(run({ a: n }), "a")).not.toEqual(values(run({ b: n }), "b"));
  expect(values(run({ a: n }), "a")).not.toEqual(values(run({ a: n }, 2), "a"));
});

test("weights that are given stay as they are", () => {
  const given = new Map([["a", { shape: [20, 50], data: new Float64Array(1000).fill(7) }]]);
  const result = run({ a: { kind: "constant", value: 1 } }, 1, given);
  expect(result.constants.get("a")).toBe(given.get("a"));
  expect(result.notes).toEqual([]);
});

test("a family's parameter starts as its file says", () => {
  const result = run({ im: { kind: "family", family: "s4d", param: "A_imag", options: { init: "lin" } } }, 1, new Map(), [2, 3]);
  expect([...values(result, "im")]).toEqual([0, Math.PI, 2 * Math.PI, 0, Math.PI, 2 * Math.PI]);
});

test("no initializer, a wrong count of values, a parameter its family does not have: refused by code", () => {
  const code = (expected: string): unknown => expect.objectContaining({ code: expected });
  expect(() => run({ a: undefined })).toThrowError(code("param-without-values"));
  expect(() => run({ a: { kind: "values", values: [1, 2] } })).toThrowError(code("init-count"));
  expect(() => run({ a: { kind: "family", family: "s4d", param: "E", options: {} } })).toThrowError(code("ssm-shape"));
  expect(() => run({ a: { kind: "family", family: "s4d", param: "C", options: {} } })).toThrowError(code("ssm-shape"));
});
