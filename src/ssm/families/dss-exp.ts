/** DSS in its exponential form: lambda = -exp(Lambda_log_neg_re) + i Lambda_im, B = 1; zoh on poles that all channels share. */
import { complex } from "../../math/complex.ts";
import { defineFamily } from "../family.ts";
import { dssInit, dssOptions, dssParams, dssStart, dssSystem } from "./dss.ts";

export const dssExp = defineFamily({
  name: "dss-exp",
  source: "Gupta et al., Diagonal State Spaces are as Effective as Structured State Spaces, 2022, proposition 1b",
  structure: "diagonal",
  params: {
    ...dssParams,
    Lambda_log_neg_re: { doc: "Logarithm of the decay rate -Re lambda.", dims: ["N"] },
    Lambda_im: { doc: "Im lambda.", dims: ["N"] },
  },
  options: dssOptions,
  init: {
    ...dssInit,
    Lambda_log_neg_re: () => () => Math.log(-dssStart.re),
    Lambda_im: ({ count }) => dssStart.im(count),
  },
  system: ({ Lambda_log_neg_re, Lambda_im, ...rest }, sizes) =>
    dssSystem(
      rest,
      (n) => complex(-Math.exp(Lambda_log_neg_re.at(n)), Lambda_im.at(n)),
      sizes,
      () => complex(1),
    ),
});
