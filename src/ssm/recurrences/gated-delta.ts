/**
 * The delta rule with a gate: S_t = e^g S_{t-1} (I - beta k k^T) + beta k v^T, y_t = q_t^T S_t, with q and k of unit length
 * a head. Without g it is DeltaNet.
 */
import { arg, call } from "../../ir/expr.ts";
import type { ValueId } from "../../ir/graph.ts";
import { defineRecurrence } from "../recurrence.ts";

/** Added to the squared length of q and k. */
const eps = 1e-6;

export const gatedDelta = defineRecurrence({
  name: "gated-delta",
  source: "Yang et al., Gated Delta Networks: Improving Mamba2 with Delta Rule, 2024, section 3; Yang et al., DeltaNet, 2024, section 3",
  transition: "diagonal plus rank one",
  operands: {
    q: { doc: "Queries.", dims: ["H", "N"] },
    k: { doc: "Keys.", dims: ["H", "N"] },
    v: { doc: "Values.", dims: ["H", "P"] },
    beta: { doc: "Writing strength, 0 to 1.", dims: ["H"], domain: "unit" },
    g: { doc: "Logarithm of the gate.", dims: ["H"], domain: "negative", optional: true },
  },
  build: (t, { of, has }, { H, N, P }) => {
    /** x / sqrt(|x|^2 + eps) = rms(x; eps / N) / sqrt(N) */
    const unit = (x: ValueId): ValueId => t.scale(t.norm(x, "rms", eps / N, undefined, H), 1 / Math.sqrt(N));
    const [k, beta] = [unit(of("k")), of("beta")];
    const decay = has("g") ? of("g") : t.fixed(0, H);
    const removed = has("g") ? t.map(call("mul", call("neg", arg(0)), call("exp", arg(1))), beta, of("g")) : t.apply("neg", beta);
    const b = t.mul(k, t.repeat(removed, 1, N));
    return t.recur({ heads: H, state: N, width: P, groups: H }, { v: of("v"), k, q: unit(of("q")), decay, gain: beta, b, c: k });
  },
});
