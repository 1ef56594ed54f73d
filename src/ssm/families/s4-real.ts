/**
 * S4D with real poles, the "EMA" form, in the parameters of the published S4 layer: lambda = -f(A_real), B and C real. The
 * published code counts every state twice, as if it had a conjugate, and so does this.
 */
import { complex, complexArray } from "../../math/complex.ts";
import { defineFamily, type Values } from "../family.ts";
import { channelParams, channelStarts, normalC, storageOptions } from "../s4-parameters.ts";
import { s4Rows, skips, stepSizes } from "../s4-values.ts";
import { storedValue, transformNamed } from "../transforms.ts";

export const s4Real = defineFamily({
  name: "s4-real",
  source: "Ma et al., Mega: Moving Average Equipped Gated Attention, 2022, section 3.1, as the published S4 code has it",
  structure: "diagonal",
  params: {
    A_real: { doc: "-lambda, before `real_transform`.", dims: ["S", "N"] },
    B: { doc: "Input vector.", dims: ["M", "S", "N"] },
    C: { doc: "Output vectors.", dims: ["Q", "G", "N"] },
    ...channelParams,
  },
  options: {
    ...storageOptions,
    init: { doc: "Where the poles start: at -1, -2, .., or uniform between -N and 0.", default: "real", choices: ["real", "random"] },
  },
  init: {
    A_real:
      ({ sizes: { N }, options, random, loc }) =>
      (i) =>
        storedValue(options.real_transform, options.init === "random" ? N * random.uniform() : (i % N) + 1, loc),
    B: () => () => 1,
    C: (context) => {
      const { N } = context.sizes;
      return context.options.C_init === "first" ? (i) => (i % N === 0 ? 1 : 0) : normalC(context);
    },
    ...channelStarts,
  },
  system: ({ A_real, B, C, inv_dt, D }, sizes, options, { loc }) => {
    const rows = s4Rows(sizes, sizes.N, options, loc);
    const { channels, states } = rows;
    const { value } = transformNamed(options.real_transform);
    const each = (stored: Values, row: (h: number) => number, f: (x: number) => number): Float64Array =>
      complexArray(channels * states, (i) => complex(f(stored.at(row(Math.floor(i / states)) * states + (i % states)))));
    return {
      structure: "diagonal",
      pairs: true,
      channels,
      states,
      A: each(A_real, rows.system, (x) => -value(x)),
      B: each(B, rows.system, (x) => x),
      C: each(C, rows.output, (x) => x),
      D: skips(rows, D, options),
      delta: stepSizes(rows, inv_dt, options),
    };
  },
});
