/** Bundles whose weights are halves or codes: built, run, verified and inspected like any other, and what they say of their error is so. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readManifest } from "../../src/cli/bundle.ts";
import { bundleReference } from "../../src/cli/source.ts";
import type { Constants } from "../../src/ir/graph.ts";
import { packingError } from "../../src/weights/packing.ts";
import { bytesSource, openSafetensors } from "../../src/weights/safetensors.ts";
import { cli, scratch, tensorFile } from "./cli.ts";
import { modelFile } from "./models.ts";

/** A table that is also the head, weights of many inputs and of few, a system. */
const MODEL = `import { add, embed, glu, linear, model, rmsNorm, s4d, silu, tokens } from "recurve";

export default model("letters", { ids: tokens(30) }, ({ ids }) => {
  const x = embed(ids, { width: 40, name: "embedding" });
  const y = add(x, glu(silu(s4d(linear(rmsNorm(x), { width: 36, name: "in" }), { state: 4, name: "layer" })), { width: 40, name: "mix" }));
  return { logits: linear(y, { width: 30, bias: false, tiedTo: "embedding" }), few: linear(linear(y, { width: 6, name: "a" }), { width: 8, name: "b" }) };
});
`;

async function built(folder: string, name: string, ...words: string[]): Promise<{ bundle: string; out: string }> {
  const bundle = join(folder, name);
  const { code, out, err } = await cli("build", await modelFile(folder, MODEL), "-o", bundle, "--max-length", "40", ...words);
  expect([code, err]).toEqual([0, ""]);
  return { bundle, out };
}

const valuesOf = async (bundle: string): Promise<Constants> => (await bundleReference(bundle, await readManifest(bundle))).constants;

describe.each([
  ["f16", ["--dtype", "f16"], { embedding: "f16", mix: "f16", b: "f16" }],
  ["q8", ["--quantize", "q8"], { embedding: "q8", mix: "q8" }],
  ["q4", ["--quantize", "q4", "--dtype", "f16"], { embedding: "q4", mix: "q4", b: "f16" }],
] as const)("%s", (name, words, stored) => {
  test("a bundle is smaller, runs, agrees with what its words stand for, and tells its error", { timeout: 120_000 }, async () => {
    const folder = await scratch();
    const plain = await built(folder, "plain");
    const { bundle, out } = await built(folder, name, ...words);
    expect(out).toMatch(new RegExp(`weights: .*as ${name}.*relative error \\d\\.\\de-\\d \\(rms\\), worst .* in `));

    const manifest = await readManifest(bundle);
    const tensors = manifest.weights?.tensors ?? [];
    expect(Object.fromEntries(tensors.map(({ name: tensor, format }) => [tensor, format]))).toMatchObject(
      Object.fromEntries(Object.entries(stored).map(([layer, format]) => [`${layer}.weight`, format])),
    );
    expect(tensors.map(({ name: tensor }) => tensor).filter((tensor) => /layer|:|bias/.test(tensor))).toEqual([]);

    const [before, after] = [await valuesOf(plain.bundle), await valuesOf(bundle)];
    for (const [parameter, { data, packed }] of after) {
      const was = before.get(parameter)?.data ?? new Float64Array();
      const own = tensors.find((tensor) => tensor.name === parameter);
      expect(packed?.format).toBe(own?.format);
      if (own === undefined) expect(data).toEqual(was);
      // The bundle of float32 has rounded them first.
      else for (const figure of ["rms", "max", "norm"] as const) expect(own[figure]).toBeCloseTo(packingError(was, data)[figure], 6);
    }
    const squares = tensors.map(({ rms, norm }) => [(rms * norm) ** 2, norm ** 2]);
    const sum = (i: number): number => squares.reduce((total, pair) => total + (pair[i] ?? NaN), 0);
    expect(manifest.weights?.rms).toBeCloseTo(Math.sqrt(sum(0) / sum(1)), 9);
    expect(manifest.weights?.worst.rms).toBe(Math.max(...tensors.map(({ rms }) => rms)));

    const verified = await cli("verify", bundle, "--cases", "3", "--json");
    expect([verified.code, verified.err]).toEqual([0, ""]);

    const inspected = await cli("inspect", bundle);
    expect(inspected.code).toBe(0);
    expect(inspected.out).toContain(`notes\n`);
    expect(inspected.out).toContain(out.split("\n")[1]);

    const bytes = (which: string): Promise<number> => readFile(join(which, "weights.safetensors")).then(({ length }) => length);
    expect(await bytes(bundle)).toBeLessThan(0.75 * (await bytes(plain.bundle)));

    const input = await tensorFile(folder, "in.safetensors", [
      { name: "ids", dtype: "I32", shape: [1, 9], data: Int32Array.from({ length: 9 }, (_, i) => (11 * i) % 30) },
    ]);
    const run = async (mode: string): Promise<Float64Array> => {
      const output = join(folder, `${mode}.safetensors`);
      expect((await cli("run", bundle, "-i", input, "-o", output, "--mode", mode)).code).toBe(0);
      return (await openSafetensors(bytesSource(await readFile(output)))).read("logits");
    };
    const [whole, stepped] = [await run("auto"), await run("recurrence")];
    expect(packingError(whole, stepped).max).toBeLessThan(2e-5);
  });
});

test("a tied table is in a bundle once", async () => {
  const folder = await scratch();
  const { bundle } = await built(folder, "tied", "--quantize", "q4");
  const { shards } = await readManifest(bundle);
  const names = shards.flatMap(({ tensors }) => tensors).filter((name) => name.startsWith("embedding"));
  expect(names.toSorted()).toEqual(["embedding.weight.transposed.q4", "embedding.weight.transposed.scales"]);
});

test("formats that there are not are wrong usage; a bundle has its format", async () => {
  const folder = await scratch();
  const model = await modelFile(folder, MODEL);
  const refused = async (...words: string[]): Promise<string> => {
    const { code, err } = await cli(...words);
    expect(code).toBe(2);
    return err;
  };
  expect(await refused("build", model, "-o", join(folder, "out"), "--dtype", "bf16")).toContain('--dtype is one of f32, f16, not "bf16"');
  expect(await refused("build", model, "-o", join(folder, "out"), "--quantize", "q2")).toContain('--quantize is one of q8, q4, not "q2"');
  const { bundle } = await built(folder, "plain");
  expect(await refused("inspect", bundle, "--quantize", "q8")).toContain("--quantize needs the model file");
});

test("inspect tells what a format would cost", async () => {
  const folder = await scratch();
  const { code, out } = await cli("inspect", await modelFile(folder, MODEL), "--quantize", "q8");
  expect(code).toBe(0);
  expect(out).toMatch(/notes\n(.*\n)*.*weights: 4 as q8; relative error/);
});
