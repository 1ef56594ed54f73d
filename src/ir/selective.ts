/** The meaning of a selective recurrence (`SelectiveForm`), as plain float64 loops. Used by `interpret.ts` only. */
import { selectiveRoles, type SelectiveForm, type SelectiveRole } from "./graph.ts";
import { at, num, type Span, type Value } from "./loops.ts";

/** Number `c` of an operand at time step t of sequence b. */
type Read = (b: number, t: number, c: number) => number;

function reader({ L }: Span, { data, dims, shape }: Value): Read {
  if (dims[0]?.size !== "B") return (_, __, c) => num(data, c);
  const channels = at(shape, shape.length - 1);
  return (b, t, c) => num(data, (b * L + t) * channels + c);
}

/** Writes y, and gives the last S, `[B][N][H P]`. */
export function selective(
  span: Span,
  form: SelectiveForm,
  args: readonly Value[],
  y: Value,
  before: Float64Array | undefined,
): Float64Array {
  const { heads: H, state: N, width: P, groups, writes, reads } = form;
  const roles = selectiveRoles(form);
  const valueOf = (role: SelectiveRole): Value => at(args, roles.indexOf(role));
  const of = (role: SelectiveRole): Read => (roles.includes(role) ? reader(span, valueOf(role)) : () => 1);
  /** Of one number a head or one a row. */
  const ofHeads = (role: "decay" | "rates"): Read => {
    const read = of(role);
    return roles.includes(role) && sizeOf(valueOf(role)) === H * N ? read : (b, t, row) => read(b, t, Math.floor(row / N));
  };
  const [v, k, q, gain, b, c, bonus] = [of("v"), of("k"), of("q"), of("gain"), of("b"), of("c"), of("bonus")];
  const [decay, rates] = [ofHeads("decay"), ofHeads("rates")];
  const state = before?.slice() ?? new Float64Array(span.B * N * H * P);
  const [old, next] = [new Float64Array(N), new Float64Array(N)];
  for (let batch = 0; batch < span.B; batch++) {
    for (let t = 0; t < span.L; t++) {
      for (let h = 0; h < H; h++) {
        const g = Math.floor((h * groups) / H);
        const row = g * N;
        for (let p = 0; p < P; p++) {
          const [first, column] = [batch * N * H * P, h * P + p];
          for (let n = 0; n < N; n++) old[n] = num(state, first + n * H * P + column);
          let inner = 0;
          if (form.correction) for (let n = 0; n < N; n++) inner += b(batch, t, row + n) * num(old, n);
          for (let n = 0; n < N; n++) {
            let sum = Math.exp(decay(batch, t, h * N + n) * rates(batch, t, h * N + n)) * num(old, n);
            if (form.correction) sum += c(batch, t, row + n) * inner;
            for (let w = 0; w < writes; w++)
              sum += gain(batch, t, w * H + h) * k(batch, t, w * groups * N + row + n) * v(batch, t, (w * H + h) * P + p);
            next[n] = sum;
          }
          for (let r = 0; r < reads; r++) {
            let sum = 0;
            for (let n = 0; n < N; n++) {
              const read = q(batch, t, r * groups * N + row + n);
              sum += read * num(form.before ? old : next, n);
              if (form.bonus) sum += read * bonus(batch, t, row + n) * k(batch, t, row + n) * v(batch, t, column);
            }
            y.data[((batch * span.L + t) * reads + r) * H * P + column] = sum;
          }
          for (let n = 0; n < N; n++) state[first + n * H * P + column] = num(next, n);
        }
      }
    }
  }
  return state;
}

/** Numbers of an operand a step. */
function sizeOf({ dims, shape }: Value): number {
  const sizes = dims[0]?.size === "B" ? shape.slice(2) : shape;
  return sizes.reduce((product, size) => product * size, 1);
}
