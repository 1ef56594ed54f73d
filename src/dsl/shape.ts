/** What changes the dims of a tensor without parameters: pooling over L, split, concat, steps and channels for one another, widths asserted when built. */
import type { PoolNode } from "../ir/graph.ts";
import {
  makeTensor,
  type AnyTensor,
  type Beside,
  type Blocks,
  type Channels,
  type Packed,
  type Pooled,
  type Sampled,
  type Sequence,
  type Tensor,
  type Unpacked,
  type Vec,
  type WithWidth,
} from "./tensor.ts";
import { fail, here, trace, valueOf } from "./trace.ts";

/** `x` made by `value`, of `width` channels. */
export function reshaped<S extends Channels, W extends number>(x: Tensor<S>, width: W, value: number): Tensor<WithWidth<S, W>> {
  return makeTensor({ ...x.shape, H: width } as unknown as WithWidth<S, W>, value, trace());
}

/** A pooling over L; names the dim it removes. */
export type Pool = <S extends Sequence>(x: Tensor<S>, dim?: "L") => Tensor<Pooled<S>>;
const pool =
  (kind: PoolNode["kind"]): Pool =>
  (x) => {
    const running = trace();
    return makeTensor({ H: x.shape.H }, running.builder.pool(valueOf(x), kind, here()), running);
  };

/** The mean over time; after n steps of a stream, of those n. */
export const mean: Pool = pool("mean");
/** The largest over time, channel by channel. */
export const max: Pool = pool("max");
/** The last time step. */
export const last: Pool = pool("last");
/** The first time step. */
export const first: Pool = pool("first");

const severalSteps =
  (kind: "last" | "first") =>
  <S extends Sequence>(x: Tensor<S>, steps: number): Tensor<Vec<number>> => {
    const running = trace();
    return makeTensor({ H: x.shape.H * steps }, running.builder.pool(valueOf(x), kind, here(), steps), running);
  };

/**
 * The last `steps` time steps side by side in the order of time: channel h of the i-th is channel i H + h; in a stream those of the steps so far.
 * Zeros where there were fewer.
 * Throws: CompileError `shape-mismatch`.
 */
export const lastSteps = severalSteps("last");
/** The first `steps` time steps, laid out as those of `lastSteps`; in a stream zeros for those that have not come. */
export const firstSteps = severalSteps("first");

/**
 * Consecutive parts of the channels.
 * Throws: CompileError `split-widths` where `widths` do not sum to the channels of `x`.
 */
export function split<S extends Channels, const W extends readonly number[]>(
  x: Tensor<S>,
  widths: W,
): { readonly [K in keyof W]: Tensor<WithWidth<S, W[K]>> } {
  const running = trace();
  const total = widths.reduce((sum, w) => sum + w, 0);
  if (total !== x.shape.H || widths.some((w) => !Number.isInteger(w) || w < 1))
    fail(
      "split-widths",
      `widths ${widths.join(" + ")} = ${total} do not split H=${x.shape.H}`,
      "make the widths whole numbers that sum to the channels",
    );
  let start = 0;
  const parts = widths.map((width) => {
    const part = reshaped(x, width, running.builder.slice(valueOf(x), start, width, here()));
    start += width;
    return part;
  });
  return parts as unknown as { readonly [K in keyof W]: Tensor<WithWidth<S, W[K]>> };
}

/** Channels side by side. The width is a plain `number` to the type checker; `ofWidth` names it. */
export function concat<S extends Channels, const T extends readonly WithWidth<S, number>[]>(
  x: Tensor<S>,
  ...others: { readonly [K in keyof T]: Tensor<T[K]> }
): Tensor<WithWidth<S, number>>;
export function concat<S extends Channels>(x: Tensor<S>, ...others: readonly AnyTensor[]): Tensor<WithWidth<S, number>> {
  const running = trace();
  const value = running.builder.concat([x, ...others].map(valueOf), here());
  const width = running.builder.typeOf(value).dims.at(-1)?.size;
  return reshaped(x, Number(width), value);
}

