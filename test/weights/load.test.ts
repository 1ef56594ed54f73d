import { describe, expect, test } from "vitest";
import { CompileError } from "../../src/ir/error.ts";
import { graphBuilder } from "../../src/ir/build.ts";
import type { Graph } from "../../src/ir/graph.ts";
import { loadWeights } from "../../src/weights/load.ts";
import { bytesSource, openSafetensors, type TensorFile } from "../../src/weights/safetensors.ts";
import { schemeNamed, schemes } from "../../src/weights/schemes.ts";
import { writeSafetensors, type WriteTensor } from "../../src/weights/write.ts";

const loc = { file: "model.ts", line: 3, column: 7 };

/** A graph of nothing but parameters. */
function params(shapes: Readonly<Record<string, readonly number[]>>): Graph {
  const builder = graphBuilder("weights");
  const ids = Object.entries(shapes).map(([name, shape]) =>
    builder.param(
      name,
      shape.map((size, i) => ({ name: `D${i}`, size })),
      undefined,
      loc,
    ),
  );
  return builder.finish(ids.map((value, i) => ({ name: `o${i}`, value })));
}

const f32 = (name: string, shape: readonly number[], values: readonly number[]): WriteTensor => ({
  name,
  dtype: "F32",
  shape,
  data: Float32Array.from(values),
});
const file = (...tensors: WriteTensor[]): Promise<TensorFile> => openSafetensors(bytesSource(writeSafetensors(tensors), "w.safetensors"));

async function failure(graph: Graph, tensors: WriteTensor[], scheme = "identity"): Promise<CompileError> {
  const error: unknown = await loadWeights(graph, await file(...tensors), schemeNamed(scheme)).then(
    () => undefined,
    (e: unknown) => e,
  );
  if (error instanceof CompileError) return error;
  throw new Error(`expected a diagnostic, got ${String(error)}`);
}

