/**
 * The meaning of ops that gather, group or reorder the steps of a sequence, as plain float64 loops. State before and after is as in
 * `loops.ts`. Used by `interpret.ts` only.
 */
import type { PoolNode } from "./graph.ts";
import { at, last, num, type Span, type Value } from "./loops.ts";

/** Of all steps since the stream began, zeros where there were none; gives the new state. */
export function pool(
  span: Span,
  x: Value,
  y: Value,
  kind: "mean" | "max" | "last" | "first",
  before: Float64Array | undefined,
): Float64Array {
  const { B, L } = span;
  const H = last(x.shape);
  const state = before?.slice() ?? new Float64Array(B * H).fill(kind === "max" ? -Infinity : 0);
  for (let b = 0; b < B; b++) {
    for (let t = 0; t < L; t++) {
      for (let h = 0; h < H; h++) {
        const value = num(x.data, (b * L + t) * H + h);
        const old = num(state, b * H + h);
        const first = span.position + t === 0;
        state[b * H + h] = kind === "mean" ? old + value : kind === "max" ? Math.max(old, value) : kind === "last" || first ? value : old;
      }
    }
  }
  const count = span.position + L;
  for (let i = 0; i < state.length && count > 0; i++) y.data[i] = num(state, i) / (kind === "mean" ? count : 1);
  return state;
}

/** The last or the first `steps` since the stream began, zeros where there were none; gives them, step t at t mod steps. */
export function poolSteps(
  { B, L, position }: Span,
  x: Value,
  y: Value,
  { kind, steps = 1 }: Pick<PoolNode, "kind" | "steps">,
  before: Float64Array | undefined,
): Float64Array {
  const H = last(x.shape);
  const state = before?.slice() ?? new Float64Array(B * steps * H);
  for (let b = 0; b < B; b++)
    for (let t = 0; t < L; t++)
      for (let h = 0; h < H; h++)
        if (kind === "last" || position + t < steps)
          state[(b * steps + ((position + t) % steps)) * H + h] = num(x.data, (b * L + t) * H + h);
  const oldest = kind === "last" ? position + L : 0;
  for (let i = 0; i < state.length; i++) {
    const [row, h] = [Math.floor(i / H), i % H];
    y.data[i] = num(state, (row - (row % steps) + ((oldest + row) % steps)) * H + h);
  }
  return state;
}

/**
 * y[k, h by + s] = x[k by + s, h], or y[k, h] = x[k by + only, h], `span` that of x; gives the steps of the block that is not
 * full, by their place in it.
 */
export function pack(
  span: Span,
  x: Value,
  { by, only }: { readonly by: number; readonly only?: number | undefined },
  y: Value,
  before: Float64Array | undefined,
): Float64Array {
  const { B, L, position } = span;
  const H = last(x.shape);
  const state = before?.slice() ?? new Float64Array(B * by * H);
  for (let b = 0; b < B; b++) {
    for (let t = 0, k = 0; t < L; t++) {
      const s = (position + t) % by;
      for (let h = 0; h < H; h++) state[(b * by + s) * H + h] = num(x.data, (b * L + t) * H + h);
      if (s < by - 1) continue;
      const [first, count] = only === undefined ? [0, by] : [only, 1];
      for (let c = 0; c < H * count; c++)
        y.data[(b * at(y.shape, 1) + k) * H * count + c] = num(state, (b * by + first + (c % count)) * H + Math.floor(c / count));
      k++;
    }
  }
  return state;
}

/** y[k by + s, h] = x[k - 1, h by + s], `span` that of y; gives the last step of x, which the next block is made of. */
export function unpack(span: Span, x: Value, { by }: { readonly by: number }, y: Value, before: Float64Array | undefined): Float64Array {
  const { B, L, position } = span;
  const H = last(y.shape);
  const state = before?.slice() ?? new Float64Array(B * H * by);
  for (let b = 0; b < B; b++) {
    for (let t = 0, k = 0; t < L; t++) {
      const s = (position + t) % by;
      for (let h = 0; h < H; h++) y.data[(b * L + t) * H + h] = num(state, b * H * by + h * by + s);
      if (s < by - 1) continue;
      for (let c = 0; c < H * by; c++) state[b * H * by + c] = num(x.data, (b * at(x.shape, 1) + k) * H * by + c);
      k++;
    }
  }
  return state;
}

/** y_t = x_{L-1-t} */
export function reverse(x: Value): Value {
  const [B = 1, L = 1] = x.shape;
  const row = x.data.length / (B * L);
  const from = (i: number): number => {
    const position = Math.floor(i / row);
    const t = position % L;
    return (position + L - 1 - 2 * t) * row + (i % row);
  };
  return { ...x, data: x.data.map((_, i) => num(x.data, from(i))) };
}

/**
 * The lowest of the frequencies of x as the steps of y: y_m = sum_l w_{m L/n - l mod L} x_l, where w_d = (1/L) sum_k cos(2 pi k d / L) over
 * the |k| < n/2, and n/2 once where n is even.
 */
export function lowpass(x: Value, y: Value): Value {
  const [B = 1, L = 1, H = 1] = x.shape;
  const n = at(y.shape, 1);
  const cosines = Float64Array.from({ length: L }, (_, j) => Math.cos((2 * Math.PI * j) / L));
  const w = cosines.map((_, d) => {
    let sum = 1;
    for (let k = 1; 2 * k <= n; k++) sum += (2 * k === n ? 1 : 2) * at(cosines, (k * d) % L);
    return sum / L;
  });
  for (let b = 0; b < B; b++)
    for (let m = 0; m < n; m++)
      for (let l = 0; l < L; l++)
        for (let h = 0; h < H; h++)
          y.data[(b * n + m) * H + h] =
            num(y.data, (b * n + m) * H + h) + at(w, ((m * L) / n - l + L) % L) * num(x.data, (b * L + l) * H + h);
  return y;
}
