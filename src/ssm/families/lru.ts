/**
 * The linear recurrent unit: one diagonal complex recurrence of all channels, declared in discrete time,
 * x_t = lambda x_{t-1} + exp(gamma_log) B u_t, y = Re(C x) + D u, with lambda = exp(-exp(nu_log) + i exp(theta_log)). As a
 * continuous system it has A = log(lambda), delta = 1 and the rule `dirac`, e^A and B. No state stands for its conjugate.
 */
import { complex, complexArray } from "../../math/complex.ts";
import { defineFamily } from "../family.ts";

/** |lambda|^2 of state n: evenly over the ring's area, so that the two parameters made from it agree. */
function squaredRadius({ count, options: { r_min, r_max } }: Ring, n: number): number {
  return r_min ** 2 + ((n + 0.5) / count) * (r_max ** 2 - r_min ** 2);
}

interface Ring {
  readonly count: number;
  readonly options: { readonly r_min: number; readonly r_max: number };
}

export const lru = defineFamily({
  name: "lru",
  source: "Orvieto et al., Resurrecting Recurrent Neural Networks for Long Sequences, 2023, section 3 and appendix A",
  structure: "mimo",
  params: {
    nu_log: { doc: "Logarithm of -log |lambda|.", dims: ["N"] },
    theta_log: { doc: "Logarithm of the phase of lambda.", dims: ["N"] },
    gamma_log: { doc: "Logarithm of the factor of B.", dims: ["N"] },
    B_re: { doc: "Input matrix.", dims: ["N", "H"] },
    B_im: { doc: "Input matrix.", dims: ["N", "H"] },
    C_re: { doc: "Output matrix, applied without conjugation.", dims: ["H", "N"] },
    C_im: { doc: "Output matrix.", dims: ["H", "N"] },
    D: { doc: "Skip connection, each channel by itself.", dims: ["H"] },
  },
  options: {
    r_min: { doc: "Least |lambda| at the start.", default: 0 },
    r_max: { doc: "Largest |lambda| at the start.", default: 1 },
    max_phase: { doc: "Largest phase of lambda at the start.", default: 6.28 },
  },
  init: {
    nu_log: (context) => {
      return (n) => Math.log(-0.5 * Math.log(squaredRadius(context, n)));
    },
    theta_log: ({ random, options: { max_phase } }) => {
      return () => Math.log(max_phase * (1 - random.uniform()));
    },
    /** The state's variance is then that of the input, whatever the pole. */
    gamma_log: (context) => {
      return (n) => 0.5 * Math.log(1 - squaredRadius(context, n));
    },
    B_re: ({ random, sizes: { H } }) => {
      return () => random.normal() / Math.sqrt(2 * H);
    },
    B_im: ({ random, sizes: { H } }) => {
      return () => random.normal() / Math.sqrt(2 * H);
    },
    C_re: ({ random, sizes: { N } }) => {
      return () => random.normal() / Math.sqrt(N);
    },
    C_im: ({ random, sizes: { N } }) => {
      return () => random.normal() / Math.sqrt(N);
    },
    D: ({ random }) => random.normal,
  },
  system: ({ nu_log, theta_log, gamma_log, B_re, B_im, C_re, C_im, D }, { H, N }) => ({
    structure: "mimo",
    channels: H,
    states: N,
    pairs: false,
    A: complexArray(N, (n) => complex(-Math.exp(nu_log.at(n)), Math.exp(theta_log.at(n)))),
    B: complexArray(N * H, (i) => {
      const gamma = Math.exp(gamma_log.at(Math.floor(i / H)));
      return complex(gamma * B_re.at(i), gamma * B_im.at(i));
    }),
    C: complexArray(H * N, (i) => complex(C_re.at(i), C_im.at(i))),
    D: D.data,
    delta: new Float64Array(N).fill(1),
  }),
});
