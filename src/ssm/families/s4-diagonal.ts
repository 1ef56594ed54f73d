/**
 * S4D in the parameters of the published S4 layer: as family `s4` without the low-rank part. `softmax_length` L makes it DSS:
 * every state's kernel is divided by its sum over L steps, B_n becomes B_n / (e^{lambda_n delta_n L} - 1), for zero-order hold; and
 * the output is the real part of the stored states alone, without their conjugates.
 */
import { type Complex, complexArray, complexAt, div, exp, expm1, mul, scale } from "../../math/complex.ts";
import { defineFamily } from "../family.ts";
import { channelParams, channelStarts, pairOptions, pairParams, pairStarts } from "../s4-parameters.ts";
import { checkLength, pairValues, s4Rows } from "../s4-values.ts";

/** b / (e^z - 1) */
function normalized(b: Complex, z: Complex): Complex {
  // Of a growing state, e^z may be too large for a number where its inverse is not.
  return z.re > 0 ? div(mul(b, exp(scale(z, -1))), scale(expm1(scale(z, -1)), -1)) : div(b, expm1(z));
}

export const s4Diagonal = defineFamily({
  name: "s4-diagonal",
  source:
    "Gu et al., On the Parameterization and Initialization of Diagonal State Space Models, 2022; Gupta et al., DSS, 2022, proposition 1",
  structure: "diagonal",
  params: { ...pairParams, ...channelParams },
  options: {
    ...pairOptions,
    softmax_length: { doc: "Steps over which the kernel of every state sums to 1; 0 where it is as it is.", default: 0 },
  },
  init: { ...pairStarts, ...channelStarts },
  system: (values, sizes, options, { loc }) => {
    const rows = s4Rows(sizes, sizes.N / 2, options, loc);
    const system = { structure: "diagonal", pairs: true, ...pairValues(rows, values, options) } as const;
    const { softmax_length: length } = options;
    checkLength("softmax_length", length, loc);
    if (length === 0) return system;
    const exponent = (i: number): Complex => scale(complexAt(system.A, i), (system.delta[i] ?? NaN) * length);
    return { ...system, pairs: false, B: complexArray(system.delta.length, (i) => normalized(complexAt(system.B, i), exponent(i))) };
  },
});
