/** What a PyTorch pickle can hold once it is read: inert data. Nothing in a file names code of ours, and none of theirs is run. */
import type { StoredDType } from "../dtypes.ts";

/** Elements in one file of the archive. */
export interface Storage {
  readonly kind: "storage";
  readonly dtype: StoredDType;
  /** Numbers of `dtype` an element is made of: 2 where it is complex. */
  readonly parts: 1 | 2;
  readonly key: string;
  /** In elements. */
  readonly length: number;
}

/** A strided view of a storage. Units: elements of the storage. */
export interface TensorView {
  readonly kind: "tensor";
  readonly storage: Storage;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

/** A function or class by its name; calling it gives one of the other values. */
export interface Global {
  readonly kind: "global";
  readonly name: string;
}

/** A list. */
export interface List {
  readonly kind: "list";
  readonly items: Value[];
}

/** A list that stays as it is. */
export interface Tuple {
  readonly kind: "tuple";
  readonly items: readonly Value[];
}

/** A dict with its keys in order, repetitions included. */
export interface Dict {
  readonly kind: "dict";
  readonly pairs: [key: Value, value: Value][];
}

export type Value = null | boolean | number | string | Uint8Array | List | Tuple | Dict | Global | Storage | TensorView;
type Kinds = Extract<Value, { kind: string }>;

/** Whether `value` is an object of that kind. */
export function isKind<K extends Kinds["kind"]>(value: Value | undefined, kind: K): value is Extract<Kinds, { kind: K }> {
  return typeof value === "object" && value !== null && "kind" in value && value.kind === kind;
}
