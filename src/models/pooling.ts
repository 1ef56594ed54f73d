/** Poolings of backbones: fewer steps on the way down, and the steps back on the way up, one block later. */
import { linear, type LinearOptions } from "../dsl/layers.ts";
import { add, mul } from "../dsl/pointwise.ts";
import { ofWidth, pack, sample, unpack } from "../dsl/shape.ts";
import type { Blocks, Packed, Sampled, Sequence, Tensor, Unpacked, WithWidth } from "../dsl/tensor.ts";

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
