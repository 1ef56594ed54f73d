/** Zero-order hold: exact for an input that is constant between samples. */
import { exp, phi1, scale } from "../../math/complex.ts";
import { expm } from "../../math/expm.ts";
import { entry, matrix } from "../../math/matrix.ts";
import type { Discretization } from "../discretization.ts";

export const zoh: Discretization = {
  name: "zoh",
  source: "Gu et al., On the Parameterization and Initialization of Diagonal State Space Models, 2022, eq. 4",
  order: Infinity,
  scalar: (lambda, delta) => {
    const z = scale(lambda, delta);
    return { abar: exp(z), bbar: scale(phi1(z), delta) };
  },
  /** The top blocks of exp(delta [[A, B], [0, 0]]). */
  dense: (A, B, delta) => {
    const n = A.rows;
    const both = expm(matrix(n + B.cols, n + B.cols, (i, j) => (i >= n ? 0 : delta * (j < n ? entry(A, i, j) : entry(B, i, j - n)))));
    return { abar: matrix(n, n, (i, j) => entry(both, i, j)), bbar: matrix(n, B.cols, (i, j) => entry(both, i, n + j)) };
  },
};
