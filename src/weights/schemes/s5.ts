/** Checkpoints of S5 in Flax: kernels lie [in out], a norm's weight is its scale, and names may be joined by slashes. */
import type { ParamSpec, Scheme, Stored } from "../scheme.ts";
import { as, firstHeld, type Held, leafOf, prefixOf } from "../sources.ts";

/** What Flax calls a leaf of our layers, most likely first; a map has two dims, a norm one. */
function flaxLeaves(leaf: string, rank: number): readonly string[] {
  if (leaf === "weight") return rank === 1 ? ["scale", "weight"] : ["kernel", "embedding", "weight"];
  if (leaf === "running_mean") return ["mean", leaf];
  return leaf === "running_var" ? ["var", leaf] : [leaf];
}

/** The ways to write a path of Flax: with its collection in front or without, dots or slashes. */
function paths(path: string, leaf: string): readonly string[] {
  const collection = leaf === "running_mean" || leaf === "running_var" ? "batch_stats" : "params";
  const dotted = [path, `${collection}.${path}`];
  return [...dotted, ...dotted.map((name) => name.replaceAll(".", "/"))];
}

function stored({ name, shape }: ParamSpec, held: Held): Stored {
  const leaf = leafOf(name);
  const named = (own: string): readonly string[] => paths(prefixOf(name) + own, leaf);
  const both = firstHeld(named("C"), held);
  if ((leaf === "C1" || leaf === "C2") && held.has(both)) return halfOfC(both, leaf === "C1" ? 0 : 1, shape);
  const [rows = 0, columns = 0] = shape;
  const path = firstHeld(flaxLeaves(leaf, shape.length).flatMap(named), held);
  if (!/\bkernel$/.test(path)) return as(path, shape);
  return { from: [{ name: path, shapes: [[columns, rows]] }], make: (tensor) => transposed(columns, rows, tensor(0).data) };
}

/** C of both directions is [H 2P 2], the forward one first. */
function halfOfC(name: string, half: 0 | 1, shape: readonly number[]): Stored {
  const [H = 0, P = 0] = shape;
  const row = 2 * P;
  const from = (C: Float64Array): Float64Array =>
    Float64Array.from({ length: H * row }, (_, i) => C[(2 * Math.floor(i / row) + half) * row + (i % row)] ?? NaN);
  return { from: [{ name, shapes: [[H, 2 * P, 2]] }], make: (tensor) => from(tensor(0).data) };
}

function transposed(rows: number, columns: number, data: Float64Array): Float64Array {
  return Float64Array.from({ length: rows * columns }, (_, i) => data[(i % rows) * columns + Math.floor(i / rows)] ?? NaN);
}

export const s5: Scheme = {
  name: "s5",
  doc: "Lambda_re, Lambda_im, B, C (or C1, C2), D, log_step; Dense kernels are transposed, scale and batch_stats renamed.",
  source: "lindermanlab/S5, s5/ssm.py, s5/layers.py and s5/seq_model.py",
  stored,
  ignores: () => false,
  options: [
    { tensors: /(^|[./])(Lambda_re|Lambda_im|B|log_step)$/, names: "state, conjSym" },
    { tensors: /(^|[./])C[12]?$/, names: "state, conjSym, bidirectional" },
    { tensors: /(^|[./])out[12][./]/, names: "the gate behind it" },
  ],
  untold: ["discretize", "conjSym", "clipEigs", "prenorm", "activations", "step_rescale"],
};
