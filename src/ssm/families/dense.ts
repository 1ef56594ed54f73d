/**
 * A dense real state space model, given as matrices or as closed-form entries of scalar parameters.
 *
 * Channels: M = columns of B, P = rows of C. The input's H channels are read as H/M neighbouring groups of M; every group
 * drives one system of its own state and gives P output channels. M = P = 1 is the usual model on every channel by itself.
 * All groups share one set of matrices, or each has its own (a leading dim G = H/M).
 * Each input drives a state of its own, from which all P outputs are read; where M exceeds 1, a 0/1 matmul sums the outputs over m. A diagonal
 * system has one output: where the structure pass finds one and P exceeds 1, a 0/1 matmul expands the channels instead.
 *
 * Arguments: x, then A, B, C, D; or, with closed-form entries, the parameters that `$k` of the entries number element by
 * element (see `entries.ts`). Last the step size delta, unless the option `delta` fixes it.
 */
import { logUniform } from "../../math/random.ts";
import { basisNames, basisOf, basisOptions } from "../bases.ts";
import { defineFamily, type Values } from "../family.ts";
import { structureChoices } from "../structure.ts";

/** Repeats one system's values for every group, or keeps one set where all share it. */
const tile = (values: Values, groups: number, count: number): Float64Array =>
  Float64Array.from({ length: groups * count }, (_, i) => values.at(values.data.length === count ? i % count : i));

export const dense = defineFamily({
  name: "dense",
  source: "Gu et al., Combining Recurrent, Convolutional, and Continuous-time Models with Linear State-Space Layers, 2021, eq. 1 and 2",
  structure: "dense",
  params: {
    A: { doc: "State matrix.", dims: ["N", "N2"], or: [["G", "N", "N2"]] },
    B: { doc: "Input matrix.", dims: ["N", "M"], or: [["G", "N", "M"], ["N"]] },
    C: { doc: "Output matrix.", dims: ["P", "N"], or: [["G", "P", "N"], ["N"]] },
    D: { doc: "Skip connection.", dims: ["P", "M"], or: [["G", "P", "M"], []] },
    delta: { doc: "Step size.", dims: [], or: [["G"]] },
  },
  options: {
    init: { doc: "The basis that A and B start from.", default: "legs", choices: basisNames },
    window: { doc: "Length of the basis' window in units of time; 0 is the basis' own.", default: 0 },
    alpha: { doc: "Laguerre's alpha, from 0 up to 1.", default: 0 },
    beta: { doc: "Laguerre's beta, above 0; 0 is the basis' own.", default: 0 },
    frequencies: { doc: "Turns of each wave of `fru` within its window, with spaces between; 0, 1, 2, .. where empty.", default: "" },
    structure: { doc: "The form that A must have; `auto` is the cheapest that is exact.", default: "auto", choices: structureChoices },
    dt_min: { doc: "Least step size at the start.", default: 0.001 },
    dt_max: { doc: "Largest step size at the start.", default: 0.1 },
    delta: { doc: "A step size that is no parameter; 0 where it is one.", default: 0 },
  },
  init: {
    A: ({ sizes: { N }, count, options, random }) => {
      const data = new Float64Array(count);
      for (let start = 0; start < count; start += N * N) data.set(basisOf(options.init, N, basisOptions(options), random).A.data, start);
      return data;
    },
    B: ({ sizes: { N, M = 1 }, count, options, random }) => {
      const columns = Array.from({ length: count / N }, () => basisOf(options.init, N, basisOptions(options), random).B);
      return (i) => columns[Math.floor(i / (N * M)) * M + (i % M)]?.[Math.floor(i / M) % N] ?? NaN;
    },
    C: ({ random }) => random.normal,
    D: ({ random }) => random.normal,
    delta: ({ random, options }) => {
      const draw = logUniform(random, options.dt_min, options.dt_max);
      return () => Math.exp(draw());
    },
  },
  system: ({ A, B, C, D, delta }, { N, M = 1, P = 1 }) => {
    const own = [A.data.length / (N * N), B.data.length / (N * M), C.data.length / (P * N), D.data.length / (P * M), delta.data.length];
    const groups = Math.max(...own);
    return {
      structure: "dense",
      groups,
      states: N,
      inputs: M,
      outputs: P,
      A: tile(A, groups, N * N),
      B: tile(B, groups, N * M),
      C: tile(C, groups, P * N),
      D: tile(D, groups, P * M),
      delta: tile(delta, groups, 1),
    };
  },
});
