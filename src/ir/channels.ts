/** The meaning of ops that repeat or turn channels or add up along time, as plain float64 loops. Used by `interpret.ts` only. */
import type { Dim, RotateNode } from "./graph.ts";
import { at, empty, last, num, type Span, type Value } from "./loops.ts";

/** Every block of `block` channels `times` times. */
export function repeat(
  span: Span,
  dims: readonly Dim[],
  { block, times }: { readonly block: number; readonly times: number },
  x: Value,
): Value {
  const y = empty(span, dims);
  for (let i = 0; i < y.data.length; i++) y.data[i] = num(x.data, Math.floor(i / (block * times)) * block + (i % block));
  return y;
}

/** (a, b) -> (a cos - b sin, a sin + b cos) in the first planes of every head. */
export function rotate({ size, planes, pairs }: Pick<RotateNode, "size" | "planes" | "pairs">, x: Value, angles: Value): Value {
  const data = x.data.slice();
  const [heads, turned] = [last(x.shape) / size, last(angles.shape) / planes];
  const [apart, stride] = pairs === "neighbours" ? [1, 2] : [size / 2, 1];
  for (let head = 0; head < x.data.length / size; head++) {
    const row = Math.floor(head / heads) * turned + ((head % heads) % turned);
    for (let i = 0; i < planes; i++) {
      const [angle, at] = [num(angles.data, row * planes + i), head * size + i * stride];
      const [a, b] = [num(x.data, at), num(x.data, at + apart)];
      data[at] = a * Math.cos(angle) - b * Math.sin(angle);
      data[at + apart] = a * Math.sin(angle) + b * Math.cos(angle);
    }
  }
  return { ...x, data };
}

/** The sum of all steps, the same from -pi to pi, or max(y_{t-1} + f_t, x_t); gives the last value. */
export function cumulate(
  { B, L, position }: Span,
  kind: "sum" | "turn" | "max-plus",
  args: readonly Value[],
  y: Value,
  before: Float64Array | undefined,
): Float64Array {
  const x = at(args, 0);
  const H = last(x.shape);
  const state = before?.slice() ?? new Float64Array(B * H);
  for (let b = 0; b < B; b++) {
    for (let t = 0; t < L; t++) {
      for (let h = 0; h < H; h++) {
        const [i, own] = [(b * L + t) * H + h, b * H + h];
        const value = num(x.data, i);
        if (position + t === 0) state[own] = kind === "turn" ? turned(value) : value;
        else if (kind === "max-plus") state[own] = Math.max(num(state, own) + num(at(args, 1).data, i), value);
        else state[own] = kind === "sum" ? num(state, own) + value : turned(num(state, own) + value);
        y.data[i] = num(state, own);
      }
    }
  }
  return state;
}

/** An angle from -pi to pi. */
const turned = (angle: number): number => angle - 2 * Math.PI * Math.round(angle / (2 * Math.PI));
