/** Checkpoints of `S4Model` in the S4 repository's example.py, stacked from the minimal S4D or from S4 blocks of version 4. */
import type { Scheme } from "../scheme.ts";
import { counts, s4Options, s4Untold, torchParameter } from "../sources.ts";

export const s4model: Scheme = {
  name: "s4model",
  doc: "encoder, s4_layers.i (minimal S4D: D, kernel.*, output_linear.0.*; or S4 blocks of version 4), norms.i, decoder.",
  source: "state-spaces/s4, example.py and models/s4/s4d.py",
  stored: torchParameter,
  ignores: counts,
  options: s4Options,
  untold: ["prenorm", ...s4Untold],
};
