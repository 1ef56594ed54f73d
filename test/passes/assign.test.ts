import { expect, test } from "vitest";
import { compileGraph, type Compiled } from "../../src/compile.ts";
import {
  add,
  layerNorm,
  linear,
  model,
  mul,
  rmsNorm,
  selective,
  sequence,
  softplus,
  split,
  type Model,
  type Seq,
  type Tensor,
} from "../../src/dsl/index.ts";
import { mamba3Block, mambaBlock, type MambaBlockOptions } from "../../src/models/index.ts";
import { dimsFor, evaluateSize } from "../../src/passes/mode.ts";

/** The nodes that each dispatch of a step computes, by op. */
async function stepOf({ graph }: Model): Promise<string[]> {
  const compiled: Compiled = await compileGraph(graph, new Map(), { maxLength: 64 });
  const { nodes } = compiled.module.graph;
  const running = compiled.lowered.costs.step?.body.filter(({ when }) => when === undefined || evaluateSize(when, dimsFor(1, 1)) !== 0);
  return (running ?? []).map(({ values }) => values.map((id) => nodes[id]?.op).join(" "));
}

const block = (x: Tensor<Seq<64>>, name: string, options: MambaBlockOptions = {}): Tensor<Seq<64>> =>
  add(x, mambaBlock(rmsNorm(x), { name, ...options }));

test("a step of a Mamba layer is five dispatches", async () => {
  const one = model("one", { u: sequence(64) }, ({ u }) => ({ y: block(u, "a") }));
  expect(await stepOf(one)).toEqual(["norm matmul", "conv", "matmul", "matmul ssm", "matmul"]);
  const three = model("three", { u: sequence(64) }, ({ u }) => ({ y: block(block(block(u, "a"), "b"), "c") }));
  expect(await stepOf(three)).toHaveLength(15);
});

test("so is one whose step sizes, B and C have norms without weights; norms with weights are dispatches of their own", async () => {
  const falcon = model("falcon", { u: sequence(64) }, ({ u }) => ({ y: block(u, "a", { norms: "weightless" }) }));
  expect(await stepOf(falcon)).toEqual(["norm matmul", "conv", "matmul", "norm matmul norm norm ssm", "matmul"]);
  const jamba = model("jamba", { u: sequence(64) }, ({ u }) => ({ y: block(u, "a", { norms: "learned" }) }));
  expect((await stepOf(jamba)).filter((ops) => ops === "norm")).toHaveLength(2);
});

test("norms of B and C that are read elsewhere too are computed; with a gate there is no room for the step sizes' product then", async () => {
  const shared = (gated: boolean): Model =>
    model("shared", { u: sequence(64), z: sequence(64) }, ({ u, z }) => {
      const [r, b, c] = split(linear(u, { width: 12 }), [4, 4, 4]);
      const [B, C] = [rmsNorm(b, { affine: false }), rmsNorm(c, { affine: false })];
      const y = selective(u, { dt: softplus(linear(rmsNorm(r, { affine: false }), { width: 64 })), B, C });
      return { y: gated ? mul(y, z) : y, B, C };
    });
  expect(await stepOf(shared(false))).toEqual(["matmul", "norm", "norm", "norm matmul ssm"]);
  expect(await stepOf(shared(true))).toEqual(["matmul", "norm", "norm", "norm matmul", "ssm"]);
});

test("a step of a Mamba-3 layer is nine dispatches", async () => {
  const one = model("one", { u: sequence(64) }, ({ u }) => ({ y: add(u, mamba3Block(rmsNorm(u), { headDim: 16, state: 16, name: "a" })) }));
  expect(await stepOf(one)).toEqual(["norm matmul", "norm", "map cumulate", "map rotate", "map map map", "conv", "conv", "ssm", "matmul"]);
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
