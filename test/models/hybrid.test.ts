/** Attention blocks against plain loops, and stacks of state space models and attention, all of whose modes must agree. */
import { describe, expect, test } from "vitest";
import { evaluatePlan } from "../../src/codegen/plan-source.ts";
import { compileGraph } from "../../src/compile.ts";
import {
  add,
  concat,
  embed,
  linear,
  model,
  type Model,
  mul,
  residual,
  rmsNorm,
  scope,
  s4d,
  selective,
  type Seq,
  shared,
  silu,
  softplus,
  split,
  conv,
  type Tensor,
  tokens,
} from "../../src/dsl/index.ts";
import type { Constant, Constants } from "../../src/ir/graph.ts";
import { interpret } from "../../src/ir/interpret.ts";
import { attentionBlock, gatedMlp } from "../../src/models/index.ts";
import type { Mode, Plan } from "../../src/runtime/plan.ts";
import { errorOf, loadPlan, toInputs } from "../setup/execute.ts";
import { random } from "../setup/random-graph.ts";
import { sharedDevice } from "../setup/shared-device.ts";
import { cutInputs, joinPieces } from "../setup/tensors.ts";
import { expectMeaning, expectOnDevice } from "./golden.ts";
import { blockCase, gelu, linear as linearRows, map, product, type Rows, sigmoid, type Weights } from "./oracle.ts";

interface Heads {
  readonly heads: number;
  readonly kvHeads: number;
  readonly width: number;
  readonly scale: number;
  readonly norm: boolean;
  readonly rope: boolean;
}

/** Heads of one projection; normed and turned by halves of base 10,000 where asked. */
function headsOf(w: Weights, name: string, x: Rows, bias: boolean, { width, rope }: Heads, norm?: string): readonly Rows[] {
  const rows = linearRows(w, name, x, bias);
  return Array.from({ length: (rows[0]?.length ?? 0) / width }, (_, h) =>
    rows.map((row, t) => {
      let head = row.slice(h * width, (h + 1) * width);
      if (norm !== undefined) {
        const size = Math.sqrt(head.reduce((s, v) => s + v * v, 0) / width + 1e-6);
        head = head.map((v, i) => (v / size) * w.at(`${norm}.weight`, i));
      }
      if (!rope || norm === "v") return head;
      return head.map((v, i) => {
        const pair = i % (width / 2);
        const angle = t * 10_000 ** ((-2 * pair) / width);
        const other = head[(i + width / 2) % width] ?? Number.NaN;
        return v * Math.cos(angle) + (i < width / 2 ? -other : other) * Math.sin(angle);
      });
    }),
  );
}

function attentionRows(w: Weights, x: Rows, heads: Heads, bias: { readonly qkv: boolean; readonly o: boolean }): Rows {
  const [q, k] = [
    headsOf(w, "q_proj", x, bias.qkv, heads, heads.norm ? "q_norm" : undefined),
    headsOf(w, "k_proj", x, bias.qkv, heads, heads.norm ? "k_norm" : undefined),
  ];
  const v = headsOf(w, "v_proj", x, bias.qkv, { ...heads, rope: false });
  const rows = x.map((_, t) =>
    q.flatMap((query, h) => {
      const g = Math.floor(h / (heads.heads / heads.kvHeads));
      const scores = x
        .slice(0, t + 1)
        .map((__, s) => Math.exp(heads.scale * (query[t]?.reduce((sum, value, i) => sum + value * (k[g]?.[s]?.[i] ?? NaN), 0) ?? NaN)));
      const total = scores.reduce((a, b) => a + b, 0);
      return Array.from({ length: heads.width }, (__, i) => scores.reduce((sum, e, s) => sum + e * (v[g]?.[s]?.[i] ?? NaN), 0) / total);
    }),
  );
  return linearRows(w, "o_proj", rows, bias.o);
}

const one = ["convolution", "recurrence"];

