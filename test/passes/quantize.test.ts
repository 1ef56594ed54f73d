import { expect, test } from "vitest";
import { parseGraph } from "../../src/ir/parse.ts";
import type { Constant } from "../../src/ir/graph.ts";
import { random } from "../../src/math/random.ts";
import { quantize, weightReport } from "../../src/passes/quantize.ts";
import type { Module, PassContext } from "../../src/passes/pass.ts";
import { packingError } from "../../src/weights/packing.ts";

const graph = parseGraph(`graph g {
  %0: i32[B L] = input ids
  %1: [V=9 H=32] = param table
  %2: [B L H=32] = embed %0 %1
  %3: [O=4 H=32] = param w
  %4: [B L O=4] = matmul %2 %3
  %5: [O=3 I=4] = param few
  %6: [B L O=3] = matmul %4 %5
  %7: [O=3 I=3] = param mask fixed init constant(1)
  %8: [B L O=3] = matmul %6 %7
  %9: [O=3 I=3] = param "layer:input"
  %10: [B L O=3] = matmul %8 %9
  %11: [O=3] = param scale
  %12: [B L O=3] = map {($0 * $1)} %10 %11
  return y: %12
}
`);

function moduleOf(changes: Readonly<Record<string, (data: Float64Array) => void>> = {}): Module {
  const { normal } = random(1, "values");
  const constants = new Map<string, Constant>();
  for (const node of graph.nodes) {
    if (node.op !== "param") continue;
    const shape = node.type.dims.map(({ size }) => Number(size));
    const data = Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, normal);
    changes[node.name]?.(data);
    constants.set(node.name, { shape, data });
  }
  return { graph, constants };
}

function quantized(module: Module, options: Pick<PassContext, "dtype" | "quantize">): { after: Module; notes: string[]; formats: unknown } {
  const notes: string[] = [];
  const after = quantize.run(module, { seed: 0, note: (message) => notes.push(message), warn: () => undefined, ...options });
  const packed = [...after.constants].flatMap(([name, constant]) =>
    constant.packed === undefined ? [] : [[name, constant.packed.format]],
  );
  return { after, notes, formats: Object.fromEntries(packed) };
}

test("quantize: nothing changes where nothing is asked for", () => {
  const module = moduleOf();
  const { after, notes } = quantized(module, {});
  expect(after.constants).toEqual(module.constants);
  expect(notes).toEqual([]);
  expect(weightReport(after.constants)).toBeUndefined();
});

test("quantize: weights of products and tables, not those of systems, nor the model's own numbers", () => {
  expect(quantized(moduleOf(), { dtype: "f16" }).formats).toEqual({ table: "f16", w: "f16", few: "f16" });
  expect(quantized(moduleOf(), { quantize: "q8" }).formats).toEqual({ table: "q8", w: "q8" });
  expect(quantized(moduleOf(), { quantize: "q4", dtype: "f16" }).formats).toEqual({ table: "q4", w: "q4", few: "f16" });
});

test("quantize: values become those of the words, and the note and the report say how far off they are", () => {
  const module = moduleOf();
  const { after, notes } = quantized(module, { quantize: "q4", dtype: "f16" });
  const report = weightReport(after.constants);
  const errors = report?.tensors.map(({ name }) =>
    packingError(module.constants.get(name)?.data ?? new Float64Array(), after.constants.get(name)?.data ?? new Float64Array()),
  );
  expect(report?.tensors.map(({ rms, max, norm }) => ({ rms, max, norm }))).toEqual(errors);
  expect(report?.worst.rms).toBe(Math.max(...(errors ?? []).map(({ rms }) => rms)));
  expect(notes).toEqual([expect.stringMatching(/^weights: 1 as f16, 2 as q4; relative error \d\.\de-2 \(rms\), worst \d\.\de-2 in /)]);
});

test("quantize: a weight without a place in the format stays float32, which a note says", () => {
  const { formats, notes } = quantized(moduleOf({ w: (data) => (data[5] = 1e6) }), { dtype: "f16" });
  expect(formats).toEqual({ table: "f16", few: "f16" });
  expect(notes).toContain("weights: w stays float32: its values have no place in f16");
});

test("quantize: what is packed already stays as it is", () => {
  const once = quantized(moduleOf(), { quantize: "q8" }).after;
  expect(quantized(once, { quantize: "q4" }).after.constants.get("w")).toBe(once.constants.get("w"));
});
