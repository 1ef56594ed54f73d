/** Stacks of residual blocks around any layer, and what reads numbers off their end. */
import { linear } from "../dsl/layers.ts";
import { concat, first, last, mean } from "../dsl/shape.ts";
import { mat } from "../dsl/entries.ts";
import { ssm } from "../dsl/ssm.ts";
import type { Seq, Tensor, Vec } from "../dsl/tensor.ts";
import { scope, type Named } from "../dsl/trace.ts";
import { normalize, type NormKind } from "./norm.ts";
import { joinResidual, type ResidualKind } from "./residual.ts";

/** A layer that keeps the width; its parameters are named behind the block's. */
export type BlockLayer<W extends number> = (x: Tensor<Seq<W>>, index: number) => Tensor<Seq<W>>;

/** Options of `residualBlock`. */
export interface ResidualBlockOptions<W extends number> extends Named {
  readonly layer: BlockLayer<W>;
  /** `layer` where absent. */
  readonly norm?: NormKind;
  /** Whether the norm stands before the layer, instead of behind the join; it does unless this is false. */
  readonly prenorm?: boolean;
  /** `residual` where absent. */
  readonly residual?: ResidualKind;
  /**
   * A second layer, `reverse_layer`, beside the first, and a linear map `bidirectional_linear` of both to the width. It gets
   * the same sequence as the first, as published; a layer that reads backwards has `reverse` in it.
   */
  readonly reverseLayer?: BlockLayer<W>;
}

/**
 * norm, layer, join with the input; or layer, join, norm.
 * Shapes: `norm.norm.*`, `layer.*`, `residual.*`, `reverse_layer.*`, `bidirectional_linear.weight` `[W 2W]`, `bias` `[W]`.
 * Source: state-spaces/s4, src/models/sequence/backbones/block.py.
 */
export function residualBlock<W extends number>(
  x: Tensor<Seq<W>>,
  { layer, norm = "layer", prenorm = true, residual = "residual", reverseLayer, name = "" }: ResidualBlockOptions<W>,
  index = 0,
): Tensor<Seq<W>> {
  return scope(name, () => {
    const normed = (input: Tensor<Seq<W>>): Tensor<Seq<W>> => normalize(input, norm, { name: "norm.norm" });
    const z = prenorm ? normed(x) : x;
    let y = scope("layer", () => layer(z, index));
    if (reverseLayer !== undefined) {
      const other = scope("reverse_layer", () => reverseLayer(z, index));
      y = linear(concat(y, other), { width: x.shape.H, name: "bidirectional_linear" });
    }
    const joined = joinResidual(x, y, residual, index + 1);
    return prenorm ? joined : normed(joined);
  });
}

/** Options of `sequenceModel`. */
export interface SequenceModelOptions<W extends number> extends ResidualBlockOptions<W> {
  /** How many blocks. */
  readonly layers: number;
}

/**
 * Residual blocks, and one norm more at the end where each stands before its layer.
 * Shapes: `layers.<i>.*` of `residualBlock`, `norm.norm.*`.
 * Source: state-spaces/s4, src/models/sequence/backbones/model.py.
 */
export function sequenceModel<W extends number>(x: Tensor<Seq<W>>, options: SequenceModelOptions<W>): Tensor<Seq<W>> {
  const { layers, name = "", norm = "layer", prenorm = true } = options;
  return scope(name, () => {
    let y = x;
    for (let i = 0; i < layers; i++) y = residualBlock(y, { ...options, name: `layers.${i}` }, i);
    return prenorm ? normalize(y, norm, { name: "norm.norm" }) : y;
  });
}

/** Options of `sequenceDecoder`. */
export interface SequenceDecoderOptions<O extends number> extends Named {
  readonly outputs: O;
  /** What is decoded: the last step (where absent), the first, the mean of all, or their sum. */
  readonly mode?: "last" | "first" | "pool" | "sum";
}

/**
 * One vector for a sequence, and a linear map of it.
 * Shapes: `output_transform.weight` `[outputs H]`, `output_transform.bias` `[outputs]`.
 * Source: state-spaces/s4, src/tasks/decoders.py, of one step.
 */
export function sequenceDecoder<H extends number, const O extends number>(
  x: Tensor<Seq<H>>,
  { outputs, mode = "last", name = "" }: SequenceDecoderOptions<O>,
): Tensor<Vec<O>> {
  return scope(name, () => linear(restricted(x, mode), { width: outputs, name: "output_transform" }));
}

/** The sum of all steps so far: a state that keeps what it has. */
const runningSum = ssm("sum", { state: 1 }, () => ({ A: mat([[0]]), B: mat([[1]]), C: mat([[1]]) }));

function restricted<H extends number>(x: Tensor<Seq<H>>, mode: "last" | "first" | "pool" | "sum"): Tensor<Vec<H>> {
  switch (mode) {
    case "last":
      return last(x);
    case "first":
      return first(x);
    case "pool":
      return mean(x);
    case "sum":
      return last(runningSum(x));
  }
}
