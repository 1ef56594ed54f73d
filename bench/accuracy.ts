/** The trained examples against PyTorch, in every mode, over a whole test set. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Model } from "../examples/shared/bundle.ts";
import { buildBundle, readTestSet } from "../scripts/examples.ts";
import { score } from "../scripts/score.ts";
import { processGpu } from "../src/cli/adapter.ts";
import type { LoadOptions } from "../src/runtime/api.ts";
import type { Bench, Figure } from "./figure.ts";

/** What the models' own float32 leaves undecided: logits this far apart, and as many predictions that may flip. */
const examples = [
  { name: "s4d-sfmnist", apart: 3e-4, flips: 1 },
  { name: "s4d-kws-raw", apart: 1e-3, flips: 0 },
  { name: "s4-digits", apart: 2e-5, flips: 0 },
];

export const accuracy: Bench = {
  name: "accuracy",
  doc: "the examples' test sets in every mode, against PyTorch",
  device: true,
  run: async ({ root, data }) => {
    const figures: Figure[] = [];
    const folder = await mkdtemp(join(tmpdir(), "recurve-bench-"));
    try {
      for (const { name, apart, flips } of examples) {
        const bundle = join(folder, name);
        buildBundle(root, name, bundle);
        const { load } = (await import(pathToFileURL(join(bundle, "index.js")).href)) as {
          readonly load: (options: LoadOptions) => Promise<Model>;
        };
        const model = await load({ gpu: processGpu() });
        const test = await readTestSet(join(data ?? join(root, "examples"), name));
        for (const mode of model.info.modes) {
          const { count, right, likePyTorch, apart: difference, seconds } = await score(model, test, mode, test.count, 40);
          figures.push(
            { name: `${name}, ${mode}: predictions unlike PyTorch's, of ${count}`, value: count - likePyTorch, unit: "", atMost: flips },
            { name: `${name}, ${mode}: logits from PyTorch's`, value: difference, unit: "", atMost: apart },
            { name: `${name}, ${mode}: accuracy`, value: (100 * right) / count, unit: "%" },
            { name: `${name}, ${mode}: time an input`, value: (1000 * seconds) / count, unit: "ms" },
          );
        }
        model.destroy();
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
    return figures;
  },
};
