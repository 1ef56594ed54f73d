/** Types of nodes: what each op demands of its arguments and what it returns. Used by the builder, the verifier, the parser. */
import { CompileError, type Loc } from "./error.ts";
import { arityOf } from "./expr.ts";
import {
  type AttentionNode,
  type Dim,
  type Extent,
  isLength,
  lengthAt,
  type LowpassNode,
  type MatmulNode,
  type Node,
  type PackNode,
  type PoolNode,
  rateOf,
  type RepeatNode,
  type RotateNode,
  type SelectiveForm,
  selectiveRoles,
  selectiveSizes,
  ssmArity,
  type SsmForm,
  ssmOperandShapes,
  type TensorType,
  type UnpackNode,
} from "./graph.ts";

type Untyped<N> = N extends Node ? Omit<N, "type"> : never;
/** A node before its type is known. */
export type UntypedNode =
  | Untyped<Node>
  | {
      readonly op: "matmul";
      readonly parts: number;
      readonly outName?: string;
      readonly args: MatmulNode["args"];
      readonly post?: MatmulNode["post"];
      readonly loc?: Loc | undefined;
    };

/** `[B L H=64]`, `[B L/4 H=64]`. */
export function formatDims(dims: readonly Dim[]): string {
  const own = ({ name, size }: Dim): boolean => name === size || (typeof size === "string" && name === "L" && isLength(size));
  return `[${dims.map((d) => (own(d) ? d.size : `${d.name}=${d.size}`)).join(" ")}]`;
}

export const sameDim = (a: Dim, b: Dim): boolean => a.name === b.name && a.size === b.size;
export const sameDims = (a: readonly Dim[], b: readonly Dim[]): boolean =>
  a.length === b.length && a.every((d, i) => sameDim(d, b[i] ?? d));

/** Whether the dims begin with batch and length. */
export const isSequence = (type: TensorType): boolean => type.dims[0]?.size === "B" && type.dims.slice(1, 2).some((d) => isLength(d.size));
/** Time steps to one of a sequence's own; 1 for a value without a length. */
export function rateOfType({ dims }: Pick<TensorType, "dims">): number {
  for (const { size } of dims) if (isLength(size)) return rateOf(size);
  return 1;
}

function mismatch(message: string, fix: string, loc: Loc | undefined): never {
  throw new CompileError({ code: "shape-mismatch", message, fix, loc });
}

/** The dims a pointwise op over `types` has: those of the argument with the most, which must hold all others. */
export function broadcastDims(types: readonly TensorType[], loc?: Loc): readonly Dim[] {
  let widest: readonly Dim[] = [];
  for (const t of types) if (t.dims.length > widest.length) widest = t.dims;
  for (const t of types) {
    for (const d of t.dims) {
      if (widest.some((w) => sameDim(w, d))) continue;
      const other = widest.find((w) => w.name === d.name);
      const detail =
        other === undefined
          ? `dim ${d.name} of ${formatDims(t.dims)} is not in`
          : `dim ${d.name} is ${d.size} in ${formatDims(t.dims)} and ${other.size} in`;
      mismatch(
        `pointwise arguments do not fit: ${detail} ${formatDims(widest)}`,
        isLength(d.size) && other !== undefined
          ? "bring both arguments to one rate, with pack() or unpack()"
          : "give both arguments the same channels, for example with linear()",
        loc,
      );
    }
  }
  const sequence = widest.some((d) => isLength(d.size));
  if (sequence && types.some((t) => t.dims.some((d) => d.size === "B") && !t.dims.some((d) => isLength(d.size))))
    mismatch(
      "a value pooled over L meets a sequence in one pointwise op",
      "pooling ends the sequence part of a model: pool both sides, or neither",
      loc,
    );
  return widest;
}

const lastDim = (type: TensorType, what: string, loc: Loc | undefined): Dim =>
  type.dims.at(-1) ?? mismatch(`${what} has no dims`, "give it a tensor with channels", loc);

