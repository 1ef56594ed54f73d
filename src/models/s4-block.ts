/** The block that the S4 repository stacks in its backbones. */
import { glu } from "../dsl/layers.ts";
import { gelu } from "../dsl/pointwise.ts";
import { s4, type S4Options } from "../dsl/s4.ts";
import type { Sequence, Tensor } from "../dsl/tensor.ts";
import { scope } from "../dsl/trace.ts";

/** Options of `s4Block`: those of its `s4`, of one output a feature. */
export type S4BlockOptions = S4Options<1>;

/**
 * S4, GELU, and a gated linear map of the channels.
 * Shapes: `layer.*` of `s4`; `output_linear.0.weight` `[2H H]`, `output_linear.0.bias` `[2H]`.
 * Source: state-spaces/s4, models/s4/s4.py, version 4, with its defaults.
 */
export function s4Block<S extends Sequence>(x: Tensor<S>, { name = "", ...options }: S4BlockOptions = {}): Tensor<S> {
  const gated = (): unknown => glu(gelu(s4(x, { ...options, name: "layer" })), { width: x.shape.H, name: "output_linear.0" });
  // As wide as x, which the type of the map cannot say of any S.
  return scope(name, gated) as Tensor<S>;
}
