/** Laguerre functions: LagT, its tilted form, and the generalized ones. */
import { matrix } from "../../math/matrix.ts";
import { gamma, laguerre } from "../../math/special.ts";
import { type Basis, type BasisOptions, type LowRank, vectorOf } from "../basis.ts";

/** sqrt(Gamma(n + alpha + 1) / n!), for n below N. */
function norms(N: number, alpha: number): Float64Array {
  let square = gamma(alpha + 1);
  return vectorOf(N, (n) => Math.sqrt(n === 0 ? square : (square *= (n + alpha) / n)));
}
const norm = (n: number, alpha: number): number => norms(n + 1, alpha)[n] ?? NaN;

/** binom(n + alpha, n), for n below N. */
function binomials(N: number, alpha: number): Float64Array {
  let value = 1;
  return vectorOf(N, (n) => (n === 0 ? value : (value *= (n + alpha) / n)));
}

/** Gamma(1 - alpha)^(-1/2) beta^((1 - alpha)/2) */
const amplitude = ({ alpha, beta }: BasisOptions): number => Math.sqrt(beta ** (1 - alpha) / gamma(1 - alpha));

const lowRank = (N: number, shift: number): LowRank => ({ P: [vectorOf(N, () => Math.SQRT1_2)], shift });
const source = "Gu et al., HiPPO, 2020, appendix D.2; Gu et al., LSSL, 2021";
const shared = { source, memory: "fading", pairs: false } as const;

export const lagt: Basis = {
  ...shared,
  name: "lagt",
  timescale: "the whole past, faded by e^(-s/2) with its age s: degree n reaches back about 4n units of time",
  reads: ["beta"],
  operator: (N, { beta }) => ({ A: matrix(N, N, (n, k) => (n > k ? -1 : n === k ? -0.5 : 0)), B: vectorOf(N, () => beta) }),
  lowRank: (N) => lowRank(N, 0),
  functions: {
    kernel: (n, s, { beta }) => beta * laguerre(n, s) * Math.exp(-s / 2),
    exact: true,
    weight: (n, s, { beta }) => (laguerre(n, s) * Math.exp(-s / 2)) / beta,
  },
};

export const tlagt: Basis = {
  ...shared,
  name: "tlagt",
  timescale: "the whole past, faded by e^(-(1 + beta) s/2) with its age s",
  reads: ["beta"],
  operator: (N, { beta }) => ({ A: matrix(N, N, (n, k) => (n > k ? -1 : n === k ? -(1 + beta) / 2 : 0)), B: vectorOf(N, () => beta) }),
  lowRank: (N, { beta }) => lowRank(N, -beta / 2),
  functions: {
    kernel: (n, s, { beta }) => beta * laguerre(n, s) * Math.exp((-(1 + beta) * s) / 2),
    exact: true,
    weight: (n, s, { beta }) => (laguerre(n, s) * Math.exp(((beta - 1) * s) / 2)) / beta,
  },
};

export const glagt: Basis = {
  ...shared,
  name: "glagt",
  timescale: "the whole past, faded by e^(-(1 + beta) s/2) with its age s",
  reads: ["alpha", "beta"],
  operator: (N, options) => {
    const { alpha, beta } = options;
    const [l, binomial, size] = [norms(N, alpha), binomials(N, alpha), amplitude(options)];
    const at = (n: number): number => l[n] ?? NaN;
    return {
      A: matrix(N, N, (n, k) => (n > k ? -at(k) / at(n) : n === k ? -(1 + beta) / 2 : 0)),
      B: vectorOf(N, (n) => ((binomial[n] ?? NaN) / at(n)) * size),
    };
  },
  functions: {
    kernel: (n, s, o) => ((amplitude(o) * laguerre(n, s, o.alpha)) / norm(n, o.alpha)) * Math.exp((-(1 + o.beta) * s) / 2),
    exact: true,
    weight: (n, s, o) => (laguerre(n, s, o.alpha) * s ** o.alpha * Math.exp(((o.beta - 1) * s) / 2)) / (norm(n, o.alpha) * amplitude(o)),
  },
};