const channelsOf = (type: TensorType, what: string, loc: Loc | undefined): number => {
  const { size } = lastDim(type, what, loc);
  return typeof size === "number"
    ? size
    : mismatch(`${what} ${formatDims(type.dims)} has no channels`, "give it a value with a last dim of fixed size", loc);
};

function needSequence(type: TensorType, what: string, loc: Loc | undefined): void {
  if (!isSequence(type) || type.dims.length !== 3)
    mismatch(`${what} needs a sequence [B L H], got ${formatDims(type.dims)}`, "apply it before pooling over L", loc);
}

function matmulType(
  node: { readonly parts: number; readonly outName?: string; readonly loc?: Loc | undefined },
  x: TensorType,
  w: TensorType,
): TensorType {
  const k = channelsOf(x, "the input of a matmul", node.loc);
  const [rows, columns] = w.dims;
  if (w.dims.length !== 2 || typeof rows?.size !== "number" || columns?.size !== k)
    mismatch(
      `a matmul of ${formatDims(x.dims)} needs a weight [out in=${k}], got ${formatDims(w.dims)}`,
      "make the weight's second dim the input's channels",
      node.loc,
    );
  if (rows.size % node.parts !== 0)
    mismatch(`${rows.size} rows do not split into ${node.parts} parts`, "make the width a multiple of the parts", node.loc);
  return { dtype: "f32", dims: [...x.dims.slice(0, -1), { name: node.outName ?? "H", size: rows.size / node.parts }] };
}

/** `x` with one step where it has `by`, or `by` where it has one. */
function resampled(x: TensorType, node: Untyped<PackNode> | Untyped<UnpackNode> | Untyped<LowpassNode>): TensorType {
  const { by } = node;
  needSequence(x, node.op, node.loc);
  if (!Number.isInteger(by) || by < 1) mismatch(`${node.op} by ${by}`, "give a whole number of steps, at least 1", node.loc);
  const only = node.op === "pack" ? node.only : undefined;
  if (only !== undefined && !(Number.isInteger(only) && only >= 0 && only < by))
    mismatch(`step ${only} of blocks of ${by}`, `give a step from 0 to ${by - 1}`, node.loc);
  const rate = node.op === "unpack" ? rateOfType(x) / by : rateOfType(x) * by;
  const channels = channelsOf(x, node.op, node.loc);
  const width = node.op === "unpack" ? channels / by : node.op === "pack" && only === undefined ? channels * by : channels;
  if (!Number.isInteger(rate))
    mismatch(
      `unpack of ${formatDims(x.dims)} by ${by} gives more steps than the input has`,
      "unpack by what was packed: a sequence has at most one step for each of the input",
      node.loc,
    );
  if (!Number.isInteger(width))
    mismatch(`unpack of ${formatDims(x.dims)} by ${by} splits its channels`, `make the channels a multiple of ${by}`, node.loc);
  const size = lengthAt(rate);
  return { dtype: x.dtype, dims: x.dims.map((d, i) => (i === 1 ? { ...d, size } : i === 2 ? { ...d, size: width } : d)) };
}

function poolType({ kind, steps = 1, loc }: Untyped<PoolNode>, x: TensorType): TensorType {
  needSequence(x, "pooling over L", loc);
  if (!Number.isInteger(steps) || steps < 1) mismatch(`pooling to ${steps} steps`, "give a whole number of steps, at least 1", loc);
  if (steps > 1 && (kind === "mean" || kind === "max"))
    mismatch(`a ${kind} of ${steps} steps`, "only the last and the first steps can be several", loc);
  const dims = x.dims.filter(({ size }) => !isLength(size));
  return { dtype: "f32", dims: dims.map((d) => (typeof d.size === "number" ? { ...d, size: d.size * steps } : d)) };
}

