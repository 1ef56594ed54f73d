/** Comparing tensors, and cutting the inputs of a graph along time. */
import type { Constant, Constants, Graph } from "../../src/ir/graph.ts";

/** The largest difference over the larger of 1 and the expected tensor's largest magnitude; equal NaNs and infinities differ by 0. */
export function largestError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Infinity;
  let scale = 1;
  let error = 0;
  for (let i = 0; i < expected.length; i++) {
    const [a = NaN, e = NaN] = [actual[i], expected[i]];
    if (Object.is(a, e)) continue;
    if (Number.isFinite(e)) scale = Math.max(scale, Math.abs(e));
    const difference = Math.abs(a - e);
    error = Math.max(error, Number.isNaN(difference) ? Infinity : difference);
  }
  return error / scale;
}

/** The worst `largestError` over all tensors; Infinity where names or shapes differ. */
export function largestErrorOf(actual: Constants, expected: Constants): number {
  let error = actual.size === expected.size ? 0 : Infinity;
  for (const [name, e] of expected) {
    const a = actual.get(name);
    error = Math.max(error, a === undefined || a.shape.join() !== e.shape.join() ? Infinity : largestError(a.data, e.data));
  }
  return error;
}

/** Time steps `from .. to` of every input that has L. */
export function cutInputs(graph: Graph, inputs: Constants, from: number, to: number): Map<string, Constant> {
  const cut = new Map<string, Constant>();
  for (const node of graph.nodes) {
    const value = node.op === "input" ? inputs.get(node.name) : undefined;
    if (node.op === "input" && value !== undefined)
      cut.set(
        node.name,
        cutAxis(
          value,
          node.type.dims.findIndex((d) => d.size === "L"),
          from,
          to,
        ),
      );
  }
  return cut;
}

function cutAxis(value: Constant, axis: number, from: number, to: number): Constant {
  if (axis < 0) return value;
  const length = value.shape[axis] ?? 0;
  const inner = value.shape.slice(axis + 1).reduce((a, b) => a * b, 1);
  const data = value.data.filter((_, i) => {
    const t = Math.floor(i / inner) % length;
    return t >= from && t < to;
  });
  return { shape: value.shape.map((s, i) => (i === axis ? to - from : s)), data };
}

/** Pieces of an output one after another: along L where the output has it, the last piece otherwise. */
export function joinPieces(graph: Graph, pieces: readonly Constants[]): Map<string, Constant> {
  const joined = new Map<string, Constant>();
  for (const { name, value } of graph.outputs) {
    const parts = pieces.flatMap((p) => p.get(name) ?? []);
    const axis = graph.nodes[value]?.type.dims.findIndex((d) => d.size === "L") ?? -1;
    const last = parts.at(-1);
    if (last !== undefined) joined.set(name, axis < 0 ? last : parts.reduce((a, b) => joinAxis(a, b, axis)));
  }
  return joined;
}

function joinAxis(a: Constant, b: Constant, axis: number): Constant {
  const row = (c: Constant): number => c.shape.slice(axis).reduce((x, y) => x * y, 1);
  const data = new Float64Array(a.data.length + b.data.length);
  const rows = a.data.length / row(a);
  for (let r = 0; r < rows; r++) {
    data.set(a.data.subarray(r * row(a), (r + 1) * row(a)), r * (row(a) + row(b)));
    data.set(b.data.subarray(r * row(b), (r + 1) * row(b)), r * (row(a) + row(b)) + row(a));
  }
  return { shape: a.shape.map((s, i) => (i === axis ? s + (b.shape[axis] ?? 0) : s)), data };
}
