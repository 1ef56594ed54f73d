/**
 * DSS in its softmax form: a diagonal complex A shared by all channels, no state standing for its conjugate, and the kernel
 * K_k = Re sum_n (W_n / lambda_n) softmax_k(lambda_n delta k) over the L steps the model was made for. The softmax's sum is
 * (e^(z L) - 1) / (e^z - 1), so this is zoh with B_n = 1 / (e^(z_n L) - 1), poles with Re > 0 included. The kernel of the
 * reference ends after L steps, the recurrence goes on. A pole at 0 has no such form.
 */
import { complex, complexArray, complexAt, type Complex, div, expm1, mul, scale } from "../../math/complex.ts";
import { logUniform, type Random } from "../../math/random.ts";
import { defineFamily, type Values } from "../family.ts";
import { nplr } from "../nplr.ts";
import type { DiagonalSystem } from "../system.ts";

/** What both forms of DSS have beside Lambda. */
export const dssParams = {
  log_dt: { doc: "Logarithm of the step size: of Re lambda and of Im lambda, or of both.", dims: ["H", "c"], or: [["H"]] },
  W: { doc: "Output matrix times input matrix, applied without conjugation.", dims: ["H", "N", "c"], or: [["1", "H", "N", "c"]] },
  D: { doc: "Skip connection.", dims: ["H"], or: [["1", "H"]] },
} as const;

export const dssOptions = {
  dt_min: { doc: "Least step size at the start.", default: 0.001 },
  dt_max: { doc: "Largest step size at the start.", default: 0.1 },
} as const;

/** The parts of lambda that DSS starts from: the eigenvalues with Im > 0 of the normal part of LegS of twice the size. */
export const dssStart = { re: -0.5, im: (N: number) => Float64Array.from(nplr("legs", 2 * N, 1).lambda, (z) => -z.im) };

interface Start {
  readonly count: number;
  readonly options: { readonly dt_min: number; readonly dt_max: number };
  readonly sizes: { readonly H: number };
  readonly random: Random;
}

export const dssInit = {
  /** Both parts of a channel's step size start alike. */
  log_dt: ({ count, options, sizes: { H }, random }: Start): ((i: number) => number) => {
    const drawn = Array.from({ length: H }, logUniform(random, options.dt_min, options.dt_max));
    return (i) => drawn[Math.floor((i * H) / count)] ?? NaN;
  },
  W: ({ random }: Start): (() => number) => random.normal,
  D: ({ random }: Start): (() => number) => random.normal,
};

/** The system on every channel with poles `lambda`, where B_n is `weight` of z_n = lambda_n delta. */
export function dssSystem(
  { log_dt, W, D }: Readonly<Record<"log_dt" | "W" | "D", Values>>,
  lambda: (n: number) => Complex,
  { H, N }: { readonly H: number; readonly N: number },
  weight: (z: Complex) => Complex,
): DiagonalSystem {
  const own = log_dt.data.length === 2 * H;
  const delta = (h: number): number => Math.exp(log_dt.at(own ? 2 * h : h));
  /** With a step size of its own, Im lambda is that much faster in units of the other's. */
  const turn = (h: number): number => (own ? Math.exp(log_dt.at(2 * h + 1) - log_dt.at(2 * h)) : 1);
  const pole = (i: number): Complex => {
    const { re, im } = lambda(i % N);
    return complex(re, im * turn(Math.floor(i / N)));
  };
  return {
    structure: "diagonal",
    pairs: false,
    channels: H,
    states: N,
    A: complexArray(H * N, pole),
    /** zoh divides by the pole in these units; the kernel is divided by lambda itself. */
    B: complexArray(H * N, (i) => mul(div(pole(i), lambda(i % N)), weight(scale(pole(i), delta(Math.floor(i / N)))))),
    C: W.data,
    D: D.data,
    delta: Float64Array.from({ length: H * N }, (_, i) => delta(Math.floor(i / N))),
  };
}

export const dss = defineFamily({
  name: "dss",
  source: "Gupta et al., Diagonal State Spaces are as Effective as Structured State Spaces, 2022, proposition 1a",
  structure: "diagonal",
  params: { ...dssParams, Lambda: { doc: "lambda.", dims: ["N", "c"] } },
  options: { ...dssOptions, softmax_length: { doc: "L, the steps of the sequences it was made for.", default: 1024 } },
  init: {
    ...dssInit,
    Lambda: ({ count }) => {
      const im = dssStart.im(count / 2);
      return (i) => (i % 2 === 0 ? dssStart.re : (im[(i - 1) / 2] ?? NaN));
    },
  },
  system: ({ Lambda, ...rest }, sizes, { softmax_length }) =>
    dssSystem(
      rest,
      (n) => complexAt(Lambda.data, n),
      sizes,
      (z) => div(complex(1), expm1(scale(z, softmax_length))),
    ),
});
