/** Poolings of backbones against their definitions. */
import { expect, expectTypeOf, test } from "vitest";
import { compileGraph } from "../../src/compile.ts";
import { add, first, last, linear, model, s4d, sample, sequence, type Seq, type Tensor, type Vec } from "../../src/dsl/index.ts";
import type { Constants } from "../../src/ir/graph.ts";
import { interpret } from "../../src/ir/interpret.ts";
import { averagePool, downsample, linearPool, linearUnpool, sequenceDecoder, sequenceModel, type Tier } from "../../src/models/index.ts";
import { init } from "../../src/passes/init.ts";
import { evaluateSystem } from "../../src/ssm/evaluate.ts";
import { numbers } from "../kernels/program.ts";
import { errorOf, loadCompiled, toInputs } from "../setup/execute.ts";
import { sharedDevice } from "../setup/shared-device.ts";
import { cutInputs } from "../setup/tensors.ts";

const [L, H] = [12, 3];
const u = numbers([1, L, H], 4);
const at = (t: number, h: number): number => u.data[t * H + h] ?? NaN;
const row = (of: (h: number) => number): Float64Array => Float64Array.from({ length: H }, (_, h) => of(h));
const mean4 = (from: number) => (h: number) => (at(from, h) + at(from + 1, h) + at(from + 2, h) + at(from + 3, h)) / 4;

async function outputsOf(graph: Parameters<typeof compileGraph>[0], constants: Constants) {
  const compiled = await compileGraph(graph, constants, { maxLength: 16 });
  const loaded = await loadCompiled(compiled, { device: await sharedDevice() });
  return loaded.run(toInputs(compiled, new Map([["u", u]])));
}

test("sample takes one step of a block, averagePool their mean", async () => {
  const { graph } = model("pools", { u: sequence(H) }, ({ u: x }) => ({
    begin: first(averagePool(x, 4)),
    end: last(averagePool(x, 4)),
    second: last(sample(x, 4, 1)),
    zeroth: last(sample(x, 3)),
  }));
  const expected = new Map([
    ["begin", { shape: [1, H], data: row(mean4(0)) }],
    ["end", { shape: [1, H], data: row(mean4(8)) }],
    ["second", { shape: [1, H], data: row((h) => at(9, h)) }],
    ["zeroth", { shape: [1, H], data: row((h) => at(9, h)) }],
  ]);
  expect(errorOf(await outputsOf(graph, new Map()), expected)).toBeLessThan(1e-6);
});

test("linearPool reads channel h of the block's step s at h by + s; linearUnpool gives its block one block later", async () => {
  const { graph } = model("linear", { u: sequence(H) }, ({ u: x }) => ({
    y: linearUnpool(linearPool(x, { by: 2, width: 2, bias: false, name: "down" }), { by: 2, width: 1, bias: false, name: "up" }),
  }));
  const values = (shape: readonly number[], ...data: number[]) => ({ shape, data: Float64Array.from(data) });
  const down = values([2, 2 * H], 1, 10, 100, 1e3, 1e4, 1e5, 0, 1, 0, 0, 0, 0);
  const y = await outputsOf(
    graph,
    new Map([
      ["down.weight", down],
      ["up.weight", values([2, 2], 1, 0, 0, 1)],
    ]),
  );
  const whole = (t: number): number => [0, 1, 2].reduce((sum, h) => sum + 10 ** (2 * h) * at(t, h) + 10 ** (2 * h + 1) * at(t + 1, h), 0);
  const data = Float64Array.from({ length: L }, (_, t) => (t < 2 ? 0 : t % 2 === 0 ? whole(t - 2) : at(t - 2, 0)));
  expect(errorOf(y, new Map([["y", { shape: [1, L, 1], data }]]))).toBeLessThan(1e-6);
});

test("a stream of a pooled backbone knows at every step what its whole blocks give", async () => {
  const { graph } = model("pooled", { u: sequence(H) }, ({ u: x }) => {
    const pool = { kind: "linear", by: 2, expand: 2 } as const;
    return { y: last(sequenceModel(x, { layers: 2, pool, layer: (z) => s4d(z, { state: 4, delta: [0.1, 0.5] }) })) };
  });
  const { constants } = init.run({ graph, constants: new Map() }, { seed: 3, note: () => {}, warn: () => {} });
  const inputs = (from: number, to: number): Constants => cutInputs(graph, new Map([["u", u]]), from, to);
  const compiled = await compileGraph(graph, constants, { maxLength: 16 });
  const stream = await (await loadCompiled(compiled, { device: await sharedDevice() })).stream();
  for (const [from, to] of [
    [0, 5],
    [5, 6],
    [6, 11],
    [11, 12],
  ] as const) {
    const found = await stream.push(toInputs(compiled, inputs(from, to)));
    const whole = interpret(graph, constants, inputs(0, to - (to % 4)), { systems: evaluateSystem }).outputs;
    expect(errorOf(found, whole)).toBeLessThan(1e-5);
  }
});

test("the types know a backbone's width, behind a pooling no longer its rate, and a decoder's outputs where they are of one step", () => {
  model("types", { u: sequence(3) }, ({ u: x }) => {
    expectTypeOf(sequenceModel(x, { layers: 1, layer: (z) => z, name: "a" })).toEqualTypeOf<Tensor<Seq<3>>>();
    const low = sequenceModel(x, { layers: 1, layer: (z) => z, pool: { kind: "average", by: 2 }, name: "b" });
    expectTypeOf(low).toEqualTypeOf<Tier>();
    expectTypeOf(sequenceDecoder(x, { outputs: 5, mode: "sum", name: "c" })).toEqualTypeOf<Tensor<Vec<5>>>();
    const several = sequenceDecoder(low, { outputs: 5, steps: 2, name: "d" });
    expectTypeOf(several).toEqualTypeOf<Tensor<Vec<number>>>();
    expect(several.shape.H).toBe(10);
    return { y: several };
  });
});

test("steps of a decoder that are no number of steps are refused", () => {
  const build = () => model("m", { u: sequence(H) }, ({ u: x }) => ({ y: sequenceDecoder(x, { outputs: 2, steps: 0 }) }));
  expect(build).toThrowError(expect.objectContaining({ code: "shape-mismatch" }));
});

test("an expand that is no number of channels is refused", () => {
  const build = () => model("m", { u: sequence(H) }, ({ u: x }) => ({ y: last(downsample(x, { kind: "sample", by: 2, expand: 0.5 })) }));
  expect(build).toThrowError(expect.objectContaining({ code: "bad-width" }));
});

test("a pooled sequence joins the one it came from by its rate, which the types know", () => {
  const { graph } = model("joined", { u: sequence(H) }, ({ u: x }) => {
    const low = averagePool(x, 2);
    return { y: last(add(low, linear(linearPool(x, { by: 2, width: 8 }), { width: H }))) };
  });
  expect(graph.outputs).toHaveLength(1);
});
