/** Mamba, the selective state space model S6: h_t[d, n] = exp(dt_t[d] A[d, n]) h_{t-1}[d, n] + dt_t[d] B_t[n] u_t[d], y_t = C_t h_t + D u_t. */
import { defineRecurrence } from "../recurrence.ts";

export const mamba = defineRecurrence({
  name: "mamba",
  source:
    "Gu and Dao, Mamba: Linear-Time Sequence Modeling with Selective State Spaces, 2023, section 3.2 and algorithm 2; names of state-spaces/mamba",
  transition: "diagonal",
  operands: {
    u: { doc: "Input.", dims: ["H"] },
    dt: { doc: "Step size, above 0.", dims: ["H"], domain: "positive" },
    B: { doc: "Input vector, by group.", dims: ["G", "N"] },
    C: { doc: "Output vector, by group.", dims: ["G", "N"] },
    A_log: { doc: "Logarithm of -A.", dims: ["H", "N"], param: true },
    D: { doc: "Skip connection.", dims: ["H"], param: true, optional: true },
  },
  build: ({ apply, recur, add, mul }, { of, has }, { H, N, G }) => {
    const u = of("u");
    const A = apply("neg", apply("exp", of("A_log")));
    const form = { heads: H, state: N, width: 1, groups: G };
    const y = recur(form, { v: u, k: of("B"), q: of("C"), decay: of("dt"), rates: A, gain: of("dt") });
    return has("D") ? add(y, mul(u, of("D"))) : y;
  },
});
