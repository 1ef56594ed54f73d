/** How many samples a dense system that is a basis with a window remembers, and what is wrong with that number. */
import { matrixOf } from "../math/matrix.ts";
import { basisNamed, basisNames, basisOf, basisOptions } from "./bases.ts";
import type { Options } from "./family.ts";
import type { DenseSystem } from "./system.ts";

/** A window of fewer samples holds no function of time. */
const fewest = 2;
/** A window this many times longer than the longest sequence is never felt; its first functions are all that is used. */
const most = 100;
/** A stored in float32 is still the basis. */
const rounding = 1e-6;

/**
 * One sentence where the step sizes of the basis that `options.init` names are out of its range; undefined where they are not,
 * where it has no window, and where A is no longer that basis. Units: step sizes and windows in the model's time.
 */
export function describeWindow(system: DenseSystem, options: Options, maxLength: number): string | undefined {
  const { init } = options;
  if (typeof init !== "string" || !basisNames.includes(init) || !basisNamed(init).reads.includes("window")) return undefined;
  const n = system.states;
  const { window: given = 0, frequencies } = basisOptions(options);
  const own = basisNamed(init).reads.includes("frequencies") ? { window: given, frequencies } : { window: given };
  const basis = basisOf(init, n, own);
  const { window } = basis.options;
  const A = matrixOf(n, n, system.A.subarray(0, n * n));
  const size = Math.max(...basis.A.data.map(Math.abs));
  if (!A.data.every((x, i) => Math.abs(x - (basis.A.data[i] ?? NaN)) <= rounding * size)) return undefined;
  const bad = system.delta.find((delta) => window / delta < fewest || window / delta > most * maxLength);
  if (bad === undefined) return undefined;
  const samples = Number((window / bad).toPrecision(3));
  const what = `${init} remembers a window of ${window} units of time, ${samples} samples at step size ${Number(bad.toPrecision(3))}`;
  return window / bad < fewest
    ? `${what}: fewer than ${fewest} hold nothing; give step sizes near ${window} divided by the samples that matter`
    : `${what}, more than ${most} times the longest sequence of ${maxLength}; give longer step sizes or a shorter window`;
}
