/** Poolings of backbones against their definitions. */
import { expect, test } from "vitest";
import { compileGraph } from "../../src/compile.ts";
import { add, first, last, linear, model, sample, sequence } from "../../src/dsl/index.ts";
import type { Constants } from "../../src/ir/graph.ts";
import { averagePool, linearPool, linearUnpool } from "../../src/models/index.ts";
import { numbers } from "../kernels/program.ts";
import { errorOf, loadCompiled, toInputs } from "../setup/execute.ts";
import { sharedDevice } from "../setup/shared-device.ts";

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

test("a pooled sequence joins the one it came from by its rate, which the types know", () => {
  const { graph } = model("joined", { u: sequence(H) }, ({ u: x }) => {
    const low = averagePool(x, 2);
    return { y: last(add(low, linear(linearPool(x, { by: 2, width: 8 }), { width: H }))) };
  });
  expect(graph.outputs).toHaveLength(1);
});
