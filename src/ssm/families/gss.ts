/**
 * The state space model inside GSS, a simplified DSS: poles lambda = -exp(Lambda_real) + i exp(Lambda_imag) shared by all
 * channels, B = 1, a step size of 1, no state standing for its conjugate.
 */
import { complex, complexArray } from "../../math/complex.ts";
import { defineFamily } from "../family.ts";

export const gss = defineFamily({
  name: "gss",
  source:
    "Mehta et al., Long Range Language Modeling via Gated State Spaces, 2022, section 3.2; names of lucidrains/gated-state-spaces-pytorch",
  structure: "diagonal",
  params: {
    Lambda_real: { doc: "Logarithm of the decay rate -Re lambda.", dims: ["N"] },
    Lambda_imag: { doc: "Logarithm of Im lambda.", dims: ["N"] },
    C_real: { doc: "Output matrix, applied without conjugation.", dims: ["H", "N"] },
    C_imag: { doc: "Output matrix.", dims: ["H", "N"] },
    param_D: { doc: "Skip connection.", dims: ["H"] },
  },
  options: {},
  init: {
    Lambda_real: ({ random }) => random.normal,
    Lambda_imag: ({ random }) => random.normal,
    C_real: ({ random }) => random.normal,
    C_imag: ({ random }) => random.normal,
    param_D: ({ random }) => random.normal,
  },
  system: ({ Lambda_real, Lambda_imag, C_real, C_imag, param_D }, { H, N }) => ({
    structure: "diagonal",
    pairs: false,
    channels: H,
    states: N,
    A: complexArray(H * N, (i) => complex(-Math.exp(Lambda_real.at(i % N)), Math.exp(Lambda_imag.at(i % N)))),
    B: complexArray(H * N, () => complex(1)),
    C: complexArray(H * N, (i) => complex(C_real.at(i), C_imag.at(i))),
    D: param_D.data,
    delta: new Float64Array(H * N).fill(1),
  }),
});
