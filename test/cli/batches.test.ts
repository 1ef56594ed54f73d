import { expect, test } from "vitest";
import { runInBatches } from "../../src/cli/batches.ts";
import type { AnyInputs, AnyModel } from "../../src/cli/bundle.ts";

/** Adds `c` of each sequence to all its steps; counts its calls. */
function adder(): Pick<AnyModel, "run" | "info"> & { readonly batches: number[] } {
  const batches: number[] = [];
  const info = {
    inputs: [
      { name: "u", dtype: "f32", dims: ["B", "L", 1] },
      { name: "c", dtype: "i32", dims: ["B"] },
    ],
  } as unknown as AnyModel["info"];
  const run = (async ({ u, c }: Record<"u" | "c", { data: Float32Array; dims: number[] }>) => {
    const [B = 0, L = 0] = u.dims;
    batches.push(B);
    return {
      y: { data: u.data.map((v, i) => v + (c.data[Math.floor(i / L)] ?? NaN)), dims: u.dims },
      c: { data: Int32Array.from(c.data), dims: [B] },
    };
  }) as unknown as AnyModel["run"];
  return { info, run, batches };
}

const inputs: AnyInputs = {
  u: { data: Float32Array.from({ length: 15 }, (_, i) => i), dims: [5, 3, 1] },
  c: { data: Int32Array.of(0, 100, 200, 300, 400), dims: [5] },
};

test.each([
  [3, [1, 1, 1, 1, 1]],
  [1, [1, 1, 1, 1, 1]],
  [7, [2, 2, 1]],
  [15, [5]],
  [1000, [5]],
])("in calls of %i steps a batch gives what one call gives", async (steps, batches) => {
  const whole = await adder().run(inputs);
  const model = adder();
  const seen: string[] = [];
  expect(await runInBatches(model, inputs, { mode: "auto", steps, onProgress: (done, total) => seen.push(`${done}/${total}`) })).toEqual(
    whole,
  );
  expect(model.batches).toEqual(batches);
  expect(seen[0]).toBe("0/5");
  expect(seen).toHaveLength(batches.length);
});

test("inputs of different batches are refused before anything runs", async () => {
  const model = adder();
  const longer: AnyInputs = { ...inputs, c: { data: new Int32Array(6), dims: [6] } };
  await expect(runInBatches(model, longer, { mode: "auto", steps: 3 })).rejects.toMatchObject({ code: "input-shape" });
  expect(model.batches).toEqual([]);
});
