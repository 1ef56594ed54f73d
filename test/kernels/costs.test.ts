/**
 * What a schedule says a dispatch costs is what its kernel does on the simulator: bytes and least bytes within a tenth,
 * operations within three tenths. Stated operations are those of the results: not those of lanes that repeat others' work
 * because a tile is not full, and so they are held against counts where tiles are full.
 */
import { describe, expect, test } from "vitest";
import { compileGraph, type Compiled } from "../../src/compile.ts";
import {
  add,
  attention,
  concat,
  conv,
  cumulate,
  embed,
  firstSteps,
  gatedLinearAttention,
  gelu,
  glu,
  hippoLegs,
  last,
  lastSteps,
  layerNorm,
  linear,
  lowpass,
  max,
  mean,
  model,
  mul,
  ofWidth,
  pack,
  type Model,
  repeat,
  rmsNorm,
  rotate,
  s4d,
  sample,
  selective,
  sequence,
  type Seq,
  silu,
  softplus,
  split,
  type Tensor,
  tokens,
  unpack,
} from "../../src/dsl/index.ts";
import { graphBuilder } from "../../src/ir/build.ts";
import { compileCase, type SsmCase } from "../setup/ssm-case.ts";
import { type Entry, numbers, type Ran, type Simulated, SimulatedModel } from "./program.ts";

interface Sizes extends Simulated {
  readonly B: number;
  readonly L: number;
}

/** Runs every entry point; inputs are random. */
function everyProgram(compiled: Compiled, { B, L, ...device }: Sizes): Ran[] {
  const inputs = new Map(
    compiled.plan.inputs.map(({ name, dtype, dims }) => {
      const shape = dims.map((size) => (size === "B" ? B : size === "L" ? L : size));
      const { data } = numbers(shape, 3);
      return [name, { shape, data: dtype === "i32" ? data.map((_, i) => i % 16) : data }];
    }),
  );
  // Modes differ in what runs state space models.
  const count = compiled.module.graph.nodes.some((node) => node.op === "ssm") ? Infinity : 1;
  const modes = new SimulatedModel(compiled).modes.slice(0, count).flatMap((mode): Entry[] => [
    { kind: "whole", mode },
    { kind: "resume", mode },
  ]);
  return [...modes, { kind: "step" } as const].flatMap((entry) => {
    // One step is enough for the costs of a step: that in which blocks end.
    const steps = entry.kind === "step" ? { cut: compiled.plan.period } : {};
    return new SimulatedModel(compiled, device).run(entry, inputs, B, L, steps).ran;
  });
}

interface Ratios {
  readonly kernel: string;
  readonly bytes: number;
  readonly minimum: number;
  readonly flops: number;
}

/** Stated over counted, 1 where nothing is stated and nothing happens. */
function ratiosOf({ kernel, stated, counts }: Ran): Ratios {
  const over = (said: number, counted: number): number => (said === counted ? 1 : said / counted);
  return {
    kernel,
    bytes: over(stated.bytes, 4 * counts.words),
    minimum: over(stated.minimum, 4 * counts.distinct),
    flops: over(stated.flops, counts.flops),
  };
}

const near = (ratio: number, tolerance: number): boolean => ratio >= 1 - tolerance && ratio <= 1 + tolerance;

function expectBytes(ran: readonly Ran[]): void {
  expect(ran.length).toBeGreaterThan(0);
  expect(ran.map(ratiosOf).filter((r) => !near(r.bytes, 0.1) || !near(r.minimum, 0.1))).toEqual([]);
}

const expectFlops = (ran: readonly Ran[]): void => expect(ran.map(ratiosOf).filter((r) => !near(r.flops, 0.3))).toEqual([]);

const compiled = ({ graph }: Model): Promise<Compiled> => compileGraph(graph, new Map(), { maxLength: 4096 });

