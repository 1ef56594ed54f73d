/** What a naming scheme is. The table of them is in `schemes.ts`. */

/** A parameter of a model, as its graph declares it. */
export interface ParamSpec {
  readonly name: string;
  readonly shape: readonly number[];
}

/** How a published kind of checkpoint names and shapes what a model calls its parameters. */
export interface Scheme {
  /** The name a model file asks for it by. */
  readonly name: string;
  readonly doc: string;
  /** Where the layout is described. */
  readonly source: string;
  /** The parameter's name in the checkpoint, and every shape there that holds the same values in the same order. */
  readonly stored: (param: ParamSpec) => { readonly name: string; readonly shapes: readonly (readonly number[])[] };
  /** Tensors that such checkpoints hold and no model needs. */
  readonly ignores: (name: string) => boolean;
}