describe("loadWeights", () => {
  const graph = params({ "a.weight": [2, 3], "a.bias": [2] });
  const weight = f32("a.weight", [2, 3], [1, 2, 3, 4, 5, 6]);
  const bias = f32("a.bias", [2], [7, 8]);

  test("asks no checkpoint for fixed parameters", async () => {
    const builder = graphBuilder("weights");
    const taps = builder.fixed("delay0.taps", [{ name: "K", size: 2 }], { kind: "values", values: [1, 0] });
    const known = builder.finish([{ name: "y", value: taps }]);
    expect(await loadWeights(known, await file(), schemeNamed(undefined))).toEqual(new Map());
    expect((await failure(known, [f32("delay0.taps", [2], [1, 2])])).code).toBe("weights-unexpected");
  });

  test("gives every parameter its values in float64", async () => {
    const constants = await loadWeights(graph, await file(weight, bias), schemeNamed(undefined));
    expect(constants.get("a.weight")).toEqual({ shape: [2, 3], data: Float64Array.of(1, 2, 3, 4, 5, 6) });
    expect(constants.get("a.bias")).toEqual({ shape: [2], data: Float64Array.of(7, 8) });
    expect(constants.size).toBe(2);
  });

  test("weights-missing: names the tensor, its shape and the line that declares it", async () => {
    const error = await failure(graph, [weight]);
    expect(error).toMatchObject({ code: "weights-missing", loc });
    expect(error.message).toBe('w.safetensors does not fit the model:\n  "a.bias" [2] is not in the file');
  });

  test("weights-unexpected", async () => {
    const error = await failure(graph, [weight, bias, f32("b", [1], [0])]);
    expect(error.code).toBe("weights-unexpected");
    expect(error.message).toContain('"b" F32 [1] belongs to no parameter of the model');
  });

  test("weights-shape: the same number of values in another shape does not do", async () => {
    const error = await failure(graph, [f32("a.weight", [3, 2], [1, 2, 3, 4, 5, 6]), bias]);
    expect(error.code).toBe("weights-shape");
    expect(error.message).toContain('"a.weight" is [3, 2] in the file and [2, 3] in the model');
  });

  test("a lone number may be an integer", async () => {
    const length: WriteTensor = { name: "l_kernel", dtype: "I64", shape: [], data: BigInt64Array.of(24n) };
    const constants = await loadWeights(params({ l_kernel: [] }), await file(length), schemeNamed(undefined));
    expect(constants.get("l_kernel")?.data).toEqual(Float64Array.of(24));
  });

  test("weights-dtype: integers are no weights", async () => {
    const error = await failure(graph, [weight, { name: "a.bias", dtype: "I32", shape: [2], data: Int32Array.of(1, 2) }]);
    expect(error.code).toBe("weights-dtype");
    expect(error.message).toContain('"a.bias" is I32 in the file');
  });

  test.each([NaN, Infinity, -Infinity])("weights-nan: %d", async (value) => {
    const error = await failure(graph, [weight, f32("a.bias", [2], [0, value])]);
    expect(error.code).toBe("weights-nan");
    expect(error.message).toContain(`"a.bias" holds ${value} at element 1`);
  });

  test("weights-nan: a float64 beyond float32", async () => {
    const error = await failure(graph, [weight, { name: "a.bias", dtype: "F64", shape: [2], data: Float64Array.of(1e39, 0) }]);
    expect(error.code).toBe("weights-nan");
  });

  test("lists all problems in one error, worst kind first", async () => {
    const error = await failure(params({ a: [1], b: [1], c: [1] }), [f32("b", [2], [0, 0]), f32("c", [1], [NaN]), f32("d", [1], [0])]);
    expect(error.code).toBe("weights-missing");
    expect(error.message.split("\n").slice(1)).toEqual([
      '  "a" [1] is not in the file',
      '  "d" F32 [1] belongs to no parameter of the model',
      '  "b" is [2] in the file and [1] in the model',
      '  "c" holds NaN at element 0, which float32 cannot',
    ]);
  });

  test("counts the problems it does not show", async () => {
    const error = await failure(params(Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`p${i}`, [1]]))), []);
    expect(error.message).toMatch(/\n {2}and 10 more$/);
  });
});

describe("schemes", () => {
  test("have names of their own", () => {
    expect(new Set(schemes.map((s) => s.name)).size).toBe(schemes.length);
  });

  test("weights-scheme: an unknown name lists the known ones", () => {
    expect(() => schemeNamed("s6")).toThrow(
      expect.objectContaining({
        code: "weights-scheme",
        fix: "use one of identity, s4model, s4block, s4-v3, s4-v2, sashimi, h3, s5, mamba",
      }),
    );
  });

  test("s4model: the output map is a convolution of width 1 in the checkpoint", async () => {
    const tensors = [f32("s4_layers.0.output_linear.0.weight", [2, 1, 1], [1, 2]), f32("s4_layers.0.output_linear.0.bias", [2], [3, 4])];
    for (const path of ["output_linear.0", "output_linear"]) {
      const graph = params({ [`s4_layers.0.${path}.weight`]: [2, 1], [`s4_layers.0.${path}.bias`]: [2] });
      const constants = await loadWeights(graph, await file(...tensors), schemeNamed("s4model"));
      expect(constants.get(`s4_layers.0.${path}.weight`)).toEqual({ shape: [2, 1], data: Float64Array.of(1, 2) });
    }
  });

  test("s4model: a convolution of more than one tap is no linear map, and no vector is squeezed", async () => {
    const wide = await failure(params({ "encoder.weight": [2, 1] }), [f32("encoder.weight", [2, 1, 2], [1, 2, 3, 4])], "s4model");
    const vector = await failure(params({ "norms.0.weight": [2] }), [f32("norms.0.weight", [2, 1], [1, 2])], "s4model");
    expect([wide.code, vector.code]).toEqual(["weights-shape", "weights-shape"]);
  });
});
