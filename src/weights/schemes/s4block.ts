/** Checkpoints of the standalone S4 block, version 4; the names are those of the model's own layers. */
import type { Scheme } from "../scheme.ts";
import { counts, s4Options, s4Untold, torchParameter } from "../sources.ts";

export const s4block: Scheme = {
  name: "s4block",
  doc: "layer.{D, kernel.*} and output_linear.0.* of version 4 of S4, alone or in a backbone of it.",
  source: "state-spaces/s4, models/s4/s4.py",
  stored: torchParameter,
  ignores: counts,
  options: s4Options,
  untold: s4Untold,
};
