/** Stacks of residual blocks around any layer, and what reads numbers off their end. */
import { linear } from "../dsl/layers.ts";
import { concat, first, firstSteps, last, lastSteps, mean } from "../dsl/shape.ts";
import { hippoLegs } from "../dsl/hippo.ts";
import { mat } from "../dsl/entries.ts";
import { ssm } from "../dsl/ssm.ts";
import type { AnyTensor, Channels, Pooled, Seq, Sequence, Tensor, Vec } from "../dsl/tensor.ts";
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

/** What a `sequenceDecoder` decodes: the last step, the first, the mean of all steps so far, or their sum. */
export type DecoderMode = "last" | "first" | "pool" | "sum";

/** Options of `sequenceDecoder`. */
export interface SequenceDecoderOptions<O extends number, K extends number = number> extends Named {
  readonly outputs: O;
  /** `last` where absent. */
  readonly mode?: DecoderMode;
  /** Steps that are decoded: the last ones, in mode `first` the first; 1 where absent. The published `l_output`. */
  readonly steps?: K;
}

/**
 * A linear map of one step of a sequence, or of several side by side in the order of time: output o of the i-th is channel
 * i outputs + o. Of a mean or a sum, those of all steps up to each of the last. A stream decodes what it has read so far, after
 * every push: its last steps move on with it, and of its first ones those to come are 0, as are all that a sequence is too short for.
 * Shapes: `output_transform.weight` `[outputs H]`, `output_transform.bias` `[outputs]`.
 * Throws: CompileError `shape-mismatch`.
 * Source: state-spaces/s4, src/tasks/decoders.py, whose means of several steps are divided by counts of channels instead of steps.
 */
export function sequenceDecoder<S extends Sequence, const O extends number, const K extends number = 1>(
  x: Tensor<S>,
  { outputs, mode = "last", steps, name = "" }: SequenceDecoderOptions<O, K>,
): Tensor<Vec<K extends 1 ? O : number>> {
  const decode = <T extends Channels>(y: Tensor<T>): AnyTensor => linear(y, { width: outputs, name: "output_transform" });
  const decoded = scope(name, () => {
    if (steps === undefined || steps === 1) return decode(one(x, mode));
    const all = decode(upToEach(x, mode) as Inner) as Inner;
    return mode === "first" ? firstSteps(all, steps) : lastSteps(all, steps);
  });
  return decoded as Tensor<Vec<K extends 1 ? O : number>>;
}

/** The sum of all steps so far: a state that keeps what it has. */
const runningSum = ssm("sum", { state: 1 }, () => ({ A: mat([[0]]), B: mat([[1]]), C: mat([[1]]) }));

function one<S extends Sequence>(x: Tensor<S>, mode: DecoderMode): Tensor<Pooled<S>> {
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

/** What the mode says of the steps up to each. */
function upToEach<S extends Sequence>(x: Tensor<S>, mode: DecoderMode): AnyTensor {
  switch (mode) {
    case "last":
    case "first":
      return x;
    case "pool":
      // m_k = m_{k-1} + (x_k - m_{k-1}) / k: the memory of one coefficient, by forward Euler.
      return hippoLegs(x, { state: 1, alpha: 0 });
    case "sum":
      return runningSum(x);
  }
}
