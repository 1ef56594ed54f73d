/**
 * Causal softmax attention with rotary places, in float64: the meaning of an `attention` node. Plain loops over every pair
 * of steps; what a stream keeps are the keys, turned, and the values.
 */
import type { AttentionNode, Rope } from "./graph.ts";
import { at, type Span, type Value } from "./loops.ts";

/** What a node attends with. */
export interface Attended {
  readonly q: Value;
  readonly k: Value;
  readonly v: Value;
}

/** Gives the keys and values of the steps so far, `[B][n][2 kvHeads D]`; of a window those that a later step can see. */
export function attention(
  { B, L, position }: Span,
  node: Pick<AttentionNode, "heads" | "kvHeads" | "scale" | "window" | "rope">,
  { q, k, v }: Attended,
  y: Value,
  before: Float64Array | undefined,
): Float64Array {
  const { heads, kvHeads, scale, window = Infinity, rope } = node;
  const [width, inner] = [at(q.shape, 2) / heads, at(k.shape, 2)];
  const old = before === undefined ? 0 : before.length / (B * 2 * inner);
  const kept = Math.min(old + L, window);
  const after = new Float64Array(B * kept * 2 * inner);
  for (let b = 0; b < B; b++) {
    const steps: Float64Array[] = [];
    for (let s = 0; s < old; s++) steps.push((before ?? after).subarray((b * old + s) * 2 * inner, (b * old + s + 1) * 2 * inner));
    for (let t = 0; t < L; t++) {
      const row = (b * L + t) * inner;
      const step = new Float64Array(2 * inner);
      step.set(turned(k.data.subarray(row, row + inner), width, rope, position + t));
      step.set(v.data.subarray(row, row + inner), inner);
      steps.push(step);
      const from = (b * L + t) * heads * width;
      const query = turned(q.data.subarray(from, from + heads * width), width, rope, position + t);
      const seen = steps.slice(Math.max(0, steps.length - window));
      for (let h = 0; h < heads; h++) {
        const group = Math.floor((h * kvHeads) / heads) * width;
        const weights = softmax(seen.map((one) => scale * dot(query, h * width, one, group, width)));
        for (let c = 0; c < width; c++) {
          let sum = 0;
          seen.forEach((one, s) => (sum += at(weights, s) * at(one, inner + group + c)));
          y.data[from + h * width + c] = sum;
        }
      }
    }
    steps.slice(steps.length - kept).forEach((step, s) => after.set(step, (b * kept + s) * 2 * inner));
  }
  return after;
}

function dot(a: Float64Array, from: number, b: Float64Array, start: number, count: number): number {
  let sum = 0;
  for (let c = 0; c < count; c++) sum += at(a, from + c) * at(b, start + c);
  return sum;
}

function softmax(scores: readonly number[]): readonly number[] {
  const most = scores.reduce((a, b) => Math.max(a, b), -Infinity);
  const weights = scores.map((score) => Math.exp(score - most));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / sum);
}

/** Heads of `width` channels at place `t`. */
function turned(x: Float64Array, width: number, rope: Rope | undefined, t: number): Float64Array {
  const y = x.slice();
  if (rope === undefined) return y;
  const pairs = rope.dims / 2;
  for (let head = 0; head < x.length; head += width)
    for (let i = 0; i < pairs; i++) {
      const [a, b] = rope.interleaved ? [head + 2 * i, head + 2 * i + 1] : [head + i, head + i + pairs];
      const angle = t * rope.base ** ((-2 * i) / rope.dims);
      y[a] = at(x, a) * Math.cos(angle) - at(x, b) * Math.sin(angle);
      y[b] = at(x, a) * Math.sin(angle) + at(x, b) * Math.cos(angle);
    }
  return y;
}
