/** Checkpoints of H3; the names are those of the block `h3`. */
import type { Scheme } from "../scheme.ts";
import { counts, s4Options, torchParameter } from "../sources.ts";

export const h3: Scheme = {
  name: "h3",
  doc: "q_proj, k_proj, v_proj, output_linear, ssm_k_kernel.kernel.{B, C}, ssm_k_D, kernel.kernel.{C, B, inv_A_real, A_imag, log_dt}, D.",
  source: "HazyResearch/H3, src/models/ssm/h3.py",
  stored: torchParameter,
  ignores: counts,
  options: [{ tensors: /(^|\.)(ssm_k_|[qkv]_proj|kernel\.kernel\.)/, names: "state, headDim" }, ...s4Options],
  untold: ["headDim", "the rule the diagonal kernel was discretized by, which is taken to be bilinear"],
};
