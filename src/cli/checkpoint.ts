/** The options of commands that take the folder of a published checkpoint: what no file of it says. */
import type { CheckpointOptions } from "../checkpoints/architecture.ts";
import { choiceOf, UsageError, type Given, type OptionDoc } from "./command.ts";

/** By the names of the command line. */
export const checkpointDocs = {
  "a-activation": { type: "string", value: "f", doc: "of a Mamba-3 checkpoint: heavy-tail, which it is where absent, or softplus" },
  "gated-norm": {
    type: "string",
    value: "over",
    doc: "of a Mamba-2 checkpoint: over groups or whole; as its config.json's kind where absent",
  },
} as const satisfies Readonly<Record<string, OptionDoc>>;

/** Throws: UsageError where one is given, and `path` is no checkpoint. */
export async function checkpointOf(path: string, given: Given): Promise<CheckpointOptions | undefined> {
  const name = Object.keys(checkpointDocs).find((option) => given.values[option] !== undefined);
  if (name === undefined) return undefined;
  const { isCheckpoint } = await import("../checkpoints/folder.ts");
  if (!(await isCheckpoint(path))) throw new UsageError(`--${name} needs the folder of a checkpoint: ${path} holds no config.json`);
  return {
    aActivation: choiceOf(given, "a-activation", ["heavy-tail", "softplus"]),
    gatedNorm: choiceOf(given, "gated-norm", ["groups", "whole"]),
  };
}
