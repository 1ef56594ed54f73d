/** LegS: Legendre polynomials over the whole past, exponentially warped; and the diagonal form of its normal part. */
import { matrix } from "../../math/matrix.ts";
import { legendre } from "../../math/special.ts";
import { type Basis, legendreNorm as r, type Operator, vectorOf } from "../basis.ts";

const operator = (N: number): Operator => ({
  A: matrix(N, N, (n, k) => (n > k ? -r(n) * r(k) : n === k ? -(n + 1) : 0)),
  B: vectorOf(N, r),
});

/** r_n P_n(2 e^{-s} - 1) */
const warped = (n: number, s: number): number => r(n) * legendre(n, 2 * Math.exp(-s) - 1);

export const legs: Basis = {
  name: "legs",
  source: "Gu et al., HiPPO, 2020, theorem 2; Gu et al., How to Train Your HiPPO, 2022",
  timescale: "the whole past, weighted by e^-s with its age s: a few 1/delta samples",
  reads: [],
  memory: "fading",
  pairs: false,
  operator,
  lowRank: (N) => ({ P: [vectorOf(N, (n) => Math.sqrt(n + 0.5))], shift: -0.5 }),
  functions: { kernel: (n, s) => warped(n, s) * Math.exp(-s), exact: true, weight: warped },
};

export const legsd: Basis = {
  name: "legsd",
  source:
    "Gupta, Gu and Berant, Diagonal State Spaces are as Effective as Structured State Spaces, 2022; Gu et al. 2022 (2206.11893), section 4",
  timescale: "the whole past, weighted by e^(-s/2) with its age s: a few 2/delta samples; the normal part of legs, near it for large N",
  reads: [],
  memory: "fading",
  pairs: false,
  operator: (N) => {
    const { A, B } = operator(N);
    return {
      A: matrix(N, N, (n, k) => (A.data[n * N + k] ?? NaN) + (r(n) * r(k)) / 2),
      B: B.map((b) => b / 2),
    };
  },
  lowRank: () => ({ P: [], shift: -0.5 }),
};
