/**
 * Weights in every format and in pieces, by every schedule that reads them, on the simulator of kernels: results equal the
 * float64 interpreter on the values that the words stand for, and costs are what the kernels do.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compileGraph, type Compiled, type CompileOptions } from "../../src/compile.ts";
import { add, embed, gelu, glu, linear, mean, model, type Model, sequence, silu, tokens } from "../../src/dsl/index.ts";
import { graphBuilder } from "../../src/ir/build.ts";
import type { Constant, Constants } from "../../src/ir/graph.ts";
import { interpret } from "../../src/ir/interpret.ts";
import { errorOf, rounded } from "../setup/execute.ts";
import { arbitraryModule } from "../setup/random-graph.ts";
import { type Entry, numbers, type Ran, SimulatedModel } from "./program.ts";

const formats: Readonly<Record<string, CompileOptions>> = {
  f32: {},
  f16: { dtype: "f16" },
  q8: { quantize: "q8" },
  q4: { quantize: "q4" },
  "q4 and f16": { quantize: "q4", dtype: "f16" },
};

interface Sizes {
  readonly B: number;
  readonly L: number;
}

function inputsOf(compiled: Compiled, { B, L }: Sizes): Map<string, Constant> {
  return new Map(
    compiled.plan.inputs.map(({ name, dtype, dims }) => {
      const shape = dims.map((size) => (size === "B" ? B : size === "L" ? L : size));
      const { data } = numbers(shape, 7);
      return [name, { shape, data: dtype === "i32" ? data.map((_, i) => (7 * i) % 11) : data }];
    }),
  );
}

/** Runs every entry point; results are those of the interpreter to `tolerance`, of their scale. */
function checked(compiled: Compiled, sizes: Sizes, inputs: Constants = inputsOf(compiled, sizes), tolerance = 2e-6): Ran[] {
  const { graph, constants } = compiled.module;
  const expected = interpret(graph, constants, inputs).outputs;
  const [mode = "convolution"] = new SimulatedModel(compiled).modes;
  return ([{ kind: "whole", mode }, { kind: "step" }] satisfies Entry[]).flatMap((entry) => {
    const { outputs, ran } = new SimulatedModel(compiled).run(entry, inputs, sizes.B, sizes.L);
    const actual = Object.fromEntries(
      [...outputs].map(([name, { shape, data }]) => [name, { data: Float32Array.from(data), dims: shape }]),
    );
    expect(errorOf(actual, expected), JSON.stringify(entry)).toBeLessThan(tolerance);
    expect([...new Set(ran.flatMap((r) => [...r.counts.violations]))]).toEqual([]);
    return ran;
  });
}

const off = (stated: number, counted: number): number => Math.abs(stated - counted) / Math.max(counted, 1);

/** Bytes and least bytes within a tenth of what happened. */
function expectBytes(ran: readonly Ran[]): void {
  const wrong = ran.filter(
    ({ stated, counts }) => off(stated.bytes, 4 * counts.words) > 0.1 || off(stated.minimum, 4 * counts.distinct) > 0.1,
  );
  expect(wrong.map(({ kernel, stated, counts }) => ({ kernel, stated, counts }))).toEqual([]);
}

/** Operations within three tenths, of tiles that are full. */
function expectFlops(ran: readonly Ran[]): void {
  const wrong = ran.filter(({ stated, counts }) => off(stated.flops, counts.flops) > 0.3);
  expect(wrong.map(({ kernel, stated, counts }) => ({ kernel, stated, counts }))).toEqual([]);
}

const compiledAs = ({ graph }: Model, options: CompileOptions): Promise<Compiled> =>
  compileGraph(graph, new Map(), { maxLength: 64, ...options });

/** Widths that words and groups divide, and widths that they do not. */
const products: Readonly<Record<string, Model>> = {
  "128 to 64": model("even", { u: sequence(128) }, ({ u }) => ({ y: gelu(linear(silu(u), { width: 64 })) })),
  "75 to 33": model("odd", { u: sequence(75) }, ({ u }) => ({ y: gelu(linear(u, { width: 33 })) })),
  "332 to 20, gated": model("gated", { u: sequence(332) }, ({ u }) => ({ y: glu(u, { width: 20 }) })),
  "3 to 18": model("few", { u: sequence(3) }, ({ u }) => ({ y: linear(u, { width: 18 }) })),
  "100 to 12": model("short", { u: sequence(100) }, ({ u }) => ({ y: linear(u, { width: 12 }) })),
  "70 to 12, of a mean": model("mean", { u: sequence(70) }, ({ u }) => ({ y: linear(mean(u, "L"), { width: 12 }) })),
};

