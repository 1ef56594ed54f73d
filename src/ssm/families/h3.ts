/**
 * The diagonal system of H3: lambda = -e^{inv_A_real} + i A_imag, one of each conjugate pair, one system a head. Channels come
 * as copies of the heads, one for each product of a head's keys and values: channel i is of head i mod G.
 */
import { complex, complexArray, complexAt } from "../../math/complex.ts";
import { logUniform } from "../../math/random.ts";
import { defineFamily } from "../family.ts";

export const h3 = defineFamily({
  name: "h3",
  source: "Fu et al., Hungry Hungry Hippos: Towards Language Modeling with State Space Models, 2023, section 3; names of HazyResearch/H3",
  structure: "diagonal",
  params: {
    C: { doc: "Output vectors, applied without conjugation.", dims: ["M", "G", "N/2", "c"] },
    log_dt: { doc: "Logarithm of the step size.", dims: ["G"] },
    B: { doc: "Input vectors; head g has row g mod S.", dims: ["S", "N/2", "c"] },
    inv_A_real: { doc: "log(-Re lambda)", dims: ["S", "N/2"] },
    A_imag: { doc: "Im lambda", dims: ["S", "N/2"] },
    D: { doc: "Skip connection.", dims: ["G"] },
  },
  options: {
    dt_min: { doc: "Least step size at the start.", default: 0.001 },
    dt_max: { doc: "Largest step size at the start.", default: 0.1 },
  },
  init: {
    C:
      ({ random }) =>
      () =>
        random.normal() * Math.SQRT1_2,
    log_dt: ({ random, options }) => logUniform(random, options.dt_min, options.dt_max),
    B: () => (i) => 1 - (i % 2),
    inv_A_real: () => () => Math.log(0.5),
    A_imag:
      ({ sizes: { N } }) =>
      (i) =>
        Math.PI * (i % (N / 2)),
    D: ({ random }) => random.normal,
  },
  system: ({ C, log_dt, B, inv_A_real, A_imag, D }, { H, N, G = 1, S = 1 }) => {
    const n = N / 2;
    const head = (i: number): number => Math.floor(i / n) % G;
    const row = (i: number): number => (head(i) % S) * n + (i % n);
    const count = H * n;
    return {
      structure: "diagonal",
      pairs: true,
      channels: H,
      states: n,
      A: complexArray(count, (i) => complex(-Math.exp(inv_A_real.at(row(i))), A_imag.at(row(i)))),
      B: complexArray(count, (i) => complexAt(B.data, row(i))),
      C: complexArray(count, (i) => complexAt(C.data, head(i) * n + (i % n))),
      D: Float64Array.from({ length: H }, (_, h) => D.at(h % G)),
      delta: Float64Array.from({ length: count }, (_, i) => Math.exp(log_dt.at(head(i)))),
    };
  },
});
