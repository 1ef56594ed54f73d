/**
 * The trained examples reach PyTorch's logits and predictions in every mode. A part of the test set; `npm run bench -- accuracy` runs all of it. PyTorch's
 * own float32 differs from its float64 by 1.1e-4 (s4d-sfmnist), 4.3e-4 (s4d-kws-raw) and 7e-6 (s4-digits), ours by about as much: hence 3e-4, 1e-3 and 2e-5.
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
const poles = ["convolution", "scan", "recurrence"] as const;

it.each([
  { name: "s4d-sfmnist", apart: 3e-4, modes: poles },
  { name: "s4d-kws-raw", apart: 1e-3, modes: poles },
  { name: "s4-digits", apart: 2e-5, modes: ["convolution", "recurrence"] as const },
])("$name agrees with PyTorch in every mode", { timeout: 300_000 }, async ({ name, apart, modes }) => {
  const folder = join(root, "examples", name);
  const { compiled } = await compileModel(join(folder, "model.ts"), { weights: join(folder, "model.safetensors") });
  const model = (await loadCompiled(compiled)) as unknown as Model;
  const test = await readTestSet(folder);
  expect(model.info.modes).toEqual(expect.arrayContaining([...modes]));
  for (const mode of modes) {
    const result = await score(model, test, mode, counts[mode], 8);
    expect(result).toMatchObject({ mode, likePyTorch: counts[mode] });
    expect(result.apart, mode).toBeLessThan(apart);
  }
});
