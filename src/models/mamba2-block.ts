/** The Mamba-2 block: heads of one decay each, and a gated norm behind them. */
import { conv, linear, rmsNorm } from "../dsl/layers.ts";
import { mul, silu } from "../dsl/pointwise.ts";
import { ssd } from "../dsl/selective.ts";
import { concat, split } from "../dsl/shape.ts";
import type { Seq, Tensor } from "../dsl/tensor.ts";
import { scope, type Named } from "../dsl/trace.ts";
import { stepSize } from "./step-size.ts";

/** Options of `mamba2Block`. */
export interface Mamba2BlockOptions extends Named {
  /** Channels inside; twice those outside where absent. */
  readonly inner?: number;
  /** Of those, the channels of the state space model; all where absent. The others pass a gated multilayer perceptron beside it. */
  readonly channels?: number;
  /** Channels of a head; 64 where absent. */
  readonly headDim?: number;
  /** Groups of heads that share B and C; 1 where absent. */
  readonly groups?: number;
  /** States of a channel; 128 where absent. */
  readonly state?: number;
  /** Taps of the convolution; 4 where absent. */
  readonly taps?: number;
  /** Whether the maps in and out have biases; they have none unless this is true. */
  readonly bias?: boolean;
  /** Whether the convolution has a bias; it has unless this is false. */
  readonly convBias?: boolean;
  /** Where the norm stands: of the gated output where absent, or of the output before the gate. */
  readonly norm?: "after-gate" | "before-gate" | "none";
  /** What it is over: the channels of each group, as in state-spaces/mamba and where absent, or all, as in transformers. */
  readonly normOver?: "groups" | "whole";
  /** 1e-5 where absent. */
  readonly normEps?: number;
  /** What step sizes are kept within, in every mode; above 0 where absent. */
  readonly deltaLimits?: readonly [low: number, high: number];
  /** One D a head, which is so where absent, or one a channel. */
  readonly skip?: "head" | "channel";
}

/**
 * The mixer of Mamba-2: [x B C] = silu(conv(..)), SSD on x, a gated norm.
 * Shapes, for D inner channels, S of the state space model in S / headDim heads, N states, G groups: `in_proj.weight`
 * `[2D+2GN+heads H]`, whose rows are [mlp gate and value, z, x B C, dt]; `conv1d.weight` `[S+2GN K]`, `.bias`; `dt_bias`, `A_log` `[heads]`;
 * `D` `[heads]` or `[S]`; `norm.weight` `[S]`; `out_proj.weight` `[H D]`; with `bias` those of `in_proj` and `out_proj`; the scheme `mamba`.
 * Source: Dao and Gu 2024 (2405.21060), section 7; names of state-spaces/mamba, mamba_ssm/modules/mamba2.py.
 */
export function mamba2Block<H extends number>(x: Tensor<Seq<H>>, { name = "", ...options }: Mamba2BlockOptions = {}): Tensor<Seq<H>> {
  const width = x.shape.H;
  const { inner = 2 * width, channels = inner, headDim = 64, groups = 1, state = 128, bias = false, skip = "head" } = options;
  const heads = channels / headDim;
  const beside = inner - channels;
  const mixed = channels + 2 * groups * state;
  return scope(name, () => {
    const projected = linear(x, { width: 2 * beside + channels + mixed + heads, bias, name: "in_proj" });
    const [mlp, own] = beside === 0 ? [undefined, projected] : split(projected, [2 * beside, channels + mixed + heads]);
    const [gate, input, delta] = split(own, [channels, mixed, heads]);
    const both = silu(conv(input, { width: options.taps ?? 4, bias: options.convBias ?? true, name: "conv1d" }));
    const [u, B, C] = split(both, [channels, groups * state, groups * state]);
    const dt = stepSize(delta, options.deltaLimits);
    const y = gated(ssd(u, { heads, dt, B, C, groups, skip, name: "" }), gate, options);
    return linear(mlp === undefined ? y : concat(gatedHalf(mlp, beside), y), { width, bias, name: "out_proj" });
  });
}

/** silu of the first half times the second. */
function gatedHalf(x: Tensor<Seq<number>>, width: number): Tensor<Seq<number>> {
  const [gate, value] = split(x, [width, width]);
  return mul(silu(gate), value);
}

function gated(y: Tensor<Seq<number>>, gate: Tensor<Seq<number>>, options: Mamba2BlockOptions): Tensor<Seq<number>> {
  const { norm = "after-gate", normOver = "groups", groups = 1, normEps: eps = 1e-5 } = options;
  const normed = (z: typeof y): typeof y => rmsNorm(z, { name: "norm", eps, groups: normOver === "groups" ? groups : 1 });
  switch (norm) {
    case "after-gate":
      return normed(mul(y, silu(gate)));
    case "before-gate":
      return mul(normed(y), silu(gate));
    case "none":
      return mul(y, silu(gate));
  }
}
