/**
 * HiPPO-LegS as it varies in time, in float64: the meaning of an ssm of stage `scaled`. Plain loops, O(N) a step; the
 * time-invariant systems are in `loops.ts`.
 *
 * A = -(r r^T below the diagonal, n + 1 on it) and B = r with r_n = sqrt(2 n + 1), so with x_n = r_n y_n a product is
 * (A x + B u)_n = r_n (u - sum_{m<n} (2m+1) y_m - (n+1) y_n): sums that run along n, and no root in them. The rule
 * (I - alpha A / k) x_k = (I + (1 - alpha) A / k) x_{k-1} + B u_k / k is lower triangular: solved from n = 0 on.
 */
import { at, type Span, type Value } from "./loops.ts";

/** Gives the last y, `[B][N][H]`; a row of the result is all of x, channel by channel. */
export function scaledLegs(
  span: Span,
  form: { readonly state: number; readonly alpha: number },
  u: Value,
  result: Value,
  before: Float64Array | undefined,
): Float64Array {
  const { state: N, alpha } = form;
  const H = at(u.shape, 2);
  const state = before?.slice() ?? new Float64Array(span.B * N * H);
  for (let b = 0; b < span.B; b++)
    for (let h = 0; h < H; h++)
      for (let t = 0; t < span.L; t++) {
        const step = 1 / (span.position + t + 1);
        const input = at(u.data, (b * span.L + t) * H + h);
        let [old, fresh] = [0, 0];
        for (let n = 0; n < N; n++) {
          const place = (b * N + n) * H + h;
          const y = at(state, place);
          const slope = input - (1 - alpha) * (old + (n + 1) * y) - alpha * fresh;
          const next = (y + step * slope) / (1 + alpha * step * (n + 1));
          old += (2 * n + 1) * y;
          fresh += (2 * n + 1) * next;
          state[place] = next;
          result.data[((b * span.L + t) * H + h) * N + n] = Math.sqrt(2 * n + 1) * next;
        }
      }
  return state;
}