function attentionType(node: Untyped<AttentionNode>, args: readonly TensorType[]): TensorType {
  const { heads, kvHeads, window, rope, loc } = node;
  const [q, k, v] = args;
  if (q === undefined || k === undefined || v === undefined) mismatch("attention needs q, k and v", "pass it three sequences", loc);
  for (const type of [q, k, v]) needSequence(type, "attention", loc);
  for (const [what, count] of [
    ["heads", heads],
    ["kvHeads", kvHeads],
    ["a window", window ?? 1],
  ] as const)
    if (!Number.isInteger(count) || count < 1) mismatch(`attention with ${what} of ${count}`, "give a whole number, at least 1", loc);
  const channels = channelsOf(q, "the queries of attention", loc);
  const width = channels / heads;
  if (!Number.isInteger(width)) mismatch(`${channels} channels of q are no ${heads} heads`, "make the width of q a multiple of heads", loc);
  if (heads % kvHeads !== 0)
    mismatch(`${heads} heads of q cannot share ${kvHeads} heads of k and v`, "make heads a multiple of kvHeads", loc);
  for (const [name, type] of [
    ["k", k],
    ["v", v],
  ] as const)
    if (channelsOf(type, "attention", loc) !== kvHeads * width)
      mismatch(
        `heads of q have ${width} channels, so ${kvHeads} of ${name} have ${kvHeads * width}; it is ${formatDims(type.dims)}`,
        `make the width of ${name} kvHeads times that of a head of q`,
        loc,
      );
  if (![k, v].every((type) => sameDims(type.dims.slice(0, 2), q.dims.slice(0, 2))))
    mismatch("q, k and v of attention have steps of different rates", "bring them to one rate, with pack() or unpack()", loc);
  checkRope(rope, width, loc);
  if (!Number.isFinite(node.scale)) mismatch(`attention with a scale of ${node.scale}`, "give a finite number", loc);
  return { dtype: "f32", dims: q.dims };
}

function checkRope(rope: AttentionNode["rope"], width: number, loc: Loc | undefined): void {
  if (rope === undefined) return;
  if (!Number.isInteger(rope.dims / 2) || rope.dims < 2 || rope.dims > width)
    mismatch(`rotary places in ${rope.dims} of a head's ${width} channels`, "turn an even number of them, at most all", loc);
  if (!(rope.base > 0 && rope.base < Infinity)) mismatch(`rotary places of base ${rope.base}`, "give a number above 0, such as 10000", loc);
}

function ssmType(form: SsmForm, args: readonly TensorType[], loc: Loc | undefined): TensorType {
  const x = args[0] ?? mismatch("ssm has no input", "pass it a sequence", loc);
  needSequence(x, "ssm", loc);
  if (form.stage === "selective") return selectiveType(form, x, args, loc);
  const want = ssmOperandShapes(form, channelsOf(x, "ssm", loc));
  want?.forEach((shape, i) => {
    const got = args[i + 1];
    const fits =
      got !== undefined && got.dims.length === shape.length && shape.every((extent, j) => fitsExtent(extent, Number(got.dims[j]?.size)));
    if (!fits)
      mismatch(
        `operand ${i + 1} of an ssm should be [${shape.join(" ")}], got ${formatDims(got?.dims ?? [])}`,
        "check the system's sizes",
        loc,
      );
  });
  return { dtype: "f32", dims: ssmDims(form, x, loc) };
}

/** Sequences of as many numbers a step as the form says, or parameters of that size. */
function selectiveType(form: SelectiveForm, x: TensorType, args: readonly TensorType[], loc: Loc | undefined): TensorType {
  if (form.heads % form.groups !== 0)
    mismatch(`${form.heads} heads in ${form.groups} groups`, "make the heads a multiple of the groups", loc);
  for (const [i, role] of selectiveRoles(form).entries()) {
    const got = args[i] ?? mismatch(`a selective recurrence lacks ${role}`, "pass every operand of the form", loc);
    const sequence = isSequence(got);
    const size = (sequence ? got.dims.slice(2) : got.dims).reduce((product, d) => product * (typeof d.size === "number" ? d.size : NaN), 1);
    const sizes = selectiveSizes(form, role);
    const steps = !sequence || sameDims(got.dims.slice(0, 2), x.dims.slice(0, 2));
    if (!steps || !sizes.includes(size) || (sequence ? role === "rates" || role === "bonus" : role === "v"))
      mismatch(
        `${role} of a selective recurrence should have ${sizes.join(" or ")} channels, got ${formatDims(got.dims)}`,
        "check heads, state, width and groups",
        loc,
      );
  }
  return withChannels(x, form.reads * form.heads * form.width, loc);
}

