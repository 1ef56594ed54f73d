/** Checkpoints of SaShiMi on S4 of version 4: its poolings and feed-forward layers are convolutions of width 1, perhaps weight-normed. */
import type { Scheme } from "../scheme.ts";
import { counts, s4Options, s4Untold, torchParameter } from "../sources.ts";

export const sashimi: Scheme = {
  name: "sashimi",
  doc: "d_layers.i, c_layers.i, u_layers.b.i with linear, layer.ff.{0.0, 2}, norm, and S4 blocks of version 4.",
  source: "state-spaces/s4, models/sashimi/sashimi.py",
  stored: torchParameter,
  ignores: counts,
  options: [
    { tensors: /(^|\.)[duc]_layers\..*\bff\./, names: "feedForward" },
    { tensors: /(^|\.)[du]_layers\..*linear\./, names: "pool, expand, unet" },
    ...s4Options,
  ],
  untold: s4Untold,
};
