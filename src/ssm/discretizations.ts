/** The table of discretizations: one file each in `discretizations/`, one line here. */
import { CompileError, type Loc } from "../ir/error.ts";
import type { Discretization } from "./discretization.ts";
import { asynchronous } from "./discretizations/async.ts";
import { backwardEuler } from "./discretizations/backward-euler.ts";
import { bilinear } from "./discretizations/bilinear.ts";
import { dirac } from "./discretizations/dirac.ts";
import { euler } from "./discretizations/euler.ts";
import { generalizedBilinear } from "./discretizations/generalized-bilinear.ts";
import { zoh } from "./discretizations/zoh.ts";

export const discretizations: readonly Discretization[] = [zoh, bilinear, euler, backwardEuler, dirac, asynchronous()];

/**
 * The discretization called `name`; `gbt(alpha)` for any alpha from 0 to 1, `async(width)` for any width above 0.
 * Throws: CompileError `unknown-discretization`.
 */
export function discretizationNamed(name: string, loc?: Loc): Discretization {
  const found = discretizations.find((d) => d.name === name);
  if (found !== undefined) return found;
  const width = /^async\(([0-9.e-]+)\)$/.exec(name)?.[1];
  if (width !== undefined && Number(width) > 0) return asynchronous(Number(width));
  const alpha = /^gbt\(([0-9.e-]+)\)$/.exec(name)?.[1];
  if (alpha !== undefined && Number(alpha) >= 0 && Number(alpha) <= 1) return generalizedBilinear(Number(alpha));
  throw new CompileError({
    code: "unknown-discretization",
    message: `there is no discretization "${name}"`,
    fix: `use one of ${discretizations.map((d) => d.name).join(", ")}, gbt(alpha) with alpha from 0 to 1, or async(width) with width above 0`,
    loc,
  });
}
