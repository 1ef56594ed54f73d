/** The table of families: one file each in `families/`, one line here. */
import { CompileError, type Loc } from "../ir/error.ts";
import type { Family } from "./family.ts";
import { dense } from "./families/dense.ts";
import { dss } from "./families/dss.ts";
import { dssExp } from "./families/dss-exp.ts";
import { gss } from "./families/gss.ts";
import { h3 } from "./families/h3.ts";
import { hyena } from "./families/hyena.ts";
import { lru } from "./families/lru.ts";
import { lssl } from "./families/lssl.ts";
import { s4 } from "./families/s4.ts";
import { s4Diagonal } from "./families/s4-diagonal.ts";
import { s4Real } from "./families/s4-real.ts";
import { s4d } from "./families/s4d.ts";
import { s5 } from "./families/s5.ts";
import { shift } from "./families/shift.ts";
import { skip } from "./families/skip.ts";

export const families: readonly Family[] = [s4, s4Diagonal, s4Real, s4d, dss, dssExp, gss, s5, lru, lssl, dense, h3, hyena, shift, skip];

/** Throws: CompileError `unknown-family`. */
export function familyNamed(name: string, loc?: Loc): Family {
  const found = families.find((f) => f.name === name);
  if (found !== undefined) return found;
  throw new CompileError({
    code: "unknown-family",
    message: `there is no family "${name}"`,
    fix: `use one of ${families.map((f) => f.name).join(", ")}`,
    loc,
  });
}
