/**
 * S4D: a diagonal complex A of conjugate pairs, B = 1, in the parameters of the minimal reference implementation.
 * lambda = -exp(log_A_real) + i A_imag, delta = exp(log_dt).
 */
import { complex, type Complex, complexArray } from "../../math/complex.ts";
import { logUniform, type Random } from "../../math/random.ts";
import { defineFamily } from "../family.ts";
import { diagonalPoles, poleRules } from "../nplr.ts";

/** The poles of every channel; the rule `random` draws them anew for each. */
function rows(rule: string, N: number, count: number, random: Random): readonly Complex[] {
  const channels = Array.from({ length: (2 * count) / N });
  if (rule === "random") return channels.flatMap(() => diagonalPoles(rule, N, random));
  const poles = diagonalPoles(rule, N, random);
  return channels.flatMap(() => poles);
}

export const s4d = defineFamily({
  name: "s4d",
  source: "Gu et al., On the Parameterization and Initialization of Diagonal State Space Models, 2022, sections 3 and 4",
  structure: "diagonal",
  params: {
    C: { doc: "Output matrix, applied without conjugation.", dims: ["H", "N/2", "c"] },
    log_dt: { doc: "Logarithm of the step size, per channel or per state.", dims: ["H"], or: [["H", "N/2"]] },
    log_A_real: { doc: "Logarithm of the decay rate -Re lambda.", dims: ["H", "N/2"] },
    A_imag: { doc: "Im lambda.", dims: ["H", "N/2"] },
    D: { doc: "Skip connection.", dims: ["H"] },
  },
  options: {
    init: { doc: "Where the poles start.", default: "lin", choices: poleRules },
    dt_min: { doc: "Least step size at the start.", default: 0.001 },
    dt_max: { doc: "Largest step size at the start.", default: 0.1 },
  },
  init: {
    /** Complex normal: each component has variance 1/2. */
    C:
      ({ random }) =>
      () =>
        random.normal() * Math.SQRT1_2,
    log_dt: ({ random, options }) => logUniform(random, options.dt_min, options.dt_max),
    log_A_real: ({ sizes: { N }, count, options, random }) => {
      const poles = rows(options.init, N, count, random);
      return (i) => Math.log(-(poles[i]?.re ?? NaN));
    },
    A_imag: ({ sizes: { N }, count, options, random }) => {
      const poles = rows(options.init, N, count, random);
      return (i) => 0 - (poles[i]?.im ?? NaN);
    },
    D: ({ random }) => random.normal,
  },
  system: ({ C, log_dt, log_A_real, A_imag, D }, { H, N }) => {
    const states = N / 2;
    const count = H * states;
    return {
      structure: "diagonal",
      pairs: true,
      channels: H,
      states,
      A: complexArray(count, (i) => complex(-Math.exp(log_A_real.at(i)), A_imag.at(i))),
      B: complexArray(count, () => complex(1)),
      C: C.data,
      D: D.data,
      delta: Float64Array.from({ length: count }, (_, i) => Math.exp(log_dt.at(log_dt.shape.length === 1 ? Math.floor(i / states) : i))),
    };
  },
});
