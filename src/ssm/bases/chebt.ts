/** ChebT: Chebyshev polynomials over a window that is never left: A is nilpotent, so that it holds up to t = window only. */
import { matrix } from "../../math/matrix.ts";
import { chebyshev } from "../../math/special.ts";
import { type Basis, vectorOf } from "../basis.ts";

const amplitude = (n: number): number => (n === 0 ? 1 : Math.SQRT2);

export const chebt: Basis = {
  name: "chebt",
  source: "Gu et al., HiPPO, 2020, appendix D.5",
  timescale: "the first `window` units of time after the start, window/delta samples; it grows without bound after that",
  reads: ["window"],
  memory: "window",
  window: 1,
  pairs: false,
  operator: (N) => ({
    A: matrix(N, N, (n, k) => (n > k && (n - k) % 2 === 1 ? (k === 0 ? (-4 * n) / Math.SQRT2 : -4 * n) : 0)),
    B: vectorOf(N, (n) => (Math.sqrt(8) / Math.PI) * amplitude(n)),
  }),
  functions: { kernel: (n, s) => (Math.sqrt(8) / Math.PI) * amplitude(n) * chebyshev(n, 1 - 2 * s), exact: true },
};
