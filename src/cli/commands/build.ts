/** `recurve build`: a model file, with its weights, to a bundle. */
import { choiceOf, countOf, requiredText, textOf, UsageError, type Command } from "../command.ts";

const FORCED = ["convolution", "scan", "chunked", "recurrence"] as const;

export const build: Command = {
  name: "build",
  operands: ["model"],
  doc: "Builds a bundle from a model file: shaders, glue, weights, manifest.",
  options: {
    output: { type: "string", short: "o", value: "dir", doc: "folder to write the bundle to" },
    weights: { type: "string", value: "file", doc: "safetensors file; seeded initial values where absent" },
    mode: { type: "string", value: "mode", doc: `run every length by ${FORCED.join(", ")}` },
    "max-length": { type: "string", value: "L", doc: "longest sequence of one run; streams have no end" },
    dtype: { type: "string", value: "f32", doc: "number format on the device" },
    seed: { type: "string", value: "n", doc: "seed of initial values; 0 where absent" },
    json: { type: "boolean", doc: "print what was built as JSON" },
  },
  run: async (given, terminal) => {
    const [path = ""] = given.operands;
    const output = requiredText(given, "output");
    if (output === "") throw new UsageError("--output needs the name of a folder");
    choiceOf(given, "dtype", ["f32"]);
    const options = {
      weights: textOf(given, "weights"),
      mode: choiceOf(given, "mode", FORCED),
      maxLength: countOf(given, "max-length"),
      seed: countOf(given, "seed", 0),
    };
    const [{ compileModel, writeBundle }, { progressOn }, { formatBytes }] = await Promise.all([
      import("../../build.ts"),
      import("../progress.ts"),
      import("../table.ts"),
    ]);
    const progress = progressOn(terminal);
    try {
      const start = performance.now();
      const { compiled, times } = await compileModel(path, { ...options, onStage: progress.show });
      progress.show("packing");
      const packing = performance.now();
      await writeBundle(compiled, output);
      const packed = performance.now();
      progress.clear();
      compiled.warnings.forEach((warning) => terminal.err(`warning: ${warning}\n`));
      const { name, modes, shards } = compiled.manifest;
      const weights = shards.reduce((sum, { bytes }) => sum + bytes, 0);
      const all = { ...times, pack: packed - packing, total: packed - start };
      terminal.out(
        given.values["json"] === true
          ? `${JSON.stringify({ name, output, modes, weightBytes: weights, milliseconds: all }, undefined, 2)}\n`
          : `${name}: ${modes.join(", ")}; ${formatBytes(weights)} of weights; ${(all.total / 1000).toFixed(1)} s (${(all.typecheck / 1000).toFixed(1)} s TypeScript); in ${output}\n`,
      );
    } finally {
      progress.clear();
    }
    return 0;
  },
};
