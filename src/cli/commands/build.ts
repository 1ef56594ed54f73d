/** `recurve build`: a model file, with its weights, or a published checkpoint to a bundle. */
import type { BuildOptions, BuiltModel } from "../../build.ts";
import type { WeightReport } from "../../passes/quantize.ts";
import { checkpointDocs, checkpointOf } from "../checkpoint.ts";
import { choiceOf, countOf, factorOf, requiredText, textOf, UsageError, weightOptions, type Command, type Terminal } from "../command.ts";

const FORCED = ["convolution", "scan", "chunked", "recurrence"] as const;

export const build: Command = {
  name: "build",
  operands: ["model|checkpoint"],
  doc: "Builds a bundle from a model file or the folder of a published checkpoint: shaders, glue, weights, manifest.",
  options: {
    output: { type: "string", short: "o", value: "dir", doc: "folder to write the bundle to" },
    weights: {
      type: "string",
      value: "file",
      doc: "safetensors or PyTorch file; where absent, seeded initial values, or what the checkpoint's folder has",
    },
    mode: { type: "string", value: "mode", doc: `run every length by ${FORCED.join(", ")}` },
    "max-length": { type: "string", value: "L", doc: "longest sequence of one run; streams have no end" },
    rate: { type: "string", value: "r", doc: "multiply every step size: 2 for half the sampling rate, 0.5 for twice" },
    dtype: { type: "string", value: "f", doc: "store the weights of products and tables as f32 or f16; f32 where absent" },
    quantize: { type: "string", value: "q", doc: "quantize them to q8 or q4, by groups; products of few inputs stay as --dtype says" },
    vocabulary: { type: "string", value: "n", doc: "tokens that a language model may choose, where rows of its head only pad it" },
    ...checkpointDocs,
    seed: { type: "string", value: "n", doc: "seed of initial values; 0 where absent" },
    json: { type: "boolean", doc: "print what was built as JSON" },
  },
  run: async (given, terminal) => {
    const [path = ""] = given.operands;
    const output = requiredText(given, "output");
    if (output === "") throw new UsageError("--output needs the name of a folder");
    const options = {
      weights: textOf(given, "weights"),
      mode: choiceOf(given, "mode", FORCED),
      maxLength: countOf(given, "max-length"),
      seed: countOf(given, "seed", 0),
      rate: factorOf(given, "rate"),
      vocabulary: countOf(given, "vocabulary"),
      checkpoint: await checkpointOf(path, given),
      ...weightOptions(given),
    };
    const built = await buildBundle(path, output, options, terminal);
    terminal.out(given.values["json"] === true ? `${JSON.stringify(built, undefined, 2)}\n` : await summaryOf(built));
    return 0;
  },
};

/** What was built. Units: bytes, milliseconds. */
interface Built {
  readonly name: string;
  readonly output: string;
  readonly modes: readonly string[];
  readonly weightBytes: number;
  /** What packing the weights changed, where they are packed. */
  readonly weights?: WeightReport;
  readonly milliseconds: BuiltModel["times"] & { readonly pack: number; readonly total: number };
}

async function buildBundle(path: string, output: string, options: BuildOptions, terminal: Terminal): Promise<Built> {
  const [{ compileModel, writeBundle }, { progressOn }] = await Promise.all([import("../../build.ts"), import("../progress.ts")]);
  const progress = progressOn(terminal);
  try {
    const start = performance.now();
    const { compiled, times, tokenizer } = await compileModel(path, { ...options, onStage: progress.show });
    progress.show("packing");
    const packing = performance.now();
    await writeBundle(compiled, output, tokenizer);
    const end = performance.now();
    progress.clear();
    compiled.warnings.forEach((warning) => terminal.err(`warning: ${warning}\n`));
    const { name, modes, shards, weights } = compiled.manifest;
    const weightBytes = shards.reduce((sum, { bytes }) => sum + bytes, 0);
    const packed = weights === undefined ? {} : { weights };
    return { name, output, modes, weightBytes, ...packed, milliseconds: { ...times, pack: end - packing, total: end - start } };
  } finally {
    progress.clear();
  }
}

async function summaryOf({ name, output, modes, weightBytes, weights, milliseconds }: Built): Promise<string> {
  const [{ formatBytes }, { reportText }] = await Promise.all([import("../table.ts"), import("../../passes/quantize.ts")]);
  const seconds = (time: number): string => `${(time / 1000).toFixed(1)} s`;
  const took = `${seconds(milliseconds.total)} (${seconds(milliseconds.typecheck)} TypeScript)`;
  return `${name}: ${modes.join(", ")}; ${formatBytes(weightBytes)} of weights; ${took}; in ${output}\n${weights === undefined ? "" : `${reportText(weights)}\n`}`;
}
