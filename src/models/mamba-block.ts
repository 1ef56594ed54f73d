/** The Mamba block: a causal convolution and a selective state space model between two linear maps, with a gate. */
import { uniform } from "../dsl/init.ts";
import { conv, linear, rmsNorm } from "../dsl/layers.ts";
import { mul, silu, softplus } from "../dsl/pointwise.ts";
import { selective } from "../dsl/selective.ts";
import { split } from "../dsl/shape.ts";
import type { Seq, Tensor } from "../dsl/tensor.ts";
import { scope, type Named } from "../dsl/trace.ts";
import { deltaBias } from "./step-size.ts";

/** Options of `mambaBlock`. */
export interface MambaBlockOptions extends Named {
  /** Channels inside; twice those outside where absent. */
  readonly inner?: number;
  /** States of a channel; 16 where absent. */
  readonly state?: number;
  /** Taps of the convolution; 4 where absent. */
  readonly taps?: number;
  /** Rank of the map to the step sizes; a sixteenth of the channels outside, rounded up, where absent. */
  readonly rank?: number;
  /** Whether the maps in and out have biases; they have none unless this is true. */
  readonly bias?: boolean;
  /** Whether the convolution has a bias; it has unless this is false. */
  readonly convBias?: boolean;
  /** Root mean square norms of the step sizes' source, B and C: `weightless` as in Falcon-Mamba, `learned` as in Jamba. */
  readonly norms?: "none" | "weightless" | "learned";
  /** Of those norms; 1e-6 where absent. */
  readonly normEps?: number;
}

/**
 * The mixer of Mamba: u = silu(conv(x)), S6 on u with dt, B and C that are linear in u, times silu of a gate.
 * Shapes, for D inner channels, N states, R the rank: `in_proj.weight` `[2D H]`, `conv1d.weight` `[D K]`, `.bias` `[D]`, `x_proj.weight`
 * `[R+2N D]`, `dt_proj.weight` `[D R]`, `.bias` `[D]`, `A_log` `[D N]`, `D` `[D]`, `out_proj.weight` `[H D]`; with `bias` those of `in_proj`
 * and `out_proj`; learned norms: `dt_layernorm`, `b_layernorm`, `c_layernorm`; the scheme `mamba`.
 * Source: Gu and Dao 2023 (2312.00752), section 3.4 and algorithm 2; names of state-spaces/mamba.
 */
export function mambaBlock<H extends number>(x: Tensor<Seq<H>>, { name = "", ...options }: MambaBlockOptions = {}): Tensor<Seq<H>> {
  const width = x.shape.H;
  const { inner = 2 * width, state = 16, taps = 4, rank = Math.ceil(width / 16), bias = false, convBias = true } = options;
  return scope(name, () => {
    const [input, gate] = split(linear(x, { width: 2 * inner, bias, name: "in_proj" }), [inner, inner]);
    const u = silu(conv(input, { width: taps, bias: convBias, name: "conv1d" }));
    const [low, B, C] = split(linear(u, { width: rank + 2 * state, bias: false, name: "x_proj" }), [rank, state, state]);
    const source = normed(low, "dt_layernorm", options);
    const dt = softplus(
      linear(source, { width: inner, init: uniform(-(rank ** -0.5), rank ** -0.5), biasInit: deltaBias, name: "dt_proj" }),
    );
    const y = selective(u, { dt, B: normed(B, "b_layernorm", options), C: normed(C, "c_layernorm", options), name: "" });
    return linear(mul(y, silu(gate)), { width, bias, name: "out_proj" });
  });
}

function normed<N extends number>(
  x: Tensor<Seq<N>>,
  name: string,
  { norms = "none", normEps: eps = 1e-6 }: MambaBlockOptions,
): Tensor<Seq<N>> {
  return norms === "none" ? x : rmsNorm(x, { name, eps, affine: norms === "learned" });
}
