/** Checkpoints of Mamba 1, 2 and 3 and Falcon-Mamba, in the naming of state-spaces/mamba and in that of transformers. */
import type { ParamSpec, Scheme, Stored } from "../scheme.ts";
import { as, firstHeld, type Held } from "../sources.ts";

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

/** What Mamba-3 has for every head, rank and channel; the model's ranks come before its heads. */
const RANKED = /(^|\.)(B_bias|C_bias|mimo_[xzo])$/;

function stored({ name, shape }: ParamSpec, held: Held): Stored {
  const found = firstHeld(namesOf(name), held);
  const [heads = 0, ranks = 0, width = 0, ...more] = held.get(found)?.shape ?? [];
  if (!RANKED.test(name) || more.length > 0 || heads * ranks * width !== shape[0]) return as(found, ...shapesOf(name, shape));
  return { from: [{ name: found }], make: (tensor) => rankFirst(tensor(0).data, heads, ranks, width) };
}

/** [heads ranks width] to [ranks heads width]. */
function rankFirst(values: Float64Array, heads: number, ranks: number, width: number): Float64Array {
  const at = (i: number): number => {
    const [rank, head] = [Math.floor(i / (heads * width)), Math.floor(i / width) % heads];
    return values[(head * ranks + rank) * width + (i % width)] ?? NaN;
  };
  return values.map((_, i) => at(i));
}

export const mamba: Scheme = {
  name: "mamba",
  doc: "backbone.{embedding or embeddings, layers.i.{norm, mixer.*, norm2, mlp.*}, norm_f}, lm_head, of every Mamba and Falcon-Mamba.",
  source: "state-spaces/mamba, mamba_ssm/models/mixer_seq_simple.py; huggingface/transformers, models/mamba, mamba2, falcon_mamba",
  stored,
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
