/** The attention layer of transformers and of hybrids: projections around `attention`. */
import { arg, call } from "../ir/expr.ts";
import { attention, type AttentionOptions } from "../dsl/attention.ts";
import { constant } from "../dsl/init.ts";
import { linear } from "../dsl/layers.ts";
import { makeTensor, type Seq, type Tensor } from "../dsl/tensor.ts";
import { fail, here, layerName, parameter, scope, trace, valueOf, type Named } from "../dsl/trace.ts";

/** Options of `attentionBlock`; heads, scale, window and rope are those of `attention`. */
export interface AttentionBlockOptions<W extends number> extends Named, AttentionOptions {
  /** Channels of the result; those of x where absent. */
  readonly width?: W;
  /** Channels of a head; those of x over `heads` where absent. */
  readonly headDim?: number;
  /** Whether all four maps have biases, or those to q, k and v; none has one where absent. */
  readonly bias?: boolean | "qkv";
  /** Whether each head of q and k is divided by its root mean square and multiplied by a weight, before it is turned. */
  readonly qkNorm?: boolean;
  /** Of those norms; 1e-6 where absent. */
  readonly eps?: number;
}

/**
 * W_o attention(W_q x, W_k x, W_v x). For a block that Zamba's layers share, x is the hidden state beside the embedding, `width` half
 * its channels, and `scale` (headDim / 2)^-1/2.
 * Shapes, for heads of D channels: `q_proj.weight` `[heads*D H]`, `k_proj`, `v_proj` `[kvHeads*D H]`, `o_proj` `[width heads*D]`, `bias` of
 * each where it has one; `q_norm.weight`, `k_norm.weight` `[D]`.
 * Throws: CompileError `bad-width` where the heads do not divide the width and `headDim` is absent.
 * Source: Vaswani et al. 2017 (1706.03762), 3.2.2; names of Hugging Face's Llama, Jamba, Zamba, Granite and Qwen models.
 */
export function attentionBlock<H extends number, const W extends number = H>(
  x: Tensor<Seq<H>>,
  options: AttentionBlockOptions<W>,
): Tensor<Seq<W>>;
export function attentionBlock(x: Tensor<Seq<number>>, options: AttentionBlockOptions<number>): Tensor<Seq<number>> {
  const { heads, kvHeads = heads, headDim = x.shape.H / heads, width = x.shape.H, bias = false, name = "" } = options;
  if (!Number.isInteger(headDim) || headDim < 1)
    fail("bad-width", `${heads} heads do not divide ${x.shape.H} channels`, "give the channels of a head as `headDim`");
  return scope(name, () => {
    const project = (layer: string, count: number): Tensor<Seq<number>> =>
      linear(x, { width: count * headDim, bias: bias !== false, name: layer });
    const [q, k, v] = [project("q_proj", heads), project("k_proj", kvHeads), project("v_proj", kvHeads)];
    const [qs, ks] = options.qkNorm === true ? [headNorm(q, heads, "q_norm", options), headNorm(k, kvHeads, "k_norm", options)] : [q, k];
    return linear(attention(qs, ks, v, options), { width, bias: bias === true, name: "o_proj" });
  });
}

/** Each head over its root mean square, times one weight for all heads. */
function headNorm(x: Tensor<Seq<number>>, heads: number, name: string, { eps = 1e-6 }: { readonly eps?: number }): Tensor<Seq<number>> {
  const running = trace();
  const { builder } = running;
  const size = x.shape.H / heads;
  const normed = builder.norm(valueOf(x), "rms", eps, here(), heads);
  const weight = parameter(layerName("norm", name), "weight", [{ name: "H", size }], constant(1));
  const all = builder.repeat(weight, size, heads, here());
  return makeTensor(x.shape, builder.map(call("mul", arg(0), arg(1)), [normed, all], here()), running);
}
