/** Checkpoints of S4 of version 3 (2022): also of SaShiMi and of the language models published before 2023. */
import { kernelRules, olderParameter } from "../older-s4.ts";
import type { Scheme } from "../scheme.ts";
import { counts, s4Options, s4Untold } from "../sources.ts";

export const s4v3: Scheme = {
  name: "s4-v3",
  doc: "D and kernel.kernel.{log_dt, inv_w_real or log_w_real, w_imag, B, C, P, L} beside output_linear; diagonal: inv_A_real, A_imag.",
  source: "state-spaces/s4, tag v3.0.0, src/models/s4",
  stored: (param, held) => olderParameter(param, held, kernelRules),
  ignores: counts,
  options: s4Options,
  untold: s4Untold,
};