describe("attentionBlock", () => {
  const cases = {
    "one head, biases": [
      (x: Tensor<Seq<number>>) => attentionBlock(x, { heads: 1, bias: true }),
      { heads: 1, kvHeads: 1, width: 6, scale: 6 ** -0.5, norm: false, rope: false },
      { qkv: true, o: true },
    ],
    "grouped queries, places, norms, biases of q, k and v, half the width": [
      (x: Tensor<Seq<number>>) =>
        attentionBlock(x, { heads: 4, kvHeads: 2, headDim: 4, width: 3, scale: 0.7, rope: {}, bias: "qkv", qkNorm: true }),
      { heads: 4, kvHeads: 2, width: 4, scale: 0.7, norm: true, rope: true },
      { qkv: true, o: false },
    ],
  } as const;
  test.each(Object.entries(cases))("%s", async (_, [block, heads, bias]) => {
    const c = blockCase(6, block, (w, x) => attentionRows(w, x, heads, bias));
    expectMeaning(c, 1e-12);
    await expectOnDevice(c, 1e-5, one);
  });
});

test("gatedMlp with maps of their own and another activation", async () => {
  const c = blockCase(
    4,
    (x) => gatedMlp(x, { hidden: 6, activation: "gelu", separate: true, bias: true }),
    (w, x) => linearRows(w, "down_proj", product(linearRows(w, "up_proj", x), map(linearRows(w, "gate_proj", x), gelu))),
  );
  expectMeaning(c, 1e-12);
  await expectOnDevice(c, 1e-5, one);
  const joined = blockCase(
    4,
    (x) => gatedMlp(x, { hidden: 6 }),
    (w, x) => {
      const both = linearRows(w, "fc1", x, false);
      const gate = map(
        both.map((row) => row.slice(6)),
        (v) => v * sigmoid(v),
      );
      return linearRows(
        w,
        "fc2",
        product(
          both.map((row) => row.slice(0, 6)),
          gate,
        ),
        false,
      );
    },
  );
  expectMeaning(joined, 1e-12);
});

type Stream = Tensor<Seq<8>>;

/** Mamba's block, without its names. */
function mamba(x: Stream): Stream {
  const [u0, gate] = split(linear(x, { width: 32, bias: false }), [16, 16]);
  const u = silu(conv(u0, { width: 4 }));
  const [r, B, C] = split(linear(u, { width: 9, bias: false }), [1, 4, 4]);
  const y = selective(u, { dt: softplus(linear(r, { width: 16 })), B, C });
  return linear(mul(y, silu(gate)), { width: 8, bias: false });
}

/** No layer knows its place but by order; one attention to two others. */
const jamba = model("jamba", { ids: tokens(11) }, ({ ids }) => {
  let x: Stream = embed(ids, { width: 8 });
  const mixers = [mamba, (z: Stream) => attentionBlock(z, { heads: 4, kvHeads: 1, headDim: 4 }), (z: Stream) => s4d(z, { state: 4 })];
  for (const [i, mixer] of mixers.entries())
    x = scope(`layers.${i}`, () => {
      const mixed = residual(x, (z) => mixer(rmsNorm(z)));
      return residual(mixed, (z) => gatedMlp(rmsNorm(z), { hidden: 12, separate: true }));
    });
  return { logits: linear(rmsNorm(x), { width: 11, bias: false }) };
});

/** One attention block and its multilayer perceptron for every place, of the hidden state beside the embedding. */
const zamba = model("zamba", { ids: tokens(11) }, ({ ids }) => {
  const embedded: Stream = embed(ids, { width: 8 });
  const block = shared("shared_transformer", (hidden: Stream): Stream => {
    const both = rmsNorm(concat(hidden, embedded), { name: "input_layernorm" });
    const attended = attentionBlock(both, { heads: 2, headDim: 8, width: 8, scale: (8 / 2) ** -0.5, rope: { dims: 4 }, name: "self_attn" });
    return gatedMlp(rmsNorm(attended, { name: "pre_ff_layernorm" }), { hidden: 12, activation: "gelu", name: "feed_forward" });
  });
  let x = embedded;
  for (let i = 0; i < 2; i++) {
    const from = linear(block(x), { width: 8, bias: false });
    x = add(x, mamba(add(rmsNorm(x), from)));
  }
  return { logits: linear(rmsNorm(x), { width: 11, bias: false }) };
});

