/** Gated linear attention: S_t = diag(alpha_t) S_{t-1} + k_t v_t^T, y_t = q_t^T S_t. */
import { defineRecurrence } from "../recurrence.ts";

export const gla = defineRecurrence({
  name: "gla",
  source: "Yang et al., Gated Linear Attention Transformers with Hardware-Efficient Training, 2023, section 4",
  transition: "diagonal",
  operands: {
    q: { doc: "Queries.", dims: ["H", "N"] },
    k: { doc: "Keys.", dims: ["H", "N"] },
    v: { doc: "Values.", dims: ["H", "P"] },
    log_decay: { doc: "Logarithm of the gate alpha.", dims: ["H", "N"], domain: "negative" },
  },
  build: ({ recur }, { of }, { H, N, P }) =>
    recur({ heads: H, state: N, width: P, groups: H }, { v: of("v"), k: of("k"), q: of("q"), decay: of("log_decay") }),
});
