/** Initializers a user may name for a parameter. The values come from the pass `init`, seeded, where no weights are given. */
import type { Init } from "../ir/graph.ts";

/** Every element `value`. */
export const constant = (value: number): Init => ({ kind: "constant", value });
/** The elements themselves, row-major. */
export const values = (elements: readonly number[]): Init => ({ kind: "values", values: elements });
/** Uniform on `[low, high)`. */
export const uniform = (low: number, high: number): Init => ({ kind: "uniform", low, high });
/** Gaussian. */
export const normal = (mean = 0, std = 1): Init => ({ kind: "normal", mean, std });
/** Its logarithm uniform on `[log low, log high)`. */
export const logUniform = (low: number, high: number): Init => ({ kind: "logUniform", low, high });

/** Evenly from `low` to `high`, both ends included. */
export const ramp = (low: number, high: number): Init => ({ kind: "ramp", low, high });

/** What a linear map of `fanIn` inputs starts from: uniform within one over the root of the fan-in. */
export const fanIn = (inputs: number): Init => uniform(-1 / Math.sqrt(inputs), 1 / Math.sqrt(inputs));
