/** Checkpoints in older and other layouts load as the same parameters: golden ones rewritten by the inverse rules, and small ones. */
import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Constant, Constants, Graph } from "../../src/ir/graph.ts";
import { graphBuilder } from "../../src/ir/build.ts";
import { CompileError } from "../../src/ir/error.ts";
import { loadWeights } from "../../src/weights/load.ts";
import { openTensors } from "../../src/weights/open.ts";
import { bytesSource, openSafetensors } from "../../src/weights/safetensors.ts";
import { schemeNamed, schemes } from "../../src/weights/schemes.ts";
import { writeSafetensors } from "../../src/weights/write.ts";
import { stateDict, torchFile } from "../setup/torch-file.ts";

/** Tensors by name, in float64. */
type Tensors = Readonly<Record<string, Constant>>;

const tensor = (shape: readonly number[], data: Iterable<number>): Constant => ({ shape, data: Float64Array.from(data) });
const counted = (...shape: readonly number[]): Constant =>
  tensor(
    shape,
    Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => i + 1),
  );

/** A graph of nothing but parameters of these shapes. */
function graphOf(params: Readonly<Record<string, readonly number[]>>): Graph {
  const builder = graphBuilder("weights");
  const ids = Object.entries(params).map(([name, shape]) =>
    builder.param(
      name,
      shape.map((size, i) => ({ name: `D${i}`, size })),
    ),
  );
  return builder.finish(ids.map((value, i) => ({ name: `o${i}`, value })));
}

/** Loads tensors into parameters of these shapes. */
async function load(scheme: string, params: Readonly<Record<string, readonly number[]>>, tensors: Tensors): Promise<Constants> {
  const written = Object.entries(tensors).map(([name, { shape, data }]) => ({ name, dtype: "F64" as const, shape, data }));
  return loadWeights(graphOf(params), await openSafetensors(bytesSource(writeSafetensors(written), "w")), schemeNamed(scheme));
}

async function failure(...args: Parameters<typeof load>): Promise<CompileError> {
  const error: unknown = await load(...args).then(
    () => undefined,
    (e: unknown) => e,
  );
  if (error instanceof CompileError) return error;
  throw new Error(`expected a diagnostic, got ${String(error)}`);
}

async function golden(name: string): Promise<Tensors> {
  const file = await openSafetensors(
    bytesSource(readFileSync(new URL(`../../../shared/golden/s4/${name}.safetensors`, import.meta.url)), name),
  );
  const read = async ([key, { shape }]: [string, { readonly shape: readonly number[] }]): Promise<[string, Constant]> => [
    key,
    { shape, data: await file.read(key) },
  ];
  return Object.fromEntries(await Promise.all([...file.entries].map(read)));
}

const shapesOf = (tensors: Tensors): Record<string, readonly number[]> =>
  Object.fromEntries(Object.entries(tensors).map(([name, { shape }]) => [name, shape]));

/** Every tensor under a new name, shape or values, or left out. */
const rewrite = (tensors: Tensors, rule: (name: string, value: Constant) => Tensors): Tensors =>
  Object.assign({}, ...Object.entries(tensors).map(([name, value]) => rule(name, value))) as Tensors;

const negative = ({ shape, data }: Constant): Constant => ({ shape, data: data.map((x) => -x) });

/** Version 4 of a block to version 3, by the renaming that the repository did, backwards. */
function toVersion3(name: string, value: Constant): Tensors {
  const older = name.replace(/(^|\.)layer\.(D$|kernel\.)/, "$1$2").replace(/(^|\.)kernel\./, "$1kernel.kernel.");
  if (older.endsWith("inv_dt")) return { [older.replace("inv_dt", "log_dt")]: { shape: value.shape.slice(0, 1), data: value.data } };
  if (older.endsWith("A_real")) return { [older.replace("A_real", "inv_w_real")]: value };
  if (older.endsWith("A_imag")) return { [older.replace("A_imag", "w_imag")]: negative(value) };
  if (older.endsWith("l_kernel")) return { [older.replace("l_kernel", "L")]: value };
  return { [older]: value };
}

