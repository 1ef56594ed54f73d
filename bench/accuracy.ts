/** The trained examples against PyTorch, in every mode, over a whole test set. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Model } from "../examples/shared/bundle.ts";
import { buildBundle, readTestSet } from "../scripts/examples.ts";
import { type LanguageModel, readTextSet, scoreText } from "../scripts/language.ts";
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

/** The language model: how far its logits may be from PyTorch's, over the largest, and its bits a character, which are told to 5e-6. */
const LANGUAGE = { name: "mamba-austen", apart: 2e-5, bits: 1e-5 };

/** Chunks of text at a time: a step costs its dispatches, few sequences or many. */
const chunksAtOnce = (mode: string): number => (mode === "recurrence" ? 91 : 4);

export const accuracy: Bench = {
  name: "accuracy",
  doc: "the examples' test sets in every mode, against PyTorch",
  device: true,
  run: async ({ root, data }) => {
    const figures: Figure[] = [];
    const folder = await mkdtemp(join(tmpdir(), "recurve-bench-"));
    const testSet = (name: string): string => join(data ?? join(root, "examples"), name);
    const open = async <M>(name: string): Promise<M> => {
      buildBundle(root, name, join(folder, name));
      const bundle = (await import(pathToFileURL(join(folder, name, "index.js")).href)) as {
        readonly load: (options: LoadOptions) => Promise<M>;
      };
      return bundle.load({ gpu: processGpu() });
    };
    try {
      for (const { name, apart, flips } of examples) {
        const model = await open<Model>(name);
        const test = await readTestSet(testSet(name));
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
      const model = await open<LanguageModel>(LANGUAGE.name);
      const text = await readTextSet(testSet(LANGUAGE.name));
      for (const mode of model.info.modes) {
        const name = `${LANGUAGE.name}, ${mode}`;
        const { count, bits, theirs, apart, seconds } = await scoreText(model, text, mode, text.count, chunksAtOnce(mode));
        figures.push(
          { name: `${name}: bits a character, ${count} chunks`, value: bits, unit: "" },
          { name: `${name}: the same, PyTorch, of the chunks it is known for`, value: theirs, unit: "" },
          ...(text.bits === undefined
            ? []
            : [
                {
                  name: `${name}: bits from PyTorch's over all chunks`,
                  value: Math.abs(bits - text.bits),
                  unit: "",
                  atMost: LANGUAGE.bits,
                },
              ]),
          { name: `${name}: logits from PyTorch's, over the largest`, value: apart, unit: "", atMost: LANGUAGE.apart },
          { name: `${name}: time a chunk`, value: (1000 * seconds) / count, unit: "ms" },
        );
      }
      model.destroy();
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
    return figures;
  },
};
