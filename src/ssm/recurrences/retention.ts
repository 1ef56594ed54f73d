/** RetNet: S_t = gamma S_{t-1} + k_t v_t^T, y_t = q_t^T S_t; a constant decay a head, gamma = 1 - 2^(-5 - h) at the start. */
import { defineRecurrence } from "../recurrence.ts";

export const retention = defineRecurrence({
  name: "retention",
  source: "Sun et al., Retentive Network, 2023, section 2.1",
  transition: "scalar",
  operands: {
    q: { doc: "Queries.", dims: ["H", "N"] },
    k: { doc: "Keys.", dims: ["H", "N"] },
    v: { doc: "Values.", dims: ["H", "P"] },
    log_decay: { doc: "Logarithm of gamma.", dims: ["H"], param: true, domain: "negative" },
  },
  build: ({ recur }, { of }, { H, N, P }) =>
    recur({ heads: H, state: N, width: P, groups: H }, { v: of("v"), k: of("k"), q: of("q"), decay: of("log_decay") }),
});
