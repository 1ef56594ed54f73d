/** A skip connection alone, y = D u, of P outputs for each of G features: channel p G + g. */
import { CompileError } from "../../ir/error.ts";
import { defineFamily } from "../family.ts";

export const skip = defineFamily({
  name: "skip",
  source: "Gu et al., Efficiently Modeling Long Sequences with Structured State Spaces, 2022, eq. 1",
  structure: "fir",
  params: { D: { doc: "Skip connection.", dims: ["P", "G"] } },
  options: {},
  init: { D: ({ random }) => random.normal },
  system: ({ D }, { H, P = 1, G = 1 }, _, { loc }) => {
    if (P * G !== H)
      throw new CompileError({
        code: "ssm-shape",
        message: `${P} outputs of ${G} features make ${P * G} channels, not ${H}`,
        fix: "give it the features once for each output",
        loc,
      });
    return { structure: "fir", channels: H, taps: 1, kernel: Float64Array.from({ length: H }, (__, h) => D.at(h)) };
  },
});