/** The head is the table. */
function tied(vocabulary: number, width: number): Model {
  const g = graphBuilder("tied");
  const dims = [
    { name: "V", size: vocabulary },
    { name: "H", size: width },
  ];
  const table = g.param("table", dims, { kind: "normal", mean: 0, std: 1 });
  const x = g.embed(g.input("ids", tokens(vocabulary).type), table);
  return { graph: g.finish([{ name: "y", value: g.matmul(x, table, "V") }]) } as Model;
}

const tables: Readonly<Record<string, Model>> = {
  "24 rows of 64": model("even", { ids: tokens(24) }, ({ ids }) => ({ y: silu(embed(ids, { width: 64 })) })),
  "13 rows of 45": model("odd", { ids: tokens(13) }, ({ ids }) => ({ y: embed(ids, { width: 45 }) })),
  "16 rows of 64, tied": tied(16, 64),
  "13 rows of 37, tied": tied(13, 37),
};

describe.each(Object.entries(formats))("%s", (_, options) => {
  test.each(Object.entries(products))("a product of %s", async (__, product) => {
    checked(await compiledAs(product, options), { B: 2, L: 5 });
  });

  test.each(Object.entries(tables))("a table of %s", async (__, table) => {
    checked(await compiledAs(table, options), { B: 2, L: 5 });
  });

  test("costs are those of the words", async () => {
    const wide = model("wide", { u: sequence(128) }, ({ u }) => ({ y: linear(u, { width: 64 }) }));
    const ran = checked(await compiledAs(wide, options), { B: 4, L: 32 });
    expectBytes(ran);
    expectFlops(ran);
    expectBytes(checked(await compiledAs(tied(12, 64), options), { B: 1, L: 32 }));
    const lookup = model("lookup", { ids: tokens(11) }, ({ ids }) => ({ y: embed(ids, { width: 64 }) }));
    expectBytes(checked(await compiledAs(lookup, options), { B: 1, L: 32 }));
  });

  test.each([600, 1300, 40])("pieces of at most %i bytes", async (bindingLimit) => {
    const split: CompileOptions = { ...options, bindingLimit };
    const gated = model("gated", { u: sequence(40) }, ({ u }) => ({ y: add(glu(u, { width: 24 }), linear(u, { width: 24 })) }));
    for (const one of [gated, tied(13, 37), products["3 to 18"], tables["24 rows of 64"]]) {
      const compiled = await compiledAs(one as Model, split);
      checked(compiled, { B: 2, L: 3 });
      const pieces = [...compiled.lowered.tensors].filter(([name]) => /\.part/.test(name));
      if (bindingLimit > 400) expect(Math.max(0, ...pieces.map(([, { data }]) => data.byteLength))).toBeLessThanOrEqual(bindingLimit);
    }
  });
});

test("40 random models of all ops, their weights in every format and in pieces", { timeout: 120_000 }, async () => {
  const models = fc.sample(arbitraryModule({ smooth: true, maxL: 6, maxH: 40, maxSteps: 6 }), { numRuns: 40, seed: 20261127 });
  const found = new Set<string>();
  for (const [i, { module, inputs, B, L }] of models.entries()) {
    const format = Object.values(formats)[i % 5];
    const compiled = await compileGraph(module.graph, module.constants, {
      maxLength: 16,
      ...format,
      ...(i % 2 ? { bindingLimit: 500 } : {}),
    });
    for (const { packed } of compiled.module.constants.values()) found.add(packed?.format ?? "f32");
    checked(compiled, { B, L }, rounded(inputs), 1e-5);
  }
  expect(found).toEqual(new Set(["f32", "f16", "q8", "q4"]));
});

test("a table that is also a product's weight is shipped once", async () => {
  const names = async (options: CompileOptions): Promise<string[]> => [...(await compiledAs(tied(13, 37), options)).lowered.tensors.keys()];
  expect(await names({})).toEqual(["table.transposed"]);
  expect(await names({ dtype: "f16" })).toEqual(["table.transposed.f16"]);
  expect(await names({ quantize: "q8" })).toEqual(["table.transposed.q8", "table.transposed.scales"]);
  expect(await names({ bindingLimit: 1000 })).toEqual([1, 2, 3, 4].map((part) => `table.transposed.part${part}`));
});