const withChannels = (x: TensorType, size: number, loc: Loc | undefined): TensorType => ({
  dtype: "f32",
  dims: [...x.dims.slice(0, -1), { name: lastDim(x, "ssm", loc).name, size }],
});

const fitsExtent = (extent: Extent, size: number): boolean =>
  extent === "any" || (typeof extent === "number" ? extent === size : extent.includes(size));

/** A system with M columns in B and P rows in C takes the channels in groups of M and gives P for each; a scaled one gives its states. */
function ssmDims(form: SsmForm, x: TensorType, loc: Loc | undefined): readonly Dim[] {
  if (form.stage === "scaled")
    return [...x.dims.slice(0, -1), { name: lastDim(x, "ssm", loc).name, size: channelsOf(x, "ssm", loc) * form.state }];
  if (form.stage === "family" && form.width !== undefined)
    return [...x.dims.slice(0, -1), { name: lastDim(x, "ssm", loc).name, size: form.width }];
  if (form.stage === "continuous" || form.stage === "discrete")
    return form.outputs === undefined ? x.dims : withChannels(x, channelsOf(x, "ssm", loc) * form.outputs, loc).dims;
  if (form.stage !== "family" || form.entries === undefined) return x.dims;
  const inputs = form.entries.B[0]?.length ?? 1;
  const outputs = form.entries.C.length;
  if (inputs === 1 && outputs === 1) return x.dims;
  const channels = channelsOf(x, "ssm", loc);
  if (channels % inputs !== 0)
    mismatch(
      `${channels} channels are no groups of the system's ${inputs} inputs`,
      "make the channels a multiple of the columns of B",
      loc,
    );
  return [...x.dims.slice(0, -1), { name: lastDim(x, "ssm", loc).name, size: (channels / inputs) * outputs }];
}

/** Throws: CompileError `shape-mismatch` at the node's place. Input and param nodes carry their own type. */
export function inferType(
  node: Exclude<UntypedNode, { op: "input" | "param" }>,
  args: readonly TensorType[],
  sliceSize?: number,
): TensorType {
  const own = baseType(node, args, sliceSize);
  if ("post" in node && node.post !== undefined) {
    const extra = args.slice(args.length - Math.max(0, args.length - baseArity(node)));
    const dims = broadcastDims([own, ...extra], node.loc);
    if (dims.length !== own.dims.length) mismatch("an epilogue may not widen its op's result", "bug: report this", node.loc);
    if (arityOf(node.post) > extra.length + ("parts" in node ? node.parts : 1))
      mismatch("an epilogue reads an argument it does not have", "bug: report this", node.loc);
  }
  return own;
}

function repeatType({ block, times, loc }: Untyped<RepeatNode>, x: TensorType): TensorType {
  const channels = channelsOf(x, "repeat", loc);
  if (!(block >= 1 && times >= 1 && Number.isInteger(times) && channels % block === 0))
    mismatch(`${channels} channels in blocks of ${block}, ${times} times`, "make the channels a multiple of the block", loc);
  return { dtype: x.dtype, dims: [...x.dims.slice(0, -1), { name: lastDim(x, "repeat", loc).name, size: channels * times }] };
}

function rotateType({ size, planes, loc }: Untyped<RotateNode>, x: TensorType, angles: TensorType | undefined): TensorType {
  needSequence(x, "rotate", loc);
  const heads = channelsOf(x, "rotate", loc) / size;
  const turned = angles === undefined ? NaN : channelsOf(angles, "rotate", loc) / planes;
  if (!(2 * planes <= size && planes >= 1 && Number.isInteger(heads) && Number.isInteger(heads / turned)))
    mismatch(
      `${planes} planes of ${formatDims(x.dims)}, in heads of ${size}, and angles ${formatDims(angles?.dims ?? [])}`,
      "give each head an angle for every plane, at most half as many as it has channels",
      loc,
    );
  return x;
}

