/**
 * Complex poles with a step size of every time step: x_t = exp(lambda dt_t) x_{t-1} + u_t. A state is kept turned back by the
 * angle that its pole turned it since the start, so that only its decay is left, which is real.
 */
import { arg, call } from "../../ir/expr.ts";
import { defineRecurrence } from "../recurrence.ts";

const product = (sign: "add" | "sub", a: number, b: number) =>
  call(sign, call("mul", arg(a), call("cos", arg(2))), call("mul", arg(b), call("sin", arg(2))));

export const varying = defineRecurrence({
  name: "varying",
  source: "Smith et al., Simplified State Space Layers for Sequence Modeling, 2023, section 6.3; Orvieto et al., LRU, 2023, section 3",
  transition: "diagonal",
  operands: {
    re: { doc: "Real part of the input of every state.", dims: ["H"] },
    im: { doc: "Imaginary part.", dims: ["H"] },
    dt: { doc: "Step size, above 0.", dims: ["H"], domain: "positive" },
    lambda_re: { doc: "Real part of the pole.", dims: ["H"], param: true, domain: "negative" },
    lambda_im: { doc: "Imaginary part.", dims: ["H"], param: true },
  },
  build: (t, { of }, { H }) => {
    const theta = t.cumulate("turn", [t.mul(of("dt"), of("lambda_im"))]);
    const decay = t.mul(of("dt"), of("lambda_re"));
    const back = t.concat(t.map(product("add", 0, 1), of("re"), of("im"), theta), t.map(product("sub", 1, 0), of("re"), of("im"), theta));
    const one = t.fixed(1, 1);
    const z = t.recur({ heads: 2 * H, state: 1, width: 1, groups: 1 }, { v: back, k: one, q: one, decay: t.concat(decay, decay) });
    const [re, im] = [t.slice(z, 0, H), t.slice(z, H, H)];
    return t.concat(t.map(product("sub", 0, 1), re, im, theta), t.map(product("add", 1, 0), re, im, theta));
  },
});
