/** Mamba-2, the state space dual: S_t = exp(dt_t A) S_{t-1} + dt_t B_t x_t^T, y_t = C_t^T S_t + D x_t, one decay a head. */
import { defineRecurrence } from "../recurrence.ts";

export const ssd = defineRecurrence({
  name: "ssd",
  source: "Dao and Gu, Transformers are SSMs, 2024, sections 5 and 6; names of state-spaces/mamba, mamba2.py",
  transition: "scalar",
  operands: {
    x: { doc: "Input.", dims: ["H", "P"] },
    dt: { doc: "Step size, above 0.", dims: ["H"], domain: "positive" },
    B: { doc: "Input vector, by group.", dims: ["G", "N"] },
    C: { doc: "Output vector, by group.", dims: ["G", "N"] },
    A_log: { doc: "Logarithm of -A.", dims: ["H"], param: true },
    D: { doc: "Skip connection of every channel.", dims: ["H", "P"], param: true, optional: true },
  },
  build: ({ apply, recur, add, mul }, { of, has }, { H, N, P, G }) => {
    const x = of("x");
    const A = apply("neg", apply("exp", of("A_log")));
    const form = { heads: H, state: N, width: P, groups: G };
    const y = recur(form, { v: x, k: of("B"), q: of("C"), decay: of("dt"), rates: A, gain: of("dt") });
    return has("D") ? add(y, mul(x, of("D"))) : y;
  },
});
