/** Stacks of residual blocks around any layer, and what reads numbers off their end. */
import { linear } from "../dsl/layers.ts";
import { concat, first, last, mean } from "../dsl/shape.ts";
import { mat } from "../dsl/entries.ts";
import { ssm } from "../dsl/ssm.ts";
import type { AnyTensor, Pooled, Seq, Sequence, Tensor, Vec } from "../dsl/tensor.ts";
import { scope, type Named } from "../dsl/trace.ts";
import { normalize, type NormKind } from "./norm.ts";
import { downsample, type Pooling, type Tier } from "./pooling.ts";
import { joinResidual, type ResidualKind } from "./residual.ts";

/** A layer that keeps the width; its parameters are named behind the block's. */
export type BlockLayer<W extends number> = (x: Tensor<Seq<W>>, index: number) => Tensor<Seq<W>>;
/** A layer that keeps the width, whichever it is, at any rate. */
export type TierLayer = (x: Tier, index: number) => Tier;
/** `undefined`, or a pooling that leaves another rate and width behind it. */
type MaybePooling = Pooling | undefined;

/** Options of a block around the layer `Layer`. */
interface BlockOptions<Layer, P extends MaybePooling> extends Named {
  readonly layer: Layer;
  /** Behind the join, of the layer's part and the skipped one together; none where absent. */
  readonly pool?: P;
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
  readonly reverseLayer?: Layer;
}

/** Options of `residualBlock`. */
export type ResidualBlockOptions<W extends number, P extends MaybePooling = undefined> = BlockOptions<BlockLayer<W>, P>;

/** A sequence inside of blocks, whose types are those of their ends: only a pooling has another rate or width behind it. */
type Inner = Tensor<Seq<number>>;
type InnerOptions = BlockOptions<BlockLayer<number>, MaybePooling>;
/** What is behind blocks of `W` channels. */
type Behind<W extends number, P extends MaybePooling> = P extends Pooling ? Sequence : Seq<W>;

/**
 * norm, layer, join with the input, pooling; or layer, join, norm, pooling.
 * Shapes: `norm.norm.*`, `layer.*`, `residual.*`, `reverse_layer.*`, `bidirectional_linear.weight` `[W 2W]`, `bias` `[W]`, `pool.*`
 * of `downsample`.
 * Throws: CompileError `bad-width`.
 * Source: state-spaces/s4, src/models/sequence/backbones/block.py.
 */
export function residualBlock<W extends number, const P extends MaybePooling = undefined>(
  x: Tensor<Seq<W>>,
  options: ResidualBlockOptions<W, P>,
  index = 0,
): Tensor<Behind<W, P>> {
  return block(x as AnyTensor as Inner, options as object as InnerOptions, index) as AnyTensor as Tensor<Behind<W, P>>;
}

function block(
  x: Inner,
  { layer, norm = "layer", prenorm = true, residual = "residual", reverseLayer, pool, name = "" }: InnerOptions,
  index: number,
): Inner {
  return scope(name, () => {
    const normed = (input: Inner): Inner => normalize(input, norm, { name: "norm.norm" });
    const z = prenorm ? normed(x) : x;
    let y = scope("layer", () => layer(z, index));
    if (reverseLayer !== undefined) {
      const other = scope("reverse_layer", () => reverseLayer(z, index));
      y = linear(concat(y, other), { width: x.shape.H, name: "bidirectional_linear" });
    }
    const joined = joinResidual(x, y, residual, index + 1);
    const whole = prenorm ? joined : normed(joined);
    return pool === undefined ? whole : (downsample(whole, pool, { name: "pool" }) as AnyTensor as Inner);
  });
}

interface Stages {
  /** How many stages. */
  readonly layers: number;
  /** Blocks of a stage, at whose end a pooling stands; 1 where absent. */
  readonly repeat?: number;
}

/** Options of `sequenceModel`: with a pooling its layers read what is behind the poolings before them. */
export type SequenceModelOptions<W extends number, P extends MaybePooling = undefined> = Stages &
  BlockOptions<P extends Pooling ? TierLayer : BlockLayer<W>, P>;

/**
 * Residual blocks, and one norm more at the end where each stands before its layer.
 * Shapes: `layers.<i>.*` of `residualBlock`, `norm.norm.*`.
 * Throws: CompileError `bad-width`.
 * Source: state-spaces/s4, src/models/sequence/backbones/model.py.
 */
export function sequenceModel<W extends number, const P extends MaybePooling = undefined>(
  x: Tensor<Seq<W>>,
  options: SequenceModelOptions<W, P>,
): Tensor<Behind<W, P>> {
  return stack(x as AnyTensor as Inner, options as object as InnerOptions & Stages) as AnyTensor as Tensor<Behind<W, P>>;
}

function stack(x: Inner, options: InnerOptions & Stages): Inner {
  const { layers, repeat = 1, pool, name = "", norm = "layer", prenorm = true } = options;
  return scope(name, () => {
    let y = x;
    for (let i = 0; i < layers * repeat; i++) {
      const own = (i + 1) % repeat === 0 ? pool : undefined;
      y = block(y, { ...options, pool: own, name: `layers.${i}` }, i);
    }
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
export function sequenceDecoder<S extends Sequence, const O extends number>(
  x: Tensor<S>,
  { outputs, mode = "last", name = "" }: SequenceDecoderOptions<O>,
): Tensor<Vec<O>> {
  return scope(name, () => linear(restricted(x, mode), { width: outputs, name: "output_transform" }));
}

/** The sum of all steps so far: a state that keeps what it has. */
const runningSum = ssm("sum", { state: 1 }, () => ({ A: mat([[0]]), B: mat([[1]]), C: mat([[1]]) }));

function restricted<S extends Sequence>(x: Tensor<S>, mode: "last" | "first" | "pool" | "sum"): Tensor<Pooled<S>> {
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
