/** The language model around Mamba's mixers: embedding, residual layers, head. */
import { embed, layerNorm, linear, residual, rmsNorm } from "../dsl/layers.ts";
import { add } from "../dsl/pointwise.ts";
import type { Ids, Seq, Tensor } from "../dsl/tensor.ts";
import { scope, type Named } from "../dsl/trace.ts";
import { normal } from "../dsl/init.ts";
import { gatedMlp } from "./gated-mlp.ts";

/** Options of `mambaModel`. */
export interface MambaModelOptions<W extends number> extends Named {
  /** Channels between the layers. */
  readonly width: W;
  readonly layers: number;
  /** The layer's mixer, such as `mambaBlock`; its parameters are named behind `backbone.layers.<index>.mixer`. */
  readonly mixer: (x: Tensor<Seq<W>>, index: number) => Tensor<Seq<W>>;
  /** `rms` where absent. */
  readonly norm?: "rms" | "layer";
  /** Of the norms; 1e-5 where absent. */
  readonly eps?: number;
  /** Channels inside a gated multilayer perceptron after each mixer; there is none where absent. */
  readonly mlp?: number | undefined;
  /** Whether the head is the embedding; it is unless this is false. */
  readonly tied?: boolean;
}

/**
 * Logits of the next id: embedding, `layers` times x + mixer(norm(x)), each followed by x + mlp(norm2(x)) where there is one, a norm
 * and the head.
 * Shapes: `backbone.embedding.weight` `[V W]`; `backbone.layers.<i>.norm`, `.norm2` and `backbone.norm_f`: `weight` (and of a layer norm
 * `bias`) `[W]`; `.mixer.*`; `.mlp.*` of `gatedMlp`; `lm_head.weight` `[V W]` where it is not tied; the scheme `mamba`.
 * Source: Gu and Dao 2023 (2312.00752), section 3.4; state-spaces/mamba, mamba_ssm/models/mixer_seq_simple.py.
 */
export function mambaModel<V extends number, const W extends number>(
  ids: Tensor<Ids<V>>,
  { width, layers, mixer, norm = "rms", eps = 1e-5, mlp, tied = true, name = "" }: MambaModelOptions<W>,
): Tensor<Seq<V>> {
  const normed = (x: Tensor<Seq<W>>, own: string): Tensor<Seq<W>> => (norm === "rms" ? rmsNorm : layerNorm)(x, { name: own, eps });
  return scope(name, () => {
    const y = scope("backbone", () => {
      let x: Tensor<Seq<W>> = embed(ids, { width, name: "embedding", init: normal(0, 0.02) });
      for (let i = 0; i < layers; i++)
        x = scope(`layers.${i}`, () => {
          const z = normed(x, "norm");
          const mixed = add(
            x,
            scope("mixer", () => mixer(z, i)),
          );
          return mlp === undefined ? mixed : residual(mixed, (z) => gatedMlp(normed(z, "norm2"), { hidden: mlp, name: "mlp" }));
        });
      return normed(x, "norm_f");
    });
    const head = { width: ids.shape.V, bias: false } as const;
    return linear(y, tied ? { ...head, tiedTo: "backbone.embedding" } : { ...head, name: "lm_head", init: normal(0, 0.02) });
  });
}
