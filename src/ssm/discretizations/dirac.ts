/** The input as impulses at the samples: it enters the state at once, and the state decays between them. */
import { complex, exp, scale } from "../../math/complex.ts";
import { expm } from "../../math/expm.ts";
import { scaleMatrix } from "../../math/matrix.ts";
import type { Discretization } from "../discretization.ts";

export const dirac: Discretization = {
  name: "dirac",
  source: "Schöne et al., Scalable Event-by-event Processing of Neuromorphic Sensory Signals With Deep State-Space Models, 2024, section 3",
  order: Infinity,
  events: true,
  scalar: (lambda, delta) => ({ abar: exp(scale(lambda, delta)), bbar: complex(1) }),
  dense: (A, B, delta) => ({ abar: expm(scaleMatrix(A, delta)), bbar: B }),
};
