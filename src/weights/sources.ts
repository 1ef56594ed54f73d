/** Where PyTorch keeps the values of a parameter: what every scheme of its checkpoints shares. */
import type { TensorEntry } from "./safetensors.ts";
import type { ParamSpec, Stored } from "./scheme.ts";

/** What a checkpoint holds. */
export type Held = ReadonlyMap<string, TensorEntry>;

/** The tensor of that name, in one of these shapes, as it is. */
export const as = (name: string, ...shapes: readonly (readonly number[])[]): Stored => ({ from: [{ name, shapes }] });

/** The tensor of that name, each value through `f`. */
export const mapped = (name: string, f: (x: number) => number, ...shapes: readonly (readonly number[])[]): Stored => ({
  from: [{ name, shapes }],
  make: (tensor) => tensor(0).data.map(f),
});

/** The first of these names that the checkpoint holds; the first of all where it holds none. */
export const firstHeld = (names: readonly string[], held: Held): string => names.find((name) => held.has(name)) ?? names[0] ?? "";

/** In front of a leaf of a layer's names: `a.b.` of `a.b.leaf`. */
export const prefixOf = (name: string): string => name.slice(0, name.lastIndexOf(".") + 1);
/** Behind the last dot. */
export const leafOf = (name: string): string => name.slice(prefixOf(name).length);

/** A layer's `nn.Sequential(linear, activation)` is numbered in PyTorch; a model may leave the number out. */
const SEQUENTIAL = /(^|\.)output_linear\.(weight|bias)$/;

/**
 * The values of a layer's parameter under its own name: a linear map also as a convolution of width 1, and with its weight
 * normed, W = g v / |v| for each row; its bias also as a column, a number also as a vector of one.
 */
export function torchParameter({ name, shape }: ParamSpec, held: Held): Stored {
  const names = [name, name.replace(SEQUENTIAL, "$1output_linear.0.$2")];
  const normed = names.flatMap((path) => [
    [`${path}_g`, `${path}_v`] as const,
    [`${prefixOf(path)}parametrizations.${leafOf(path)}.original0`, `${prefixOf(path)}parametrizations.${leafOf(path)}.original1`] as const,
  ]);
  const found = normed.find(([g, v]) => held.has(g) && held.has(v));
  const [rows = 1] = shape;
  const leaf = leafOf(name);
  const isMap = (leaf === "weight" && shape.length === 2) || (leaf === "bias" && shape.length === 1);
  const shapes = isMap || shape.length === 0 ? [shape, [...shape, 1]] : [shape];
  if (found === undefined) return as(firstHeld(names, held), ...shapes);
  const [g, v] = found;
  return {
    from: [
      { name: g, shapes: [[rows, 1], [rows, 1, 1], [rows]] },
      { name: v, shapes },
    ],
    make: (tensor) => weightNorm(tensor(0).data, tensor(1).data),
  };
}

/** Each row of v at the length g. */
function weightNorm(g: Float64Array, v: Float64Array): Float64Array {
  const width = v.length / g.length;
  const length = (row: number): number => Math.sqrt(v.subarray(row * width, (row + 1) * width).reduce((sum, x) => sum + x * x, 0));
  const factors = g.map((scale, row) => scale / length(row));
  return v.map((x, i) => x * (factors[Math.floor(i / width)] ?? NaN));
}

/** How often a batch norm was trained, which every PyTorch checkpoint with one says. */
export const counts = (name: string): boolean => leafOf(name) === "num_batches_tracked";

/** What decides the tensors of an S4 layer, in every version of it. */
export const s4Options: readonly { readonly tensors: RegExp; readonly names: string }[] = [
  { tensors: /(^|\.)kernel\.C$/, names: "state, channels, bidirectional" },
  { tensors: /(^|\.)kernel\.(P|Q|l_kernel|L|omega)$/, names: "mode, rank, state, ssms" },
  { tensors: /(^|\.)kernel\.(A_real|A_imag|B|w|w_imag|(inv|log)_[Aw]_real)$/, names: "mode, state, ssms" },
  { tensors: /(^|\.)kernel\.(inv_dt|log_dt)$/, names: "untied" },
  { tensors: /(^|\.)D$/, names: "channels, activation" },
  { tensors: /(^|\.)output_linear\./, names: "channels, finalAct" },
  { tensors: /(^|\.)(input_linear|input_gate|output_gate)\./, names: "bottleneck, gate" },
];
/** What no tensor of an S4 layer tells. */
export const s4Untold: readonly string[] = [
  "discretize",
  "transforms",
  "fastDelta",
  "bandlimit",
  "activation",
  "multAct",
  "finalAct",
  "whether a second row of C is bidirectional or a channel",
  "the length a kernel was cut to",
];
