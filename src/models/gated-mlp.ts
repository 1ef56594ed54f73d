/** The gated multilayer perceptron between mixers. */
import { linear } from "../dsl/layers.ts";
import { mul, silu } from "../dsl/pointwise.ts";
import { split } from "../dsl/shape.ts";
import type { Seq, Tensor } from "../dsl/tensor.ts";
import { scope, type Named } from "../dsl/trace.ts";

/** Options of `gatedMlp`. */
export interface GatedMlpOptions extends Named {
  /** Channels between the two maps. */
  readonly hidden: number;
  /** Whether the maps have biases; they have none unless this is true. */
  readonly bias?: boolean;
}

/**
 * W2 (a silu(g)), where a and g are the halves of W1 x.
 * Shapes: `fc1.weight` `[2*hidden H]`, `fc2.weight` `[H hidden]`, with `bias` `fc1.bias` `[2*hidden]`, `fc2.bias` `[H]`.
 * Source: Shazeer 2020 (2002.05202), section 2; names of state-spaces/mamba, mamba_ssm/modules/mlp.py.
 */
export function gatedMlp<H extends number>(x: Tensor<Seq<H>>, { hidden, bias = false, name = "" }: GatedMlpOptions): Tensor<Seq<H>> {
  return scope(name, () => {
    const [value, gate] = split(linear(x, { width: 2 * hidden, bias, name: "fc1" }), [hidden, hidden]);
    return linear(mul(value, silu(gate)), { width: x.shape.H, bias, name: "fc2" });
  });
}
