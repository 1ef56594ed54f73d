/** Bases that remember nothing in particular, to compare with: drawn at random. */
import { matrix } from "../../math/matrix.ts";
import { type Basis, vectorOf } from "../basis.ts";

const source = "Gu et al., LSSL, 2021, section 5 (ablations)";
const shared = { source, reads: [], memory: "fading", pairs: false } as const;

export const random: Basis = {
  ...shared,
  name: "random",
  timescale: "none; its poles lie in the disc |lambda| < 1/sqrt N, so that half of them grow, slowly",
  operator: (N, _options, { normal }) => ({ A: matrix(N, N, () => normal() / N), B: vectorOf(N, normal) }),
};

export const diagonal: Basis = {
  ...shared,
  name: "diagonal",
  timescale: "decay times 1/|lambda| spread log-normally around 1: a few 1/delta samples",
  operator: (N, _options, { normal }) => ({ A: matrix(N, N, (n, k) => (n === k ? -Math.exp(normal()) : 0)), B: vectorOf(N, normal) }),
};

/** -I/2 plus a random skew matrix: normal, and every pole decays alike. */
export const rotation: Basis = {
  ...shared,
  name: "rotation",
  timescale: "the whole past, faded by e^(-s/2) with its age s: a few 2/delta samples, at random frequencies",
  operator: (N, _options, { normal }) => {
    const lower = matrix(N, N, (n, k) => (n > k ? normal() : 0));
    return {
      A: matrix(N, N, (n, k) => (n === k ? -0.5 : (lower.data[n * N + k] ?? NaN) - (lower.data[k * N + n] ?? NaN))),
      B: vectorOf(N, normal),
    };
  },
};