/** One op each, most with a map after it. */
const ops: Readonly<Record<string, Model>> = {
  map: model("map", { u: sequence(64) }, ({ u }) => ({ y: silu(layerNorm(silu(u))) })),
  "layer norm": model("layer", { u: sequence(64) }, ({ u }) => ({ y: layerNorm(silu(u)) })),
  "RMS norm": model("rms", { u: sequence(96) }, ({ u }) => ({ y: rmsNorm(silu(u)) })),
  "RMS norm of groups": model("groups", { u: sequence(96) }, ({ u }) => ({ y: rmsNorm(silu(u), { groups: 3 }) })),
  "product of 1": model("one", { u: sequence(1) }, ({ u }) => ({ y: silu(linear(u, { width: 64 })) })),
  "product of 3": model("three", { u: sequence(3) }, ({ u }) => ({ y: silu(linear(u, { width: 64 })) })),
  "product of 64": model("many", { u: sequence(64) }, ({ u }) => ({ y: linear(silu(u), { width: 64 }) })),
  "product of 300, gated": model("gated", { u: sequence(300) }, ({ u }) => ({ y: glu(u, { width: 16 }) })),
  "product of a mean": model("mean", { u: sequence(64) }, ({ u }) => ({ y: linear(mean(silu(u), "L"), { width: 64 }) })),
  "product of an RMS norm": model("rms", { u: sequence(64) }, ({ u }) => ({ y: silu(linear(rmsNorm(u), { width: 64 })) })),
  "products of layer norms": model("layer", { u: sequence(260) }, ({ u }) => {
    const y = layerNorm(u);
    return { y: linear(y, { width: 40, bias: false }), z: glu(y, { width: 16 }), m: linear(layerNorm(mean(u, "L")), { width: 10 }) };
  }),
  "running totals": model("totals", { u: sequence(6) }, ({ u }) => ({ y: cumulate(silu(u)), z: cumulate(u, "turn") })),
  maximum: model("max", { u: sequence(6) }, ({ u }) => ({ y: max(u, "L") })),
  "several steps": model("steps", { u: sequence(32) }, ({ u }) => ({ y: silu(lastSteps(silu(u), 20)), z: firstSteps(sample(u, 2), 90) })),
  convolution: model("conv", { u: sequence(32) }, ({ u }) => ({ y: silu(conv(silu(u), { width: 4, causal: true })) })),
  "convolution of many taps": model("long", { u: sequence(8) }, ({ u }) => ({ y: silu(conv(silu(u), { width: 150, bias: false })) })),
  attention: model("attention", { u: sequence(64) }, ({ u }) => {
    const [k, v] = split(linear(u, { width: 64 }), [32, 32]);
    return { y: silu(attention(silu(u), k, v, { heads: 4, kvHeads: 2, rope: {} })) };
  }),
  "attention in a window": model("window", { u: sequence(40) }, ({ u }) => ({ y: attention(u, u, u, { heads: 1, window: 20 }) })),
  embedding: model("embed", { ids: tokens(16) }, ({ ids }) => ({ y: silu(embed(ids, { width: 64 })) })),
  "several rates": model("rates", { u: sequence(6) }, ({ u }) => {
    const low = silu(linear(pack(silu(u), 2), { width: 32 }));
    const lowest = sample(low, 2, 1);
    return { y: silu(unpack(low, 2)), z: unpack(unpack(linear(lowest, { width: 64 }), 2), 2), m: mean(low), l: last(lowest) };
  }),
  "a repeat": model("repeat", { u: sequence(32), v: sequence(128) }, ({ u, v }) => ({
    y: mul(ofWidth(repeat(conv(u, { width: 2 }), 8, 4), 128), v),
  })),
  "maps together": model("maps", { u: sequence(32) }, ({ u }) => {
    const x = cumulate(u, "sum");
    const [a, b] = [silu(x), gelu(x)];
    return { y: conv(a, { width: 3 }), z: linear(b, { width: 4 }), m: max(mul(a, b), "L") };
  }),
  "running sums and planes that turn": model("turn", { u: sequence(32) }, ({ u }) => {
    const sums = cumulate(silu(linear(u, { width: 16 })), "sum");
    return { y: linear(rotate(mul(u, cumulate(u)), sums, { heads: 1, pairs: "halves" }), { width: 4 }), z: sums };
  }),
  "a copied concatenation": model("copy", { u: sequence(32) }, ({ u }) => ({ y: linear(concat(silu(u), u), { width: 64 }) })),
  concatenation: model("concat", { u: sequence(32) }, ({ u }) => ({ y: linear(concat(silu(u), linear(u, { width: 32 })), { width: 64 }) })),
};

const classifier = model("classifier", { u: sequence(1) }, ({ u }) => {
  let x = linear(u, { width: 16 });
  for (let i = 0; i < 2; i++) x = layerNorm(add(x, glu(gelu(s4d(x, { state: 16, name: `layer${i}` })), { width: 16 })));
  return { logits: linear(mean(x, "L"), { width: 10 }) };
});

const system: SsmCase = { structure: "s4d", discretization: "zoh", B: 2, L: 10, H: 3, N: 8, P: 1, logDelta: -1, seed: 5 };

