/** The classifier of the S4 repository's example.py and the layer it stacks. */
import { glu, layerNorm, linear } from "../dsl/layers.ts";
import { add, gelu } from "../dsl/pointwise.ts";
import { mean } from "../dsl/shape.ts";
import { s4d, type S4dOptions } from "../dsl/ssm.ts";
import type { Seq, Tensor, Vec } from "../dsl/tensor.ts";
import { scope, type Named } from "../dsl/trace.ts";

/** Options of `s4dBlock`: those of its `s4d`. */
export type S4dBlockOptions = S4dOptions;

/**
 * The minimal S4D layer: S4D, GELU, and a gated linear map of the channels.
 * Shapes: `D`, `kernel.*` of `s4d`; `output_linear.weight` `[2H H]`, `output_linear.bias` `[2H]`.
 * Source: state-spaces/s4, models/s4/s4d.py.
 */
export function s4dBlock<H extends number>(x: Tensor<Seq<H>>, { name = "", ...options }: S4dBlockOptions = {}): Tensor<Seq<H>> {
  return scope(name, () => glu(gelu(s4d(x, { ...options, name: "" })), { width: x.shape.H, name: "output_linear" }));
}

/** Options of `s4Model`. */
export interface S4ModelOptions<W extends number, O extends number> extends Named {
  /** Channels of the residual stream. */
  readonly width: W;
  /** Numbers it gives, such as the classes. */
  readonly outputs: O;
  readonly layers: number;
  /** What is stacked; `s4dBlock` where absent. Its parameters are named behind `s4_layers.<i>`. */
  readonly layer?: (x: Tensor<Seq<W>>, index: number) => Tensor<Seq<W>>;
  /** Whether the norm stands before each layer instead of behind each residual sum. */
  readonly prenorm?: boolean;
}

/**
 * A linear encoder, residual layers with layer norms, the mean over time, a linear decoder; no norm at the end.
 * Shapes: u `[L I]` to `[outputs]`; `encoder.*`, `s4_layers.<i>.*`, `norms.<i>.*`, `decoder.*`: the scheme `s4model`.
 * Source: state-spaces/s4, example.py.
 */
export function s4Model<I extends number, const W extends number, const O extends number>(
  u: Tensor<Seq<I>>,
  { width, outputs, layers, layer = (x) => s4dBlock(x), prenorm = false, name = "" }: S4ModelOptions<W, O>,
): Tensor<Vec<O>> {
  return scope(name, () => {
    let x: Tensor<Seq<W>> = linear(u, { width, name: "encoder" });
    for (let i = 0; i < layers; i++) {
      const norm = { name: `norms.${i}` };
      const z = prenorm ? layerNorm(x, norm) : x;
      const y = add(
        x,
        scope(`s4_layers.${i}`, () => layer(z, i)),
      );
      x = prenorm ? y : layerNorm(y, norm);
    }
    return linear(mean(x), { width: outputs, name: "decoder" });
  });
}
