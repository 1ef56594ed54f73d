/** RWKV-6: y_t = r_t^T (S_{t-1} + diag(u) k_t v_t^T), S_t = diag(w_t) S_{t-1} + k_t v_t^T; read before the update, with a bonus for the present. */
import { defineRecurrence } from "../recurrence.ts";

export const rwkv6 = defineRecurrence({
  name: "rwkv6",
  source: "Peng et al., Eagle and Finch: RWKV with Matrix-Valued States and Dynamic Recurrence, 2024, section 4.2",
  transition: "diagonal",
  operands: {
    r: { doc: "Receptance.", dims: ["H", "N"] },
    k: { doc: "Keys.", dims: ["H", "N"] },
    v: { doc: "Values.", dims: ["H", "P"] },
    log_decay: { doc: "Logarithm of w.", dims: ["H", "N"], domain: "negative" },
    u: { doc: "Bonus.", dims: ["H", "N"], param: true },
  },
  build: ({ recur }, { of }, { H, N, P }) =>
    recur(
      { heads: H, state: N, width: P, groups: H, before: true },
      { v: of("v"), k: of("k"), q: of("r"), decay: of("log_decay"), bonus: of("u") },
    ),
});
