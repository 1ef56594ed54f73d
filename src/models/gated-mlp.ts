/** The gated multilayer perceptron between mixers. */
import { linear } from "../dsl/layers.ts";
import { mul } from "../dsl/pointwise.ts";
import { split } from "../dsl/shape.ts";
import type { Seq, Tensor } from "../dsl/tensor.ts";
import { scope, type Named } from "../dsl/trace.ts";
import { activate, type Activation } from "./activation.ts";

/** Options of `gatedMlp`. */
export interface GatedMlpOptions extends Named {
  /** Channels between the two maps. */
  readonly hidden: number;
  /** Whether the maps have biases; they have none unless this is true. */
  readonly bias?: boolean;
  /** Of the gate; `silu` where absent. */
  readonly activation?: Activation;
  /** Whether value and gate have maps of their own, under the names of Llama's and Jamba's, instead of one. */
  readonly separate?: boolean;
}

/**
 * W2 (a silu(g)), or another activation of g, where a and g are the halves of W1 x.
 * Shapes: `fc1.weight` `[2*hidden H]`, `fc2.weight` `[H hidden]`, with `bias` `fc1.bias` `[2*hidden]`, `fc2.bias` `[H]`; where `separate`,
 * `up_proj`, `gate_proj` `[hidden H]`, `down_proj` `[H hidden]`.
 * Source: Shazeer 2020 (2002.05202), section 2; names of state-spaces/mamba, mamba_ssm/modules/mlp.py, and of Hugging Face's Llama.
 */
export function gatedMlp<H extends number>(
  x: Tensor<Seq<H>>,
  { hidden, bias = false, activation = "silu", separate = false, name = "" }: GatedMlpOptions,
): Tensor<Seq<H>> {
  return scope(name, () => {
    const map = (layer: string, width: number): Tensor<Seq<number>> => linear(x, { width, bias, name: layer });
    const [value, gate] = separate ? [map("up_proj", hidden), map("gate_proj", hidden)] : split(map("fc1", 2 * hidden), [hidden, hidden]);
    return linear(mul(value, activate(gate, activation)), { width: x.shape.H, bias, name: separate ? "down_proj" : "fc2" });
  });
}
