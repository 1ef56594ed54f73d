/** The generalized bilinear transform: (I - alpha delta A)^-1 applied to (I + (1 - alpha) delta A) and delta B. */
import { add, complex, div, scale, sub } from "../../math/complex.ts";
import { addScaled, identity, scaleMatrix } from "../../math/matrix.ts";
import { solve } from "../../math/solve.ts";
import type { Discretization } from "../discretization.ts";

/** `alpha` 0 is forward Euler, 1/2 bilinear, 1 backward Euler. */
export function generalizedBilinear(alpha: number, name = `gbt(${alpha})`): Discretization {
  return {
    name,
    source: "Zhang, Chen and Chen, Performance Analysis of Generalized Bilinear Transformation, 2007; Gu et al., LSSL, 2021, eq. 3",
    order: alpha === 0.5 ? 2 : 1,
    alpha,
    scalar: (lambda, delta) => {
      const z = scale(lambda, delta);
      const denominator = sub(complex(1), scale(z, alpha));
      return { abar: div(add(complex(1), scale(z, 1 - alpha)), denominator), bbar: div(complex(delta), denominator) };
    },
    dense: (A, B, delta) => {
      const one = identity(A.rows);
      const denominator = addScaled(one, A, -alpha * delta);
      const abar = solve(denominator, addScaled(one, A, (1 - alpha) * delta));
      const bbar = solve(denominator, scaleMatrix(B, delta));
      return abar === undefined || bbar === undefined ? undefined : { abar, bbar };
    },
  };
}
