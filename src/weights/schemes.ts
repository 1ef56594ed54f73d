/** The table of naming schemes. */
import { CompileError } from "../ir/error.ts";
import { h3 } from "./schemes/h3.ts";
import { identity } from "./schemes/identity.ts";
import { mamba } from "./schemes/mamba.ts";
import { s4block } from "./schemes/s4block.ts";
import { s4model } from "./schemes/s4model.ts";
import { s4v2 } from "./schemes/s4-v2.ts";
import { s4v3 } from "./schemes/s4-v3.ts";
import { s5 } from "./schemes/s5.ts";
import { sashimi } from "./schemes/sashimi.ts";
import type { Scheme } from "./scheme.ts";

/** Every scheme. */
export const schemes: readonly Scheme[] = [identity, s4model, s4block, s4v3, s4v2, sashimi, h3, s5, mamba];

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