describe("bytes", () => {
  test.each(Object.entries(ops))("%s", async (_, op) => {
    const plan = await compiled(op);
    expectBytes(everyProgram(plan, { B: 1, L: 64 }));
    expectBytes(everyProgram(plan, { B: 3, L: 100 }));
  });

  test.each([10, 64, 65, 200])("an S4D classifier, %i steps", async (L) => {
    expectBytes(everyProgram(await compiled(classifier), { B: 2, L }));
  });

  test.each([10, 64, 65, 200, 600])("diagonal, dense and DPLR systems, %i steps", async (L) => {
    expectBytes(everyProgram(await compileCase({ ...system, L }), { B: 2, L }));
    expectBytes(everyProgram(await compileCase({ ...system, structure: "dense", L, N: 6 }), { B: 2, L }));
    expectBytes(everyProgram(await compileCase({ ...system, structure: "dplr", discretization: "bilinear", L, seed: 6 }), { B: 2, L }));
  });

  test.each([70, 200])("dense and DPLR systems with several outputs of one state, %i steps", async (L) => {
    const [dense, dplr] = [{ structure: "dense", N: 6 } as const, { structure: "dplr", discretization: "bilinear", seed: 6 } as const];
    for (const c of [dense, dplr]) {
      const ran = everyProgram(await compileCase({ ...system, ...c, P: 5, L }), { B: 2, L });
      expectBytes(ran);
      expectFlops(ran);
    }
  });

  test.each([32, 256])("coefficients of the whole past, where %i lanes are worth having", async (W) => {
    const memory = model("memory", { u: sequence(3) }, ({ u }) => ({ y: silu(hippoLegs(u, { state: 16 })) }));
    const ran = everyProgram(await compiled(memory), { B: 2, L: 40, W });
    expectBytes(ran);
    expectFlops(ran);
  });
});

/** Sizes that fill tiles, and beside which the joining of lanes is little. */
const full: Readonly<Record<string, readonly [Model, Sizes]>> = {
  map: [model("map", { u: sequence(64) }, ({ u }) => ({ y: silu(u) })), { B: 1, L: 64 }],
  "layer norm": [model("layer", { u: sequence(1024) }, ({ u }) => ({ y: layerNorm(silu(u)) })), { B: 1, L: 16 }],
  "RMS norm": [model("rms", { u: sequence(1536) }, ({ u }) => ({ y: rmsNorm(silu(u)) })), { B: 1, L: 16 }],
  "product of 1": [model("one", { u: sequence(1) }, ({ u }) => ({ y: silu(linear(u, { width: 64 })) })), { B: 4, L: 32 }],
  "product of 64": [model("many", { u: sequence(64) }, ({ u }) => ({ y: gelu(linear(u, { width: 64 })) })), { B: 4, L: 32 }],
  "product of 300, gated": [model("gated", { u: sequence(300) }, ({ u }) => ({ y: glu(u, { width: 64 }) })), { B: 4, L: 32 }],
  "product of an RMS norm": [
    model("rms", { u: sequence(512) }, ({ u }) => ({ y: silu(linear(rmsNorm(u), { width: 64 })) })),
    { B: 4, L: 32 },
  ],
  "product of a layer norm": [
    model("layer", { u: sequence(64) }, ({ u }) => ({ y: silu(linear(layerNorm(u), { width: 256 })) })),
    { B: 4, L: 32 },
  ],
  mean: [model("mean", { u: sequence(2) }, ({ u }) => ({ y: mean(u, "L") })), { B: 1, L: 2048 }],
  "running totals": [model("totals", { u: sequence(2) }, ({ u }) => ({ y: cumulate(silu(u)), z: cumulate(u, "turn") })), { B: 2, L: 400 }],
  maximum: [model("max", { u: sequence(2) }, ({ u }) => ({ y: max(u, "L") })), { B: 1, L: 2048 }],
  convolution: [model("conv", { u: sequence(8) }, ({ u }) => ({ y: silu(conv(u, { width: 4, causal: true })) })), { B: 1, L: 64 }],
  embedding: [model("embed", { ids: tokens(16) }, ({ ids }) => ({ y: silu(embed(ids, { width: 64 })) })), { B: 1, L: 64 }],
};

test.each([
  [128, 2],
  [60, 3],
  [384, 1],
])("the lowest frequencies of %i steps, one of every %i", async (L, by) => {
  const spectral = model("spectral", { u: sequence(4) }, ({ u }) => ({ y: mean(lowpass(u, by)) }));
  const { ran } = new SimulatedModel(await compiled(spectral)).run(
    { kind: "whole", mode: "convolution" },
    new Map([["u", numbers([2, L, 4], 3)]]),
    2,
    L,
  );
  const own = ran.filter(({ schedule }) => schedule === "lowpass-direct");
  expect(own.map((r) => r.kernel)).toEqual(["lowpass_weights", "lowpass"]);
  expectBytes(own);
  expectFlops(own);
});

