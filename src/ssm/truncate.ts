/** A time-invariant system whose kernel is cut off: a finite response, computed in float64 by its own recurrence. */
import { bug, type Loc } from "../ir/error.ts";
import { dense, diagonal, dplr, type Value } from "../ir/loops.ts";
import type { Discretization } from "./discretization.ts";
import { discretizeSystem } from "./discretize.ts";
import type { DiagonalSystem, DplrSystem, FamilySystem, FirSystem } from "./system.ts";

/** The half that is even, as Python rounds. */
function roundHalfEven(x: number): number {
  const below = Math.floor(x);
  return x - below === 0.5 ? below + (below % 2) : Math.round(x);
}

/** Steps of a kernel of `length` steps at another sampling rate; at least one. Source: the published S4 code, version 4. */
export const truncatedLength = (length: number, rate: number): number => Math.max(1, roundHalfEven(length / rate));

/**
 * The first `taps` numbers of every channel's response to an impulse, and nothing after.
 * Throws: CompileError `singular-step`.
 */
export function truncate(system: DiagonalSystem | DplrSystem, rule: Discretization, taps: number, loc?: Loc): FirSystem {
  const discrete = discretizeSystem(system, rule, loc);
  const { channels } = system;
  const sequence = (data: Float64Array): Value => ({ dims: [], shape: [1, taps, channels], data });
  const impulse = sequence(new Float64Array(taps * channels).fill(1, 0, channels));
  const response = sequence(new Float64Array(taps * channels));
  const span = { B: 1, L: taps, position: 0 };
  if (discrete.structure === "diagonal") diagonal(span, discrete, impulse, response, undefined);
  else if (discrete.structure === "dplr") dplr(span, discrete, impulse, response, undefined);
  else dense(span, discrete, impulse, response, undefined);
  const at = (h: number, k: number): number => response.data[k * channels + h] ?? NaN;
  return {
    structure: "fir",
    channels,
    taps,
    kernel: Float64Array.from({ length: channels * taps }, (_, i) => at(Math.floor(i / taps), i % taps)),
  };
}

/** A system of independent channels with poles as so many taps, the first `delay` of them zero. Throws: CompileError `singular-step`. */
export function delayed(system: FamilySystem, rule: Discretization, taps: number, delay: number, loc?: Loc): FirSystem {
  if (system.structure === "dense" || system.structure === "mimo") return bug(`a ${system.structure} system along an axis`);
  const own = system.structure === "fir" ? system : truncate(system, rule, taps, loc);
  const at = (h: number, k: number): number => (k < 0 || k >= own.taps ? 0 : (own.kernel[h * own.taps + k] ?? NaN));
  const { channels } = own;
  const kernel = Float64Array.from({ length: channels * taps }, (_, i) => at(Math.floor(i / taps), (i % taps) - delay));
  return { structure: "fir", channels, taps, kernel };
}
