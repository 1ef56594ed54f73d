/** The layers around S5 and the LRU, which differ in little more than the state space model inside. */
import { layerNorm, linear } from "../dsl/layers.ts";
import { lru, s5, type LruOptions, type S5Options } from "../dsl/mimo.ts";
import { add, geluTanh, mul, sigmoid } from "../dsl/pointwise.ts";
import type { Seq, Tensor } from "../dsl/tensor.ts";
import { scope, type Named } from "../dsl/trace.ts";
import { normalize } from "./norm.ts";

/**
 * What stands behind the state space model, g being GELU (its tanh form): `full_glu` W1 g(y) sigmoid(W2 g(y)); `half_glu1`
 * g(y) sigmoid(W2 g(y)); `half_glu2` y sigmoid(W2 g(y)); `gelu` g(y).
 */
export type GatedActivation = "full_glu" | "half_glu1" | "half_glu2" | "gelu";

/** Options of `s5Layer` and `lruBlock` beyond those of the model inside. */
export interface GatedLayerOptions extends Named {
  /** Where absent: `full_glu`. */
  readonly activation?: GatedActivation;
  /** Whether the norm stands before the state space model instead of behind the sum. */
  readonly prenorm?: boolean;
  /** `layer`, its eps 1e-6, or `batch`, by the statistics of training. */
  readonly norm?: "layer" | "batch";
}

/** Options of `s5Layer`. */
export type S5LayerOptions = GatedLayerOptions & Omit<S5Options, "name">;

/**
 * The residual layer of S5: norm, S5, gate, sum; or S5, gate, sum, norm.
 * Shapes: `norm.*`, `seq.*` of `s5`, `out1`, `out2`: `weight` `[H H]`, `bias` `[H]`; the scheme `s5`.
 * Source: Smith et al. 2023 (2208.04933), appendix G; lindermanlab/S5, s5/layers.py.
 */
export function s5Layer<H extends number>(x: Tensor<Seq<H>>, options: S5LayerOptions = {}): Tensor<Seq<H>> {
  return gatedLayer(x, { norm: "layer", ...options }, (z) => s5(z, { ...options, name: "seq" }));
}

/** Options of `lruBlock`; its norm is `batch` where absent. */
export type LruBlockOptions = GatedLayerOptions & Omit<LruOptions, "name">;

/**
 * The residual block of the LRU: norm, LRU, gate, sum; or LRU, gate, sum, norm.
 * Shapes: `normalization.*`, `seq.*` of `lru`, `out1`, `out2`: `weight` `[H H]`, `bias` `[H]`.
 * Source: Orvieto et al. 2023 (2303.06349), figure 1 and appendix D; names of NicolasZucchet/minimal-LRU.
 */
export function lruBlock<H extends number>(x: Tensor<Seq<H>>, options: LruBlockOptions = {}): Tensor<Seq<H>> {
  return gatedLayer(x, { norm: "batch", ...options }, (z) => lru(z, { ...options, name: "seq" }), "normalization");
}

function gatedLayer<H extends number>(
  x: Tensor<Seq<H>>,
  { activation = "full_glu", prenorm = false, norm, name = "" }: GatedLayerOptions & { readonly norm: "layer" | "batch" },
  ssm: (x: Tensor<Seq<H>>) => Tensor<Seq<H>>,
  normName = "norm",
): Tensor<Seq<H>> {
  const normed = (input: Tensor<Seq<H>>): Tensor<Seq<H>> =>
    norm === "layer" ? layerNorm(input, { name: normName, eps: 1e-6 }) : normalize(input, norm, { name: normName });
  return scope(name, () => {
    const y = ssm(prenorm ? normed(x) : x);
    const sum = add(x, gate(y, activation));
    return prenorm ? sum : normed(sum);
  });
}

function gate<H extends number>(y: Tensor<Seq<H>>, activation: GatedActivation): Tensor<Seq<H>> {
  const width = y.shape.H;
  const g = geluTanh(y);
  const open = (): Tensor<Seq<H>> => sigmoid(linear(g, { width, name: "out2" }));
  switch (activation) {
    case "full_glu":
      return mul(linear(g, { width, name: "out1" }), open());
    case "half_glu1":
      return mul(g, open());
    case "half_glu2":
      return mul(y, open());
    case "gelu":
      return g;
  }
}
