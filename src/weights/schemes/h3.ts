/** Checkpoints of H3: its diagonal kernel is one of version 3 of S4 under a name of its own, and so is its shift kernel. */
import { kernelRules, olderParameter } from "../older-s4.ts";
import type { ParamSpec, Scheme, Stored } from "../scheme.ts";
import { as, counts, type Held, leafOf, prefixOf, s4Options, s4Untold } from "../sources.ts";

/** `a.ssm_k_kernel.C` `[D N]` is `a.ssm_k_kernel.kernel.C` `[1 D N]`. */
function stored(param: ParamSpec, held: Held): Stored {
  const { name, shape } = param;
  if (!/(^|\.)ssm_k_kernel\.[BC]$/.test(name)) return olderParameter(param, held, kernelRules);
  return as(`${prefixOf(name)}kernel.${leafOf(name)}`, shape, [1, ...shape], ...(shape[0] === 1 ? [shape.slice(1)] : []));
}

export const h3: Scheme = {
  name: "h3",
  doc: "q_proj, k_proj, v_proj, output_linear, ssm_k_kernel.kernel.{B, C}, ssm_k_D, kernel.kernel.{C, B, inv_A_real, A_imag, log_dt}, D.",
  source: "HazyResearch/H3, src/models/ssm/h3.py",
  stored,
  ignores: counts,
  options: [{ tensors: /(^|\.)ssm_k_/, names: "state, headDim" }, { tensors: /(^|\.)[qkv]_proj\./, names: "headDim" }, ...s4Options],
  untold: ["headDim", ...s4Untold],
};
