/**
 * The matrix memory of xLSTM: C_t = f_t C_{t-1} + i_t k_t v_t^T, n_t = f_t n_{t-1} + i_t k_t, y_t = C_t^T q_t / max(|n_t^T q_t|, 1), with
 * i = e^{i~} and f = sigmoid(f~). C and n are kept times e^{-m}, m_t = max(log f_t + m_{t-1}, i~_t), so that nothing overflows.
 */
import { arg, call, constant } from "../../ir/expr.ts";
import { defineRecurrence } from "../recurrence.ts";

export const mlstm = defineRecurrence({
  name: "mlstm",
  source: "Beck et al., xLSTM: Extended Long Short-Term Memory, 2024, section 2.3 and appendix A.3",
  transition: "scalar",
  operands: {
    q: { doc: "Queries.", dims: ["H", "N"] },
    k: { doc: "Keys.", dims: ["H", "N"] },
    v: { doc: "Values.", dims: ["H", "P"] },
    i: { doc: "Input gate, before exp.", dims: ["H"] },
    f: { doc: "Forget gate, before sigmoid.", dims: ["H"] },
  },
  build: (t, { of }, { H, N, P }) => {
    const logF = t.map(call("neg", call("softplus", call("neg", arg(0)))), of("f"));
    const m = t.cumulate("max-plus", [of("i"), logF]);
    const decay = t.map(call("min", call("sub", call("add", arg(0), arg(1)), arg(2)), constant(0)), logF, t.delay(m, H), m);
    const gain = t.map(call("exp", call("sub", arg(0), arg(1))), of("i"), m);
    const operands = { k: of("k"), q: of("q"), decay, gain };
    const read = t.recur({ heads: H, state: N, width: P, groups: H }, { ...operands, v: of("v") });
    const norm = t.recur({ heads: H, state: N, width: 1, groups: H }, { ...operands, v: t.map(constant(1), m) });
    const least = t.map(call("max", call("abs", arg(0)), call("exp", call("neg", arg(1)))), norm, m);
    return t.map(call("div", arg(0), call("add", arg(1), constant(1e-6))), read, t.repeat(least, 1, P));
  },
});
