/**
 * Mamba-3: the trapezoidal rule, states that turn, R inputs and outputs a head (MIMO).
 *
 *     S_t = alpha_t S_{t-1} + (1 - lambda_t) dt_t alpha_t sum_r k_{t-1,r} v_{t-1,r}^T + lambda_t dt_t sum_r k_{t,r} v_{t,r}^T
 *     y_{t,r} = q_{t,r}^T S_t + D v_{t,r},   alpha_t = exp(dt_t A_t)
 *
 * with k and q turned by theta_t = theta_{t-1} + pi tanh(angle_t) dt_t.
 */
import { arg, call, constant } from "../../ir/expr.ts";
import { defineRecurrence } from "../recurrence.ts";

const mamba3 = (name: string, pairs: "neighbours" | "halves") =>
  defineRecurrence({
    name,
    source: "Lahoti et al., Mamba-3, 2026, sections 3.1 to 3.3; names of state-spaces/mamba, mamba3.py",
    transition: "scalar",
    operands: {
      v: { doc: "Inputs.", dims: ["R", "H", "P"] },
      k: { doc: "Input vectors, before they turn.", dims: ["R", "H", "N"] },
      q: { doc: "Output vectors, before they turn.", dims: ["R", "H", "N"] },
      dt: { doc: "Step size, above 0.", dims: ["H"], domain: "positive" },
      A: { doc: "Decay rate, below 0.", dims: ["H"], domain: "negative" },
      lambda: { doc: "Share of the present in the trapezoid, 0 to 1.", dims: ["H"], domain: "unit" },
      angle: { doc: "How fast planes turn, before tanh.", dims: ["S"] },
      D: { doc: "Skip connection of every channel.", dims: ["H", "P"], param: true, optional: true },
    },
    build: (t, { of, has }, { H, N, P, R = 1, S = 0 }) => {
      const [v, dt] = [of("v"), of("dt")];
      const speed = call("mul", constant(Math.PI), call("tanh", arg(0)));
      const turns = t.map(call("mul", speed, arg(1)), t.repeat(of("angle"), S, H), t.repeat(dt, 1, S));
      const theta = t.cumulate("turn", [turns]);
      const planes = { size: N, planes: S, pairs };
      const size = R * H * N;
      const turned = t.rotate(t.concat(of("k"), of("q")), theta, planes);
      const [k, q] = [t.slice(turned, 0, size), t.slice(turned, size, size)];
      const decay = t.mul(dt, of("A"));
      const past = t.map(call("mul", call("mul", call("sub", constant(1), arg(1)), arg(0)), call("exp", arg(2))), dt, of("lambda"), decay);
      const present = t.mul(dt, of("lambda"));
      const gain = t.concat(t.repeat(past, H, R), t.repeat(present, H, R));
      const form = { heads: H, state: N, width: P, groups: H, writes: 2 * R, reads: R };
      const y = t.recur(form, { v: t.concat(t.delay(v, R * H * P), v), k: t.concat(t.delay(k, size), k), q, decay, gain });
      return has("D") ? t.add(y, t.mul(v, t.repeat(of("D"), H * P, R))) : y;
    },
  });

/** One input and output a head; neighbouring rows turn. */
export const mamba3Siso = mamba3("mamba3", "neighbours");
/** Several; rows half a state apart turn. */
export const mamba3Mimo = mamba3("mamba3-mimo", "halves");
