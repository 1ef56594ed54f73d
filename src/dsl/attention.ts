/** The layer `attention`: every step's query over the keys and values of the steps so far. It has no parameters. */
import type { AttentionForm } from "../ir/build.ts";
import { makeTensor, type Sequence, type Tensor } from "./tensor.ts";
import { here, trace, valueOf } from "./trace.ts";

/** Rotary places of queries and keys. */
export interface RopeOptions {
  /** Channels of each head that are turned, the first ones; an even number, all of the head where absent. */
  readonly dims?: number;
  /** Pair i turns by base^(-2i/dims) a step; 10,000 where absent. */
  readonly base?: number;
  /** Whether pair i is channels 2i and 2i + 1, instead of i and i + dims/2. */
  readonly interleaved?: boolean;
}

/** Options of `attention`. */
export interface AttentionOptions {
  /** Heads of q. */
  readonly heads: number;
  /** Heads of k and v, each read by as many neighbouring heads of q; `heads` where absent. */
  readonly kvHeads?: number;
  /** Multiplies the scores; one over the root of a head's channels where absent. */
  readonly scale?: number;
  /** Steps that a query sees, its own included; all so far where absent, and then streams end with the built maximum length. */
  readonly window?: number;
  /** None where absent: the order of steps is known by causality alone. */
  readonly rope?: RopeOptions;
}

/** A sequence with as many steps as `S`. */
export interface Beside<S extends Sequence> extends Sequence {
  readonly L: S["L"];
}

/**
 * Causal softmax attention of grouped queries: y_t = sum_s softmax_s(scale q_t . k_s) v_s over the steps s up to t, head by
 * head; head h of q reads head floor(h kvHeads / heads) of k and v. A stream keeps keys and values.
 * Shapes: q `[L heads*D]`, k, v `[L kvHeads*D]`, the result `[L heads*D]`.
 * Throws: CompileError `shape-mismatch` where the widths are not those of such heads.
 * Source: Vaswani et al. 2017 (1706.03762), 3.2; Ainslie et al. 2023 (2305.13245); Su et al. 2021 (2104.09864), 3.2.2.
 */
export function attention<S extends Sequence, K extends Beside<S>>(
  q: Tensor<S>,
  k: Tensor<K>,
  v: Tensor<NoInfer<K>>,
  options: AttentionOptions,
): Tensor<S> {
  const running = trace();
  const { heads, kvHeads = heads, window } = options;
  const width = q.shape.H / heads;
  const { scale = width ** -0.5 } = options;
  const form = { heads, kvHeads, scale, ...(window === undefined ? {} : { window }), ...ropeOf(options, width) };
  return makeTensor(q.shape, running.builder.attention([valueOf(q), valueOf(k), valueOf(v)], form, here()), running);
}

function ropeOf({ rope }: AttentionOptions, width: number): Pick<AttentionForm, "rope"> {
  return rope === undefined
    ? {}
    : { rope: { dims: rope.dims ?? width, base: rope.base ?? 10_000, interleaved: rope.interleaved ?? false } };
}
