/** What a naming scheme is. The table of them is in `schemes.ts`. */
import type { Constant } from "../ir/graph.ts";
import type { TensorEntry } from "./safetensors.ts";

/** A parameter of a model, as its graph declares it. */
export interface ParamSpec {
  readonly name: string;
  readonly shape: readonly number[];
}

/** A tensor that a parameter is made from. */
export interface Wanted {
  readonly name: string;
  /** Every shape it may have; any where absent. */
  readonly shapes?: readonly (readonly number[])[] | undefined;
}

/** Where the values of a parameter come from. */
export interface Stored {
  /** Tensors of the checkpoint; all are needed. */
  readonly from: readonly Wanted[];
  /**
   * The parameter's values, row by row, from the tensors by their numbers in that list; those of the first where absent. A
   * pure function. A text says why there are none.
   */
  readonly make?: (tensor: (index: number) => Constant) => Float64Array | string;
}

/** How a published kind of checkpoint names, shapes and stores what a model calls its parameters. */
export interface Scheme {
  /** The name a model file asks for it by. */
  readonly name: string;
  readonly doc: string;
  /** Where the layout is described. */
  readonly source: string;
  /** Where the parameter's values come from, given what the checkpoint holds. */
  readonly stored: (param: ParamSpec, held: ReadonlyMap<string, TensorEntry>) => Stored;
  /** Tensors that such checkpoints hold and no model needs. */
  readonly ignores: (name: string) => boolean;
  /** Which options of a layer decide whether a tensor is there and what shape it has. */
  readonly options: readonly { readonly tensors: RegExp; readonly names: string }[];
  /** Options that no tensor tells; they must be given as they were in training. */
  readonly untold: readonly string[];
}
