/**
 * The trained examples reach PyTorch's logits and predictions in every mode. A part of the test set; `npm run bench -- accuracy` runs all of it. PyTorch's
 * own float32 differs from its float64 by 1.1e-4 (s4d-sfmnist) and 4.3e-4 (s4d-kws-raw), ours by about as much: hence 3e-4 and 1e-3.
 */
import { join } from "node:path";
import { expect, it } from "vitest";
import type { Model } from "../../examples/shared/bundle.ts";
import { readTestSet } from "../../scripts/examples.ts";
import { score } from "../../scripts/score.ts";
import { compileModel } from "../../src/build.ts";
import { root } from "../repo/source.ts";
import { loadCompiled } from "../setup/execute.ts";

const counts = { convolution: 24, scan: 8, recurrence: 8 };

it.each([
  { name: "s4d-sfmnist", apart: 3e-4 },
  { name: "s4d-kws-raw", apart: 1e-3 },
])("$name agrees with PyTorch in every mode", { timeout: 300_000 }, async ({ name, apart }) => {
  const folder = join(root, "examples", name);
  const { compiled } = await compileModel(join(folder, "model.ts"), { weights: join(folder, "model.safetensors") });
  const model = (await loadCompiled(compiled)) as unknown as Model;
  const test = await readTestSet(folder);
  expect(model.info.modes).toEqual(expect.arrayContaining(Object.keys(counts)));
  for (const mode of ["convolution", "scan", "recurrence"] as const) {
    const result = await score(model, test, mode, counts[mode], 8);
    expect(result).toMatchObject({ mode, likePyTorch: counts[mode] });
    expect(result.apart, mode).toBeLessThan(apart);
  }
});
