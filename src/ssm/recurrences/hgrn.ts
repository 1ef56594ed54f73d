/** HGRN: h_t = f_t h_{t-1} + (1 - f_t) i_t, element by element. */
import { arg, call, constant } from "../../ir/expr.ts";
import { defineRecurrence } from "../recurrence.ts";

/** 1 - e^x for x <= 0, without cancellation near 0: 1 - e^(-2u) = tanh(u) (1 + e^(-2u)). */
const complement = call("mul", call("tanh", call("mul", constant(-0.5), arg(1))), call("add", constant(1), call("exp", arg(1))));

export const hgrn = defineRecurrence({
  name: "hgrn",
  source: "Qin et al., Hierarchically Gated Recurrent Neural Network for Sequence Modeling, 2023, section 3.2",
  transition: "diagonal",
  operands: {
    i: { doc: "Input.", dims: ["H"] },
    log_decay: { doc: "Logarithm of the forget gate f.", dims: ["H"], domain: "negative" },
  },
  build: (t, { of }, { H }) => {
    const one = t.fixed(1, 1);
    const v = t.map(call("mul", arg(0), complement), of("i"), of("log_decay"));
    return t.recur({ heads: H, state: 1, width: 1, groups: 1 }, { v, k: one, q: one, decay: of("log_decay") });
  },
});
