/** `recurve run`: whole sequences through a bundle, tensors in and out as safetensors files. */
import type { Command } from "../command.ts";
import { choiceOf, requiredText } from "../command.ts";

/** The ways to compute a whole sequence, as `--mode` names them. */
export const MODES = ["auto", "convolution", "scan", "chunked", "recurrence"] as const;

export const run: Command = {
  name: "run",
  operands: ["bundle"],
  doc: "Runs a bundle on the tensors of a safetensors file and writes its outputs to another.",
  options: {
    input: { type: "string", short: "i", value: "file", doc: "safetensors or PyTorch file with the model's inputs, by name" },
    output: { type: "string", short: "o", value: "file", doc: "safetensors file to write the outputs to" },
    mode: { type: "string", value: "mode", doc: `${MODES.join(", ")}; auto where absent` },
  },
  run: async (given, terminal) => {
    const [folder = ""] = given.operands;
    const input = requiredText(given, "input");
    const output = requiredText(given, "output");
    const mode = choiceOf(given, "mode", MODES) ?? "auto";
    const [{ openModel }, { withTensorFile, writeWhole }, { packOutputs, readInputs }, { runInBatches }, { progressOn }] =
      await Promise.all([
        import("../model.ts"),
        import("../../files.ts"),
        import("../inputs.ts"),
        import("../batches.ts"),
        import("../progress.ts"),
      ]);
    const model = await openModel(folder, terminal);
    const progress = progressOn(terminal);
    try {
      const inputs = await withTensorFile(input, (file) => readInputs(file, model.info.inputs));
      const onProgress = (done: number, total: number): void => progress.show(`${done} of ${total} sequences`);
      await writeWhole(output, packOutputs(await runInBatches(model, inputs, { mode, onProgress })));
    } finally {
      progress.clear();
      model.destroy();
    }
    return 0;
  },
};
