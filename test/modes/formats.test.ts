/** Weights in every format and in pieces, whole sequences and steps, as this device and devices of many lanes run them, against the float64 interpreter. */
import { expect, test } from "vitest";
import { evaluatePlan } from "../../src/codegen/plan-source.ts";
import { compileGraph, type CompileOptions } from "../../src/compile.ts";
import { add, embed, glu, linear, model, rmsNorm, silu, tokens } from "../../src/dsl/index.ts";
import { interpret } from "../../src/ir/interpret.ts";
import { asIfWide, errorOf, loadPlan, toInputs } from "../setup/execute.ts";
import { sharedDevice } from "../setup/shared-device.ts";

/** A table that is also the head; weights of words that are full and of words that are not, of parts, of long sums. */
const letters = model("letters", { ids: tokens(44) }, ({ ids }) => {
  const x = embed(ids, { width: 70, name: "table" });
  const z = silu(rmsNorm(x));
  const y = add(add(x, glu(linear(z, { width: 300 }), { width: 70 })), linear(linear(z, { width: 320 }), { width: 70 }));
  return { logits: linear(y, { width: 44, bias: false, tiedTo: "table" }), few: linear(linear(y, { width: 6 }), { width: 9 }) };
});

const formats: readonly (readonly [string, CompileOptions])[] = [
  ["f32", {}],
  ["f16", { dtype: "f16" }],
  ["q8", { quantize: "q8" }],
  ["q4 and f16", { quantize: "q4", dtype: "f16" }],
];

test.each(formats.flatMap(([name, options]) => [undefined, 9000].map((limit) => [name, limit, options] as const)))(
  "%s, pieces of at most %s bytes",
  async (_, bindingLimit, options) => {
    const compiled = await compileGraph(letters.graph, new Map(), { maxLength: 64, ...options, bindingLimit });
    const [B, L] = [2, 21];
    const inputs = new Map([["ids", { shape: [B, L], data: Float64Array.from({ length: B * L }, (__, i) => (19 * i) % 44) }]]);
    const expected = interpret(compiled.module.graph, compiled.module.constants, inputs).outputs;
    for (const W of [32, 256]) {
      const loaded = await loadPlan(asIfWide(evaluatePlan(compiled.plan), W), compiled.shards, { device: await sharedDevice() });
      for (const mode of loaded.info.modes)
        expect(errorOf(await loaded.run(toInputs(compiled, inputs), { mode }), expected), `${mode}, W = ${W}`).toBeLessThan(5e-6);
      loaded.destroy();
    }
    expect([...compiled.lowered.tensors.keys()].some((name) => name.includes(".part"))).toBe(bindingLimit !== undefined);
  },
);
