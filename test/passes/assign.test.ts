import { expect, test } from "vitest";
import { compileGraph, type Compiled } from "../../src/compile.ts";
import { add, layerNorm, linear, model, rmsNorm, sequence, type Model, type Seq, type Tensor } from "../../src/dsl/index.ts";
import { mambaBlock } from "../../src/models/index.ts";
import { dimsFor, evaluateSize } from "../../src/passes/mode.ts";

/** The nodes that each dispatch of a step computes, by op. */
async function stepOf({ graph }: Model): Promise<string[]> {
  const compiled: Compiled = await compileGraph(graph, new Map(), { maxLength: 64 });
  const { nodes } = compiled.module.graph;
  const running = compiled.lowered.costs.step?.body.filter(({ when }) => when === undefined || evaluateSize(when, dimsFor(1, 1)) !== 0);
  return (running ?? []).map(({ values }) => values.map((id) => nodes[id]?.op).join(" "));
}

const block = (x: Tensor<Seq<64>>, name: string): Tensor<Seq<64>> => add(x, mambaBlock(rmsNorm(x), { name }));

test("a step of a Mamba layer is five dispatches", async () => {
  const one = model("one", { u: sequence(64) }, ({ u }) => ({ y: block(u, "a") }));
  expect(await stepOf(one)).toEqual(["norm matmul", "conv", "matmul", "matmul ssm", "matmul"]);
  const three = model("three", { u: sequence(64) }, ({ u }) => ({ y: block(block(block(u, "a"), "b"), "c") }));
  expect(await stepOf(three)).toHaveLength(15);
});

test("a norm that several products read is taken by each, and computed where anything else reads it too", async () => {
  const shared = model("shared", { u: sequence(8) }, ({ u }) => {
    const x = layerNorm(u, { affine: false });
    return { y: linear(x, { width: 4 }), z: linear(x, { width: 2 }) };
  });
  expect(await stepOf(shared)).toEqual(["norm matmul", "norm matmul"]);
  const read = model("read", { u: sequence(8) }, ({ u }) => {
    const x = layerNorm(u, { affine: false });
    return { y: linear(x, { width: 4 }), z: x };
  });
  expect(await stepOf(read)).toEqual(["norm", "matmul"]);
});