/** e^(-2 pi i k / L), k = 0 .. L/2, rounded to float32. */
function nodes(L: number): Constant {
  const count = Math.floor(L / 2) + 1;
  const angle = (k: number): number => (-2 * Math.PI * k) / L;
  return tensor(
    [count, 2],
    Float32Array.from({ length: 2 * count }, (_, i) => (i % 2 === 0 ? Math.cos(angle(i / 2)) : Math.sin(angle((i - 1) / 2)))),
  );
}

function expectSame(loaded: Constants, tensors: Tensors, tolerance = 0): void {
  expect([...loaded.keys()].sort()).toEqual(Object.keys(tensors).sort());
  for (const [name, { shape, data }] of Object.entries(tensors)) {
    const value = loaded.get(name);
    expect(value?.shape, name).toEqual(shape);
    const error = data.reduce((most, x, i) => Math.max(most, Math.abs(x - (value?.data[i] ?? NaN)) / Math.max(1, Math.abs(x))), 0);
    expect(error, name).toBeLessThanOrEqual(tolerance);
  }
}

const dplr = ["block_dplr_legs", "block_dplr_legs_ctilde", "block_dplr_legt_rank2", "block_dplr_fout_ch2", "block_dplr_hippo_bidir"];
const diagonal = ["block_diag_lin_zoh", "block_diag_inv_bilinear_nssm", "block_diag_legs_bidir"];

describe("s4block, s4model, sashimi, h3", () => {
  test.each([...dplr, ...diagonal, "block_diag_real_softplus"])("%s loads by its own names, l_kernel included", async (name) => {
    const tensors = await golden(name);
    expectSame(await load("s4block", shapesOf(tensors), tensors), tensors);
  });

  test.each([
    ["s4model_s4_dplr", "s4model"],
    ["sashimi_p22", "sashimi"],
    ["sashimi_unet_bidir", "sashimi"],
  ])("%s: maps of width 1 are linear maps", async (name, scheme) => {
    const tensors = await golden(name);
    const flat = rewrite(tensors, (key, { shape, data }) => ({
      [key]: { shape: key.endsWith("weight") && shape.length === 3 ? shape.slice(0, 2) : shape, data },
    }));
    expectSame(await load(scheme, shapesOf(flat), tensors), flat);
  });

  test.each([
    ["linear.weight_g", "linear.weight_v", [2, 1, 1], [2, 3, 1]],
    ["linear.parametrizations.weight.original0", "linear.parametrizations.weight.original1", [2, 1], [2, 3]],
  ])("a weight in %s and %s is g v / |v|", async (g, v, gShape, vShape) => {
    const loaded = await load(
      "sashimi",
      { "linear.weight": [2, 3] },
      { [g]: tensor(gShape, [10, 1]), [v]: tensor(vShape, [0, 3, 4, 2, 0, 0]) },
    );
    expect(loaded.get("linear.weight")).toEqual({ shape: [2, 3], data: Float64Array.of(0, 6, 8, 1, 0, 0) });
  });

  test.each(["h3_hd1", "h3_hd2"])("%s loads by its own names", async (name) => {
    const tensors = await golden(name);
    expectSame(await load("h3", shapesOf(tensors), tensors), tensors);
  });

  test("a number, as of the norm with two parameters in all, may be a vector of one", async () => {
    const loaded = await load("s4block", { "norm.norm.m": [] }, { "norm.norm.m": tensor([1], [0.25]) });
    expect(loaded.get("norm.norm.m")).toEqual({ shape: [], data: Float64Array.of(0.25) });
  });

  test("a bias may be a column", async () => {
    const loaded = await load("s4-v2", { "output_linear.0.bias": [2] }, { "output_linear.0.bias": counted(2, 1) });
    expect(loaded.get("output_linear.0.bias")).toEqual(counted(2));
  });

  test("how often a batch norm was trained belongs to no model", async () => {
    const loaded = await load(
      "s4block",
      { "norm.weight": [2] },
      { "norm.weight": counted(2), "norm.num_batches_tracked": tensor([], [7]) },
    );
    expect([...loaded.keys()]).toEqual(["norm.weight"]);
  });
});

