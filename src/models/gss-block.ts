/** The block of gated state spaces (GSS). */
import { layerNorm, linear } from "../dsl/layers.ts";
import { add, gelu, mul } from "../dsl/pointwise.ts";
import { gssSsm } from "../dsl/predecessors.ts";
import type { Seq, Tensor } from "../dsl/tensor.ts";
import { scope, type Named } from "../dsl/trace.ts";

/** Options of `gssBlock`. */
export interface GssBlockOptions extends Named {
  /** Poles of the state space model; 512 where absent. */
  readonly state?: number;
  /** Channels of the gate; four times those of x where absent. */
  readonly hidden?: number;
  /** Channels of the state space model; 256 where absent. */
  readonly inner?: number;
}

/**
 * x + W_o (W_g ssm(GELU(W_v n)) GELU(W_u n)), n the layer norm of x; the state space model norms its input once more.
 * Shapes: `norm`, `dss.norm`: `weight`, `bias`; `to_u.0.weight` `[hidden H]`, `to_v.0.weight` `[inner H]`, `dss.*` of `gssSsm`,
 * `to_gate.weight` `[hidden inner]`, `to_out.weight` `[H hidden]`, `to_out.bias` `[H]`.
 * Source: Mehta et al. 2022 (2206.13947), figure 1; names of lucidrains/gated-state-spaces-pytorch.
 */
export function gssBlock<H extends number>(x: Tensor<Seq<H>>, options: GssBlockOptions = {}): Tensor<Seq<H>> {
  const { state = 512, hidden = 4 * x.shape.H, inner = 256, name = "" } = options;
  return scope(name, () => {
    const n = layerNorm(x, { name: "norm" });
    const u = gelu(linear(n, { width: hidden, bias: false, name: "to_u.0" }));
    const v = gelu(linear(n, { width: inner, bias: false, name: "to_v.0" }));
    const y = scope("dss", () => gssSsm(layerNorm(v, { name: "norm" }), { state, name: "" }));
    const gated = mul(linear(y, { width: hidden, bias: false, name: "to_gate" }), u);
    return add(x, linear(gated, { width: x.shape.H, name: "to_out" }));
  });
}
