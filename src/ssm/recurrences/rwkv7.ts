/** RWKV-7: S_t = (diag(w_t) + b_t a_t^T) S_{t-1} + k_t v_t^T, a = -kappa, b = kappa rate, y_t = r_t^T S_t. */
import { defineRecurrence } from "../recurrence.ts";

export const rwkv7 = defineRecurrence({
  name: "rwkv7",
  source: "Peng et al., RWKV-7 Goose with Expressive Dynamic State Evolution, 2025, section 4.1",
  transition: "diagonal plus rank one",
  operands: {
    r: { doc: "Receptance.", dims: ["H", "N"] },
    k: { doc: "Keys.", dims: ["H", "N"] },
    v: { doc: "Values.", dims: ["H", "P"] },
    log_decay: { doc: "Logarithm of w.", dims: ["H", "N"], domain: "negative" },
    kappa: { doc: "Removal key, of unit length.", dims: ["H", "N"] },
    rate: { doc: "In-context learning rate, 0 to 1.", dims: ["H", "N"], domain: "unit" },
  },
  build: ({ recur, mul, apply }, { of }, { H, N, P }) =>
    recur(
      { heads: H, state: N, width: P, groups: H },
      {
        v: of("v"),
        k: of("k"),
        q: of("r"),
        decay: of("log_decay"),
        b: apply("neg", of("kappa")),
        c: mul(of("kappa"), of("rate")),
      },
    ),
});