describe("s4-v3", () => {
  test.each([...dplr, ...diagonal])("%s, rewritten to version 3", async (name) => {
    const tensors = await golden(name);
    const older = rewrite(tensors, toVersion3);
    expect(Object.keys(older)).toContain("kernel.kernel.w_imag");
    expectSame(await load("s4-v3", shapesOf(tensors), older), tensors);
  });

  test("SaShiMi as it was published: on version 3, its poolings weight-normed", async () => {
    const tensors = rewrite(await golden("sashimi_p22"), (name, { shape, data }) => ({
      [name]: { shape: shape.length === 3 && name.endsWith("weight") ? shape.slice(0, 2) : shape, data },
    }));
    const normed = (name: string, value: Constant): Tensors => {
      if (!/^[du]_layers\..*linear\.weight$/.test(name) || name.includes("output_linear")) return { [name]: value };
      const [rows = 0, columns = 0] = value.shape;
      const length = Float64Array.from({ length: rows }, (_, i) => Math.hypot(...value.data.subarray(i * columns, (i + 1) * columns)));
      const twice = { shape: [rows, columns, 1], data: value.data.map((x) => 2 * x) };
      return { [`${name}_g`]: tensor([rows, 1, 1], length), [`${name}_v`]: twice };
    };
    const older = rewrite(rewrite(tensors, normed), toVersion3);
    expect(Object.keys(older)).toEqual(expect.arrayContaining(["d_layers.0.linear.weight_g", "c_layers.0.layer.kernel.kernel.w_imag"]));
    expectSame(await load("s4-v3", shapesOf(tensors), older), tensors, 1e-15);
  });

  test("a file of torch.save in version 3", async () => {
    const tensors = await golden("block_dplr_legs_ctilde");
    const saved = Object.entries(rewrite(tensors, toVersion3)).map(([name, { shape, data }]) =>
      name.endsWith(".L")
        ? { name, shape, storage: "LongStorage", data: BigInt64Array.from(data, BigInt) }
        : { name, shape, storage: "FloatStorage", data: Float32Array.from(data) },
    );
    const { value, storages } = stateDict(saved);
    const file = await openTensors(bytesSource(torchFile(value, storages), "s4.pt"));
    expectSame(await loadWeights(graphOf(shapesOf(tensors)), file, schemeNamed("s4-v3")), tensors);
  });

  test("blocks inside a backbone, where layer.layer was layer", async () => {
    const tensors = rewrite(await golden("block_dplr_legs"), (name, value) => ({ [`model.layers.3.layer.${name}`]: value }));
    const older = rewrite(tensors, toVersion3);
    expect(Object.keys(older)).toEqual(expect.arrayContaining(["model.layers.3.layer.D", "model.layers.3.layer.kernel.kernel.C"]));
    expectSame(await load("s4-v3", shapesOf(tensors), older), tensors);
  });

  test("diagonal kernels with inv_A_real and A_imag, of which the sign turned; B without its first axis", async () => {
    const tensors = await golden("block_diag_lin_zoh");
    const older = rewrite(rewrite(tensors, toVersion3), (name, value) => {
      if (name.endsWith("kernel.B")) return { [name]: { shape: value.shape.slice(1), data: value.data } };
      return { [name.replace("inv_w_real", "inv_A_real").replace("w_imag", "A_imag")]: value };
    });
    expectSame(await load("s4-v3", shapesOf(tensors), older), tensors);
  });

  test("a layer whose names have no inner `layer`", async () => {
    const tensors = rewrite(await golden("block_dplr_legs"), (name, value) =>
      name.startsWith("layer.") ? { [name.slice(6)]: value } : {},
    );
    expectSame(await load("s4-v3", shapesOf(tensors), rewrite(tensors, toVersion3)), tensors);
  });
});