function baseArity(node: UntypedNode): number {
  switch (node.op) {
    case "matmul":
    case "conv":
    case "embed":
      return 2;
    case "attention":
      return 3;
    case "norm":
    case "pool":
    case "unpack":
      return 1;
    case "ssm":
      return ssmArity(node.form, node.args);
    default:
      return node.args.length;
  }
}

function baseType(
  node: Exclude<UntypedNode, { op: "input" | "param" }>,
  args: readonly TensorType[],
  sliceSize: number | undefined,
): TensorType {
  const x = args[0] ?? mismatch(`${node.op} has no arguments`, "pass it a tensor", node.loc);
  const second = args[1];
  switch (node.op) {
    case "map":
      return { dtype: "f32", dims: broadcastDims(args, node.loc) };
    case "matmul":
      return matmulType(node, x, second ?? x);
    case "norm": {
      const { groups = 1 } = node;
      if (channelsOf(x, "a norm", node.loc) % groups !== 0)
        mismatch(`a norm of ${formatDims(x.dims)} in ${groups} groups`, "make the channels a multiple of the groups", node.loc);
      return { dtype: "f32", dims: x.dims };
    }
    case "pool":
      return poolType(node, x);
    case "ssm":
      return ssmType(node.form, args, node.loc);
    case "conv": {
      needSequence(x, "a convolution", node.loc);
      const h = channelsOf(x, "a convolution", node.loc);
      if (second?.dims.length !== 2 || second.dims[0]?.size !== h)
        mismatch(
          `a depthwise convolution of ${h} channels needs a weight [${h} K], got ${formatDims(second?.dims ?? [])}`,
          "one row of taps a channel",
          node.loc,
        );
      return { dtype: "f32", dims: x.dims };
    }
    case "attention":
      return attentionType(node, args);
    case "embed": {
      if (x.dtype !== "i32") mismatch("embedding ids must be i32", "declare the input with tokens()", node.loc);
      if (second?.dims.length !== 2) mismatch("an embedding table is [V H]", "give it vocabulary and width", node.loc);
      return { dtype: "f32", dims: [...x.dims, { name: "H", size: second.dims[1]?.size ?? 0 }] };
    }
    case "slice": {
      const size = channelsOf(x, "a slice", node.loc);
      const want = sliceSize ?? 0;
      const step = node.step ?? 1;
      const end = node.start + (want - 1) * step + 1;
      if (node.start < 0 || want < 1 || step < 1 || end > size)
        mismatch(`slice ${node.start}..${end} leaves ${formatDims(x.dims)}`, "make the widths of a split sum to the channels", node.loc);
      return { dtype: x.dtype, dims: [...x.dims.slice(0, -1), { name: lastDim(x, "a slice", node.loc).name, size: want }] };
    }
    case "pack":
    case "unpack":
    case "lowpass":
      return resampled(x, node);
    case "reverse":
      if (!isSequence(x))
        mismatch(`only a sequence can be reversed, got ${formatDims(x.dims)}`, "apply it before pooling over L", node.loc);
      return x;
    case "repeat":
      return repeatType(node, x);
    case "cumulate":
      needSequence(x, "cumulate", node.loc);
      if (args.length !== (node.kind === "max-plus" ? 2 : 1) || !args.every((a) => sameDims(a.dims, x.dims)))
        mismatch(`cumulate ${node.kind} of ${args.map((a) => formatDims(a.dims)).join(" and ")}`, "give sequences of equal dims", node.loc);
      return x;
    case "rotate":
      return rotateType(node, x, second);
    case "concat": {
      const head = x.dims.slice(0, -1);
      if (!args.every((a) => sameDims(a.dims.slice(0, -1), head)))
        mismatch(`concat of ${args.map((a) => formatDims(a.dims)).join(" and ")}`, "only the last dim may differ", node.loc);
      const size = args.reduce((sum, a) => sum + channelsOf(a, "concat", node.loc), 0);
      return { dtype: x.dtype, dims: [...head, { name: lastDim(x, "concat", node.loc).name, size }] };
    }
  }
}
