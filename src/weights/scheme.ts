/** What a naming scheme is, and the table of them. */
import { CompileError } from "../ir/error.ts";
import { identity } from "./schemes/identity.ts";
import { s4model } from "./schemes/s4model.ts";

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

/** Every scheme. */
export const schemes: readonly Scheme[] = [identity, s4model];

/**
 * The scheme of that name; `identity` where none is named.
 * Throws: `weights-scheme`.
 */
export function schemeNamed(name: string | undefined): Scheme {
  const found = schemes.find((scheme) => scheme.name === (name ?? identity.name));
  if (found !== undefined) return found;
  throw new CompileError({
    code: "weights-scheme",
    message: `no naming scheme is called "${name}"`,
    fix: `use one of ${schemes.map((scheme) => scheme.name).join(", ")}`,
  });
}