/**
 * Every `by` steps as one, their channels side by side: channel h of the block's step s is channel h by + s. In a stream a
 * block comes with its last step.
 */
export function pack<S extends Sequence, const P extends number>(x: Tensor<S>, by: P): Tensor<Packed<S, P>> {
  const shape = { L: `${x.shape.L}/${by}`, H: x.shape.H * by };
  return makeTensor(shape as unknown as Packed<S, P>, trace().builder.pack(valueOf(x), by, undefined, here()), trace());
}

/** Of every `by` steps one: the first, or that at `offset`. In a stream it comes with the last step of its block. */
export function sample<S extends Sequence, const P extends number>(x: Tensor<S>, by: P, offset = 0): Tensor<Sampled<S, P>> {
  const shape = { L: `${x.shape.L}/${by}`, H: x.shape.H };
  return makeTensor(shape as unknown as Sampled<S, P>, trace().builder.pack(valueOf(x), by, offset, here()), trace());
}

/**
 * The lowest L/by of the frequencies of all L steps, as L/by steps: what `sample` gives of a sequence without higher ones, and no
 * higher one looks like a lower. A model with it needs whole sequences: it has no streams and no recurrence mode.
 */
export function lowpass<S extends Sequence, const P extends number>(x: Tensor<S>, by: P): Tensor<Sampled<S, P>> {
  const shape = { L: `${x.shape.L}/${by}`, H: x.shape.H };
  return makeTensor(shape as unknown as Sampled<S, P>, trace().builder.lowpass(valueOf(x), by, here()), trace());
}

/**
 * Every step as `by`: channel h by + s is channel h of the block's step s. Causal: a block of what was packed is complete
 * with its last step only, so it is the next block's steps that it gives, and the first block is zeros.
 * Throws: CompileError `shape-mismatch` where the channels do not split.
 */
export function unpack<S extends Blocks<P>, const P extends number>(x: Tensor<S>, by: P): Tensor<Unpacked<S, P>> {
  const { L, H } = x.shape;
  const value = trace().builder.unpack(valueOf(x), by, here());
  return makeTensor({ L: L.slice(0, L.lastIndexOf("/")), H: H / by } as unknown as Unpacked<S, P>, value, trace());
}

/**
 * `x`, known to have `width` channels: for widths that the type checker cannot add up.
 * Throws: CompileError `width-mismatch`.
 */
export function ofWidth<S extends Channels, const W extends number>(x: Tensor<S>, width: W): Tensor<WithWidth<S, W>> {
  if (x.shape.H !== width) fail("width-mismatch", `H is ${x.shape.H}, not ${width}`, "give the width the tensor really has");
  return reshaped(x, width, valueOf(x));
}

/** Every block of `block` channels `times` times, one after the other: what groups hold, for each of their heads. */
export function repeat<S extends Channels>(x: Tensor<S>, block: number, times: number): Tensor<WithWidth<S, number>> {
  return reshaped(x, x.shape.H * times, trace().builder.repeat(valueOf(x), block, times, here()));
}

/** Options of `rotate`. */
export interface RotateOptions {
  readonly heads: number;
  /** Plane i of a head is of channels 2i and 2i+1, or of i and i + half a head. */
  readonly pairs: "neighbours" | "halves";
}

/**
 * Turns the first planes of every head by `angles`: (a, b) becomes (a cos - b sin, a sin + b cos). Angles have as many channels
 * as heads times the planes that turn; heads beyond those that have angles take them again from the first on.
 * Throws: CompileError `shape-mismatch`.
 */
export function rotate<S extends Sequence>(x: Tensor<S>, angles: Beside<S>, { heads, pairs }: RotateOptions): Tensor<S> {
  const running = trace();
  const planes = { size: x.shape.H / heads, planes: angles.shape.H / heads, pairs };
  return makeTensor(x.shape, running.builder.rotate(valueOf(x), valueOf(angles), planes, here()), running);
}
