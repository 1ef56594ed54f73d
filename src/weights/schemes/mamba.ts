/** Checkpoints of Mamba 1, 2 and 3 and Falcon-Mamba, in the naming of state-spaces/mamba and in that of transformers. */
import type { Scheme } from "../scheme.ts";
import { as, firstHeld } from "../sources.ts";

/** What the parameter may be called: transformers has the embedding in the plural; some files put `model.` in front of everything. */
function namesOf(name: string): readonly string[] {
  const both = [name, name.replace(/(^|\.)embedding\.weight$/, "$1embeddings.weight")];
  return [...both, ...both.map((path) => `model.${path}`)];
}

/** A depthwise convolution of PyTorch has an axis for the one channel that each of its filters reads. */
function shapesOf(name: string, shape: readonly number[]): readonly (readonly number[])[] {
  const [channels = 0, taps = 0] = shape;
  return /(^|\.)conv1d\.weight$/.test(name) ? [[channels, 1, taps], shape] : [shape];
}

export const mamba: Scheme = {
  name: "mamba",
  doc: "backbone.{embedding or embeddings, layers.i.{norm, mixer.*, norm2, mlp.*}, norm_f}, lm_head, of every Mamba and Falcon-Mamba.",
  source: "state-spaces/mamba, mamba_ssm/models/mixer_seq_simple.py; huggingface/transformers, models/mamba, mamba2, falcon_mamba",
  stored: ({ name, shape }, held) => as(firstHeld(namesOf(name), held), ...shapesOf(name, shape)),
  // A head that is tied is the embedding; a state dict of PyTorch repeats it.
  ignores: (name) => /^(model\.)?lm_head\.weight$/.test(name),
  options: [
    { tensors: /(^|\.)(A_log|x_proj\.weight|dt_proj\.\w+)$/, names: "state, expand, rank, heads" },
    { tensors: /(^|\.)(in_proj|out_proj)\./, names: "expand, heads, headDim, groups, state, inner, bias" },
    { tensors: /(^|\.)conv1d\./, names: "taps, convBias, groups, state" },
    { tensors: /(^|\.)mixer\.(norm|D|dt_bias|B_bias|C_bias|mimo_\w)/, names: "heads, headDim, skip, norm, mimoRank" },
    { tensors: /(^|\.)(norm2|mlp)\./, names: "mlp" },
    { tensors: /lm_head\./, names: "tied" },
  ],
  untold: [
    "which groups the gated norm of Mamba-2 is over, and whether it stands before the gate",
    "its limits of dt",
    "the activation of A in Mamba-3",
  ],
};
