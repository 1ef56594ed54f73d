/** Weights in every format and in pieces on a real device, whole sequences and steps, against the float64 interpreter. */
import { expect, test } from "vitest";
import { compileGraph, type CompileOptions } from "../../src/compile.ts";
import { add, embed, glu, linear, model, rmsNorm, silu, tokens } from "../../src/dsl/index.ts";
import { interpret } from "../../src/ir/interpret.ts";
import { errorOf, loadCompiled, toInputs } from "../setup/execute.ts";

/** A table that is also the head; weights of words that are full and of words that are not, of parts, of long sums. */
const letters = model("letters", { ids: tokens(44) }, ({ ids }) => {
  const x = embed(ids, { width: 70, name: "table" });
  const y = add(x, glu(linear(silu(rmsNorm(x)), { width: 300 }), { width: 70 }));
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
    const loaded = await loadCompiled(compiled);
    for (const mode of loaded.info.modes)
      expect(errorOf(await loaded.run(toInputs(compiled, inputs), { mode }), expected), mode).toBeLessThan(5e-6);
    expect([...compiled.lowered.tensors.keys()].some((name) => name.includes(".part"))).toBe(bindingLimit !== undefined);
  },
);
