/** Legendre polynomials over a sliding window: LegT, orthonormal, and the LMU, the same space in another scale. */
import { matrix } from "../../math/matrix.ts";
import { legendre } from "../../math/special.ts";
import { type Basis, legendreNorm as r, vectorOf } from "../basis.ts";

const sign = (n: number): number => (n % 2 === 0 ? 1 : -1);

export const legt: Basis = {
  name: "legt",
  source: "Gu et al., HiPPO, 2020, theorem 1",
  timescale: "the last `window` units of time, all weighted alike: window/delta samples",
  reads: ["window"],
  memory: "window",
  window: 2,
  pairs: false,
  operator: (N) => ({
    A: matrix(N, N, (n, k) => -0.5 * r(n) * r(k) * (n < k ? sign(k - n) : 1)),
    B: vectorOf(N, (n) => r(n) / 2),
  }),
  /** sign(k - n) = 2 [n, k both even or both odd] - 1, so that the symmetric part has rank 2: odd n and even n. */
  lowRank: (N) => ({
    P: [1, 0].map((parity) => vectorOf(N, (n) => (n % 2 === parity ? r(n) * Math.SQRT1_2 : 0))),
    shift: 0,
  }),
  functions: {
    kernel: (n, s) => (s <= 2 ? (r(n) * legendre(n, 1 - s)) / 2 : 0),
    exact: false,
    weight: (n, s) => r(n) * legendre(n, 1 - s),
  },
};

export const lmu: Basis = {
  name: "lmu",
  source: "Voelker, Kajic and Eliasmith, Legendre Memory Units, 2019, eq. 1",
  timescale: "the last `window` units of time, all weighted alike: window/delta samples",
  reads: ["window"],
  memory: "window",
  window: 1,
  pairs: false,
  operator: (N) => ({
    A: matrix(N, N, (n, k) => (2 * n + 1) * (n < k ? -1 : sign(n - k + 1))),
    B: vectorOf(N, (n) => sign(n) * (2 * n + 1)),
  }),
  functions: {
    kernel: (n, s) => (s <= 1 ? (2 * n + 1) * legendre(n, 2 * s - 1) : 0),
    exact: false,
    weight: (n, s) => legendre(n, 2 * s - 1),
  },
};