describe("s4-v2", () => {
  const name = "block_dplr_legs_ctilde";
  const hurwitz = (key: string, value: Constant): Tensors =>
    rewrite(toVersion3(key, value), (older, same) => {
      if (older.endsWith(".L")) return { [older.replace(/L$/, "omega")]: nodes(24), [older.replace(/L$/, "z")]: nodes(24) };
      return { [older.replace("inv_w_real", "log_w_real")]: same };
    });
  /** The other form, where A = diag(w) - P Q^T. */
  const general = (tensors: Tensors, Q: (x: number, i: number) => number): Tensors => {
    const older = rewrite(tensors, hurwitz);
    const { "kernel.kernel.log_w_real": re, "kernel.kernel.w_imag": im, "kernel.kernel.P": P, ...rest } = older;
    if (re === undefined || im === undefined || P === undefined) throw new Error("the golden file has no poles");
    const w = tensor(
      [...re.shape, 2],
      [...re.data].flatMap((x, i) => [-Math.exp(x), im.data[i] ?? NaN]),
    );
    return { ...rest, "kernel.kernel.w": w, "kernel.kernel.P": P, "kernel.kernel.Q": { shape: P.shape, data: P.data.map(Q) } };
  };
  const conj = (x: number, i: number): number => (i % 2 === 0 ? x : -x);

  test("Hurwitz form; the length of C is that of omega", async () => {
    const tensors = await golden(name);
    expect(tensors["layer.kernel.l_kernel"]?.data).toEqual(Float64Array.of(24));
    expectSame(await load("s4-v2", shapesOf(tensors), rewrite(tensors, hurwitz)), tensors);
  });

  test("with Q = conj(P)", async () => {
    const tensors = await golden(name);
    expectSame(await load("s4-v2", shapesOf(tensors), general(tensors, conj)), tensors, 1e-14);
  });

  test("weights-values: with another Q", async () => {
    const tensors = await golden(name);
    const error = await failure(
      "s4-v2",
      shapesOf(tensors),
      general(tensors, (x, i) => conj(x, i) * (i === 3 ? 1.001 : 1)),
    );
    expect(error.code).toBe("weights-values");
    expect(error.message).toContain('"kernel.kernel.w" gives no values for layer.kernel.A_real: Q is not conj(P)');
  });

  test("weights-values: with a pole that grows", async () => {
    const tensors = await golden(name);
    const { "kernel.kernel.w": w, ...rest } = general(tensors, conj);
    const error = await failure("s4-v2", shapesOf(tensors), {
      ...rest,
      "kernel.kernel.w": { shape: w?.shape ?? [], data: (w?.data ?? new Float64Array()).map((x, i) => (i === 0 ? 0.5 : x)) },
    });
    expect(error.code).toBe("weights-values");
    expect(error.message).toContain("not below 0");
  });

  test("any length is recovered from its nodes in float32", async () => {
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 20_000 })), async (L) => {
        const loaded = await load("s4-v2", { "layer.kernel.l_kernel": [] }, { "kernel.kernel.omega": nodes(L) });
        expect(loaded.get("layer.kernel.l_kernel")?.data).toEqual(Float64Array.of(L));
      }),
      { numRuns: 30 },
    );
  });

  test.each([
    ["nodes of another length", tensor([13, 2], nodes(30).data.slice(0, 26))],
    ["no complex nodes", tensor([13], nodes(24).data.slice(0, 13))],
  ])("weights-values: %s", async (_, omega) => {
    expect((await failure("s4-v2", { "layer.kernel.l_kernel": [] }, { "kernel.kernel.omega": omega })).code).toBe("weights-values");
  });
});