/** Embedding, residuals, scores and logits with multipliers; a window in the second attention. */
const granite = model("granite", { ids: tokens(11) }, ({ ids }) => {
  let x: Stream = mul(embed(ids, { width: 8 }), 12);
  const join = (z: Stream, y: Stream): Stream => add(z, mul(y, 0.22));
  for (const window of [undefined, 7])
    x = scope(`window ${window}`, () => {
      const remembered = join(x, mamba(rmsNorm(x)));
      const options = { heads: 4, kvHeads: 2, headDim: 6, scale: 0.015625, rope: { interleaved: true }, qkNorm: true } as const;
      const bounded = window === undefined ? options : { ...options, window };
      const attended = join(remembered, attentionBlock(rmsNorm(remembered), bounded));
      return join(attended, gatedMlp(rmsNorm(attended), { hidden: 12, activation: "squared-relu" }));
    });
  return { logits: mul(linear(rmsNorm(x), { width: 11, bias: false }), 1 / 6) };
});

const [B, L] = [2, 50];

async function expectModesEqual({ graph }: Model): Promise<void> {
  const compiled = await compileGraph(graph, new Map(), { maxLength: 64, seed: 3 });
  const uniform = random(7);
  const ids: Constant = { shape: [B, L], data: Float64Array.from({ length: B * L }, () => Math.floor(11 * uniform())) };
  const inputs: Constants = new Map([["ids", ids]]);
  const expected = interpret(compiled.module.graph, compiled.module.constants, inputs).outputs;
  let mode: Mode = "recurrence";
  const plan: Plan = { ...evaluatePlan(compiled.plan), chooseResume: () => mode };
  const loaded = await loadPlan(plan, compiled.shards, { device: await sharedDevice() });
  expect(loaded.info.modes).toContain("scan");
  for (mode of loaded.info.modes as Mode[]) {
    expect(errorOf(await loaded.run(toInputs(compiled, inputs), { mode }), expected), mode).toBeLessThan(2e-5);
    const stream = await loaded.stream({ batch: B });
    const pieces: Constants[] = [];
    for (const [from, to] of [
      [0, 1],
      [1, 20],
      [20, 37],
      [37, 50],
    ] as const) {
      const { logits } = await stream.push(toInputs(compiled, cutInputs(graph, inputs, from, to)));
      pieces.push(new Map([["logits", { shape: logits?.dims ?? [], data: Float64Array.from(logits?.data ?? []) }]]));
    }
    const joined = joinPieces(graph, pieces).get("logits");
    const outputs = { logits: { data: Float32Array.from(joined?.data ?? []), dims: joined?.shape ?? [] } };
    expect(errorOf(outputs, expected), `${mode} in chunks`).toBeLessThan(2e-5);
    stream.destroy();
  }
  loaded.destroy();
}

describe("hybrids: every mode and any chunking give the interpreter's numbers", () => {
  test("like Jamba", { timeout: 240_000 }, () => expectModesEqual(jamba));
  test("like Zamba", { timeout: 240_000 }, async () => {
    expect(zamba.graph.nodes.filter((n) => n.op === "attention")).toHaveLength(2);
    expect(zamba.graph.nodes.flatMap((n) => (n.op === "param" && n.name.includes("q_proj") ? [n.name] : []))).toEqual([
      "shared_transformer.self_attn.q_proj.weight",
    ]);
    await expectModesEqual(zamba);
  });
  test("like Granite", { timeout: 240_000 }, () => expectModesEqual(granite));
});
