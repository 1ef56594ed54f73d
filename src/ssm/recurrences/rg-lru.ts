/** The real-gated linear recurrent unit: h_t = a_t h_{t-1} + sqrt(1 - a_t^2) sigmoid(i_t) x_t, log a_t = -8 sigmoid(r_t) softplus(lambda); h_0 takes its input whole. */
import { arg, call, constant, type Expr } from "../../ir/expr.ts";
import { defineRecurrence } from "../recurrence.ts";

/** sqrt(1 - e^(2 x)) for x <= 0, without cancellation near 0: 1 - e^(-2u) = tanh(u) (1 + e^(-2u)). */
const complement = (x: Expr): Expr =>
  call("sqrt", call("mul", call("tanh", call("neg", x)), call("add", constant(1), call("exp", call("mul", constant(2), x)))));

export const rgLru = defineRecurrence({
  name: "rg-lru",
  source: "De et al., Griffin: Mixing Gated Linear Recurrences with Local Attention, 2024, section 2.4",
  transition: "diagonal",
  operands: {
    x: { doc: "Input.", dims: ["H"] },
    r: { doc: "Recurrence gate, before sigmoid.", dims: ["H"] },
    i: { doc: "Input gate, before sigmoid.", dims: ["H"] },
    lambda: { doc: "Decay, before softplus.", dims: ["H"], param: true },
  },
  build: (t, { of }, { H }) => {
    const decay = t.map(call("mul", constant(-8), call("mul", call("sigmoid", arg(0)), call("softplus", arg(1)))), of("r"), of("lambda"));
    const steps = t.cumulate("sum", [t.map(constant(1), of("x"))]);
    const factor = call("select", call("eq", arg(3), constant(1)), constant(1), complement(arg(2)));
    const v = t.map(call("mul", factor, call("mul", call("sigmoid", arg(1)), arg(0))), of("x"), of("i"), decay, steps);
    const one = t.fixed(1, 1);
    return t.recur({ heads: H, state: 1, width: 1, groups: 1 }, { v, k: one, q: one, decay });
  },
});
