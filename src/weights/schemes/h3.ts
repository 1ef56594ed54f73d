/** Checkpoints of H3: its diagonal kernel is one of version 3 of S4 under a name of its own, and so is its shift kernel. */
import { kernelRules, olderParameter } from "../older-s4.ts";
import type { ParamSpec, Scheme, Stored } from "../scheme.ts";
import { as, counts, type Held, s4Options, s4Untold } from "../sources.ts";

/** The shift layer is called `ssm_k` (or `ssm_k_kernel`), with `kernel.B`, `kernel.C` and `D`. */
const SHIFT = /^(.*\.)?ssm_k(?:_kernel)?\.(?:kernel\.([BC])|(D))$/;

function stored(param: ParamSpec, held: Held): Stored {
  const { name, shape } = param;
  // The block `h3` keeps the names of the checkpoint.
  if (held.has(name)) return as(name, shape, ...(shape[0] === 1 ? [shape.slice(1)] : []));
  const [found, prefix = "", matrix, skip] = SHIFT.exec(name) ?? [];
  if (found === undefined) return olderParameter(param, held, kernelRules);
  if (skip !== undefined) return as(`${prefix}ssm_k_D`, shape);
  return as(`${prefix}ssm_k_kernel.kernel.${matrix}`, shape, [1, ...shape]);
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
