/**
 * Symbolic tensors with named dims in the type, and the arithmetic-free type functions on them. Not values: a tensor
 * stands for a node of the graph under construction (`trace.ts`).
 */
import { bug } from "../ir/error.ts";
import type { ValueId } from "../ir/graph.ts";

/**
 * A symbolic tensor. `S` is a record of its named dims without the batch: `{ L: "L"; H: 64 }` is a sequence of 64
 * channels. Invariant, so that a wrong dim is an error at the argument that has it.
 */
export interface Tensor<in out S extends object> {
  readonly shape: S;
}

/** The time steps of a sequence: all of the model's, or blocks of them: `L/4` has one for every 4, `L/4/2` one for every 2 of those. */
export type Steps = "L" | `L/${string}`;
/** Dims of a sequence of `H` channels. */
export interface Seq<H extends number> {
  readonly L: "L";
  readonly H: H;
}
/** Dims of a sequence of `H` channels that has a step for every block of the model's. */
export interface SeqAt<L extends Steps, H extends number> {
  readonly L: L;
  readonly H: H;
}
/** Dims of one value of `H` channels, such as a sequence pooled over L. */
export interface Vec<H extends number> {
  readonly H: H;
}
/** Dims of a sequence of ids below `V`. */
export interface Ids<V extends number> {
  readonly L: "L";
  readonly V: V;
}

/** Anything with channels. */
export interface Channels {
  readonly H: number;
}
/** Anything with channels and a length. */
export interface Sequence extends Channels {
  readonly L: Steps;
}
/** A sequence of blocks of `P` steps. */
export interface Blocks<P extends number> extends Channels {
  readonly L: `${Steps}/${P}`;
}

type Expand<T> = T extends infer U ? { readonly [K in keyof U]: U[K] } : never;
/** `S` with `W` channels. */
export type WithWidth<S extends Channels, W extends number> = Expand<{ readonly [K in keyof S]: K extends "H" ? W : S[K] }>;
/** `S` after pooling over L. */
export type Pooled<S extends Sequence> = Vec<S["H"]>;
/** `S` with `P` steps in one; how many channels that makes, the type checker does not say. */
export type Packed<S extends Sequence, P extends number> = SeqAt<`${S["L"]}/${P}`, number>;
/** `S` with one step of `P`. */
export type Sampled<S extends Sequence, P extends number> = SeqAt<`${S["L"]}/${P}`, S["H"]>;
/** `S` with `P` steps for one. */
export type Unpacked<S extends Sequence, P extends number> = SeqAt<S["L"] extends `${infer L extends Steps}/${P}` ? L : never, number>;
/** One tensor of dims `S` for every element of the tuple `A`. */
export type TensorsLike<A extends readonly unknown[], S extends object> = { readonly [K in keyof A]: Tensor<S> };

/** Any tensor of the length of `S`, of however many channels. */
export interface Beside<S extends Sequence> {
  readonly shape: { readonly L: S["L"]; readonly H: number };
}

/** Any tensor, where the dims do not matter. */
export interface AnyTensor {
  readonly shape: object;
}

const values = new WeakMap<object, { readonly value: ValueId; readonly owner: object }>();

/** A tensor that stands for node `value` of the trace `owner`. */
export function makeTensor<S extends object>(shape: S, value: ValueId, owner: object): Tensor<S> {
  const tensor = Object.freeze({ shape: Object.freeze(shape) });
  values.set(tensor, { value, owner });
  return tensor;
}

/** Whether `x` was made by `makeTensor`. */
export function isTensor(x: unknown): x is AnyTensor {
  return typeof x === "object" && x !== null && values.has(x);
}

/** The node a tensor stands for, and the trace it belongs to. */
export function traced(tensor: AnyTensor): { readonly value: ValueId; readonly owner: object } {
  return values.get(tensor) ?? bug("not a tensor");
}