describe("along the axes of a grid", () => {
  test.each([
    [32, 64],
    [128, 8],
    [8, 100],
    [64, 16],
    [2100, 1],
  ])("%i x %i", async (rows, columns) => {
    const g = graphBuilder("grid");
    const H = 2;
    const x = g.input("x", sequence(H).type);
    const taps = (name: string, K: number): number =>
      g.param(
        name,
        [
          { name: "H", size: H },
          { name: "K", size: K },
        ],
        { kind: "normal", mean: 0, std: 1 },
      );
    const first = g.conv(x, taps("a", rows), undefined, { size: rows, stride: columns });
    const second = g.conv(first, taps("b", columns), undefined, { size: columns, stride: 1 });
    const y = g.matmul(
      second,
      g.param(
        "c",
        [
          { name: "O", size: H },
          { name: "I", size: H },
        ],
        { kind: "constant", value: 1 },
      ),
    );
    const plan = await compileGraph(g.finish([{ name: "y", value: y }]), new Map(), { maxLength: 4096 });
    const [B, L] = [2, 2 * rows * columns];
    const { ran } = new SimulatedModel(plan).run({ kind: "whole", mode: "convolution" }, new Map([["x", numbers([B, L, H], 3)]]), B, L);
    const own = ran.filter(({ schedule }) => schedule === "conv-axis");
    expect(own.map((r) => r.kernel)).toContain(rows > 2048 ? "fft_rows" : Math.max(rows, columns) > 64 ? "fft_line" : "conv_axis");
    expectBytes(own);
    expectFlops(own);
  });
});

describe("a selective recurrence", () => {
  const mamba = model("mamba", { u: sequence(64) }, ({ u }) => {
    const [low, B, C] = split(linear(u, { width: 36 }), [4, 16, 16]);
    const x = silu(u);
    return { y: mul(selective(x, { dt: softplus(linear(low, { width: 64 })), B, C }), silu(linear(u, { width: 64 }))) };
  });
  const gla = (width: number) =>
    model("gla", { u: sequence(64) }, ({ u }) => {
      const [q, k] = [linear(u, { width }), linear(u, { width })];
      const logDecay = mul(softplus(linear(u, { width })), -1);
      return { y: gatedLinearAttention(silu(u), { heads: 2, q, k, logDecay }) };
    });

  test.each([32, 256])("where %i lanes are worth having", async (W) => {
    // Of 20 states a head, and of 8: so few that a lane may have four columns, which share the decays of their head.
    for (const one of [mamba, gla(40), gla(16)]) {
      const own = everyProgram(await compiled(one), { B: 2, L: 150, W }).filter(({ kernel }) => kernel.startsWith("selective"));
      expectBytes(own);
      expectFlops(own);
    }
  });

  test("whose step takes norms on the way", async () => {
    const normed = model("normed", { u: sequence(64) }, ({ u }) => {
      const [low, B, C] = split(linear(u, { width: 48 }), [16, 16, 16]);
      const unit = <W extends number>(x: Tensor<Seq<W>>): Tensor<Seq<W>> => rmsNorm(x, { affine: false });
      return { y: selective(silu(u), { dt: softplus(linear(unit(low), { width: 64 })), B: unit(B), C: unit(C) }) };
    });
    const own = everyProgram(await compiled(normed), { B: 2, L: 3 }).filter(({ kernel }) => kernel.startsWith("selective_step"));
    expectBytes(own);
    expectFlops(own);
  });
});

describe("an FFT in rows and columns", () => {
  test.each([
    [1500, 1024],
    [3000, 2048],
  ])("%i steps where %i points fit", async (L, F) => {
    const ran = everyProgram(await compileCase({ ...system, L, H: 1, N: 4 }), { B: 1, L, F });
    expect(ran.map((r) => r.kernel)).toContain("fft_columns_inverse");
    expectBytes(ran);
    expectFlops(ran);
  });
});

describe("operations", () => {
  test.each(Object.entries(full))("%s", async (_, [op, sizes]) => expectFlops(everyProgram(await compiled(op), sizes)));

  test.each([64, 200, 600])("diagonal, dense and DPLR systems, %i steps", async (L) => {
    expectFlops(everyProgram(await compileCase({ ...system, L }), { B: 2, L }));
    expectFlops(everyProgram(await compileCase({ ...system, structure: "dense", L, N: 6 }), { B: 2, L }));
    expectFlops(everyProgram(await compileCase({ ...system, structure: "dplr", discretization: "bilinear", L, seed: 6 }), { B: 2, L }));
  });
});