describe("s5", () => {
  const params = {
    "encoder.weight": [2, 3],
    "layers_0.norm.weight": [2],
    "layers_0.norm.running_mean": [2],
    "layers_0.seq.C": [2, 2, 2],
    "layers_0.out2.bias": [2],
  };
  const flax = {
    "encoder/kernel": tensor([3, 2], [1, 4, 2, 5, 3, 6]),
    "layers_0/norm/scale": counted(2),
    "layers_0/seq/C": counted(2, 2, 2),
    "layers_0/out2/bias": counted(2),
  };
  const stats = { "layers_0/norm/mean": counted(2) };
  const under = (prefix: string, tensors: Tensors): Tensors => rewrite(tensors, (name, value) => ({ [prefix + name]: value }));
  const dots = (tensors: Tensors): Tensors => rewrite(tensors, (name, value) => ({ [name.replaceAll("/", ".")]: value }));

  test.each([
    ["slashes", { ...flax, ...stats }],
    ["slashes behind collections", { ...under("params/", flax), ...under("batch_stats/", stats) }],
    ["dots", dots({ ...flax, ...stats })],
    ["dots behind collections", dots({ ...under("params/", flax), ...under("batch_stats/", stats) })],
  ])("names with %s; kernels are transposed", async (_, tensors) => {
    const loaded = await load("s5", params, tensors);
    expect(loaded.get("encoder.weight")).toEqual(counted(2, 3));
    expect(loaded.get("layers_0.norm.weight")).toEqual(counted(2));
    expect(loaded.get("layers_0.norm.running_mean")).toEqual(counted(2));
    expect(loaded.get("layers_0.seq.C")).toEqual(counted(2, 2, 2));
  });

  test("C of both directions in one", async () => {
    const loaded = await load("s5", { "seq.C1": [2, 1, 2], "seq.C2": [2, 1, 2] }, { "seq.C": counted(2, 2, 2) });
    expect([loaded.get("seq.C1")?.data, loaded.get("seq.C2")?.data]).toEqual([Float64Array.of(1, 2, 5, 6), Float64Array.of(3, 4, 7, 8)]);
  });

  test("C of both directions apart, and a table of rows", async () => {
    const tensors = { "seq.C1": counted(2, 1, 2), "seq.C2": counted(2, 1, 2) };
    const loaded = await load(
      "s5",
      { "seq.C1": [2, 1, 2], "seq.C2": [2, 1, 2], "encoder.weight": [5, 2] },
      { ...tensors, "encoder.embedding": counted(5, 2) },
    );
    expect([loaded.get("seq.C2"), loaded.get("encoder.weight")]).toEqual([counted(2, 1, 2), counted(5, 2)]);
  });
});

describe("misfits", () => {
  test("name the options that decide a tensor, and those that none tells", async () => {
    const error = await failure(
      "s4block",
      { "layer.kernel.C": [1, 4, 2, 2] },
      { "layer.kernel.C": counted(2, 4, 2, 2), "layer.kernel.P": counted(1, 4, 2, 2) },
    );
    expect(error.code).toBe("weights-unexpected");
    expect(error.fix).toContain("look at the options that decide these tensors: state, channels, bidirectional, mode, rank, ssms");
    expect(error.fix).toContain("no tensor tells discretize, transforms");
  });

  test("do not speak of options where none decides", async () => {
    expect((await failure("s4block", { "encoder.bias": [2] }, {})).fix).not.toContain("options that decide");
  });

  test("say where all of the names are behind one more", async () => {
    const tensors = { "net.model.a.weight": counted(2), "net.model.b.weight": counted(2), "net.other": counted(1) };
    expect((await failure("identity", { "a.weight": [2], "b.weight": [2] }, tensors)).fix).toContain(
      'declare the layers inside scope("net.model", ...)',
    );
    expect((await failure("identity", { "a.weight": [2], "c.weight": [2] }, tensors)).fix).not.toContain("scope");
  });

  test("every scheme has a row in docs/checkpoints.md", () => {
    const page = readFileSync(new URL("../../docs/checkpoints.md", import.meta.url), "utf8");
    expect(schemes.filter(({ name }) => !page.includes(`\n| \`${name}\``)).map(({ name }) => name)).toEqual([]);
  });

  test("a table's schemes all say where they are from and what they leave open", () => {
    for (const { name, doc, source, untold } of schemes)
      expect([name, doc.length > 30, name === "identity" || (source.length > 10 && untold.length > 0)]).toEqual([name, true, true]);
  });
});
