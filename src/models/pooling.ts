/** Poolings of backbones: fewer steps on the way down, and the steps back on the way up, one block later. */
import { linear, type LinearOptions } from "../dsl/layers.ts";
import { add, mul } from "../dsl/pointwise.ts";
import { lowpass, ofWidth, pack, repeat, sample, unpack } from "../dsl/shape.ts";
import type { AnyTensor, Blocks, Packed, Sampled, Sequence, Tensor, Unpacked, WithWidth } from "../dsl/tensor.ts";
import { fail, scope, type Named } from "../dsl/trace.ts";

/** A sequence whose rate and channels are data, so that the type checker knows neither. */
export type Tier = Tensor<Sequence>;

/**
 * What becomes of every `by` steps: `sample`: their first; `average`: their mean, with an `expand` a linear map of it;
 * `linear`: a linear map of all their channels; `spectral`: of all steps together the lowest frequencies, which needs whole sequences.
 */
export type PoolKind = "sample" | "average" | "linear" | "spectral";

/** A pooling as data. */
export interface Pooling {
  readonly kind: PoolKind;
  /** Steps that become one. */
  readonly by: number;
  /** How many times as many channels the result has, each side by side `expand` times where no map makes them; 1 where absent. */
  readonly expand?: number;
}

/**
 * The pooling of that kind.
 * Shapes: `linear.weight` `[expand H, H]` (`average`), `[expand H, H by]` (`linear`), `linear.bias` `[expand H]`.
 * Throws: CompileError `bad-width`.
 * Source: state-spaces/s4, src/models/sequence/modules/pool.py, without its layers that come back up. Its spectral pooling takes the inverse
 * transform where the forward one belongs, so that time runs backwards and all is smaller by the steps that are left; of an odd number of
 * steps its negative frequencies are one off.
 */
export function downsample<S extends Sequence>(x: Tensor<S>, { kind, by, expand }: Pooling, { name = "" }: Named = {}): Tier {
  const times = expand ?? 1;
  if (!Number.isInteger(times) || times < 1) fail("bad-width", `an expand of ${times}`, "give a whole number, at least 1");
  const width = times * x.shape.H;
  return scope(name, (): AnyTensor => {
    switch (kind) {
      case "sample":
        return repeated(sample(x, by), times);
      case "average": {
        const mean = averagePool(x, by);
        return expand === undefined ? mean : linear(mean, { width, name: "linear" });
      }
      case "linear":
        return linearPool(x, { by, width, name: "linear" });
      case "spectral":
        return repeated(lowpass(x, by), times);
    }
  }) as Tier;
}

/** Every channel `times` times. */
const repeated = <S extends Sequence>(x: Tensor<S>, times: number): AnyTensor => (times === 1 ? x : repeat(x, 1, times));

/**
 * The mean of every `by` steps.
 * Source: state-spaces/s4, models/sequence/backbones/pool.py, `pool`.
 */
export function averagePool<S extends Sequence, const P extends number>(x: Tensor<S>, by: P): Tensor<Sampled<S, P>> {
  let sum = sample(x, by);
  for (let offset = 1; offset < by; offset++) sum = add(sum, sample(x, by, offset));
  return mul(sum, 1 / by);
}

/** Options of `linearPool` and `linearUnpool`. */
export interface LinearPoolOptions<P extends number, W extends number> extends LinearOptions<W> {
  /** Steps that become one, or that one becomes. */
  readonly by: P;
}

/**
 * A linear map of all channels of every `by` steps, read as channel h by + s.
 * Shapes: `weight` `[width, H by]`, `bias` `[width]`.
 * Source: Goel et al. 2022 (2202.09729), section 4.2; state-spaces/s4, models/sequence/backbones/pool.py, `linear`.
 */
export function linearPool<S extends Sequence, const P extends number, const W extends number>(
  x: Tensor<S>,
  { by, ...options }: LinearPoolOptions<P, W>,
): Tensor<WithWidth<Packed<S, P>, W>> {
  return linear(pack(x, by), options);
}

/**
 * A linear map to the channels of `by` steps, which come one block later.
 * Shapes: `weight` `[width by, H]`, `bias` `[width by]`.
 * Source: Goel et al. 2022 (2202.09729), section 4.2.
 */
export function linearUnpool<S extends Blocks<P>, const P extends number, const W extends number>(
  x: Tensor<S>,
  { by, width, ...options }: LinearPoolOptions<P, W>,
): Tensor<WithWidth<Unpacked<S, P>, W>> {
  const wide = linear(x, { ...options, width: width * by });
  return ofWidth(unpack(wide as unknown as Tensor<S>, by), width);
}
