/** A time-invariant system whose kernel is cut off: a finite response, computed in float64 by its own recurrence. */
import type { Loc } from "../ir/error.ts";
import { dense, diagonal, dplr, type Value } from "../ir/loops.ts";
import type { Discretization } from "./discretization.ts";
import { discretizeSystem } from "./discretize.ts";
import type { DiagonalSystem, DplrSystem, FirSystem } from "./system.ts";

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
