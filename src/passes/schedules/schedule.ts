/**
 * What a schedule is: one way to run one kind of node as kernels. The context gives it buffers and takes its dispatches.
 * Sizes known only at run time are JavaScript source over `d` (see `Dims` in `runtime/plan.ts`), which are, like the dims
 * that kernels read, those of the node's own rate.
 */
import { bug } from "../../ir/error.ts";
import type { Expr } from "../../ir/expr.ts";
import {
  isLength,
  ownArity,
  type AnchorNode,
  type Constants,
  type Graph,
  type Node,
  type TensorType,
  type ValueId,
} from "../../ir/graph.ts";
import type { Kernel, KExpr } from "../../ir/kernel.ts";
import type { Mode } from "../../runtime/plan.ts";
import { bufferOf, type ChannelRange } from "../joined.ts";
import { add, dim, div, fromExpr, group, type KernelBuilder, lane, lt, mod, mul, type Operand, sub, u32 } from "./kit.ts";
import type { Weight } from "./weight.ts";

/** A number, or JavaScript source over `d`. */
export type Size = number | string;

/** What an entry point does with time and state. */
export type Entry = "whole" | "resume" | "step";

/** Where a value lives and how its elements are ordered. */
export interface ValueRef {
  readonly buffer: number;
  readonly type: TensorType;
  /**
   * `BCL`: device-made sequences, channel-major. `BLC`: inputs and outputs of the model. `BC`: no length (pooled, or one
   * step of a sequence). `P`: a parameter, row-major.
   */
  readonly layout: "BCL" | "BLC" | "BC" | "P";
  /** Channels of the buffer. */
  readonly channels: number;
  /** Which of them channel `c` of the value is, one of those `among` where that is known: they may lie in one piece where all do not. */
  readonly place: (c: KExpr, among?: ChannelRange) => KExpr;
  /** Whether time runs backwards: step t of the value is step L-1-t of the buffer. */
  readonly reversed: boolean;
}

/** Work of one dispatch. All are sizes over `d`, in operations and bytes. */
export interface Cost {
  readonly flops: Size;
  /** Distinct words each workgroup touches in device memory, summed over workgroups. */
  readonly bytes: Size;
  /** Every operand read once and every result written once. */
  readonly minimum: Size;
  /** Dependent steps one lane makes one after the other; latency no width hides. */
  readonly serial?: Size;
}

export interface DispatchSpec {
  readonly built: { readonly kernel: Kernel; readonly bindings: readonly number[] };
  readonly grid: readonly [Size, Size, Size];
  readonly cost: Cost;
  readonly constants?: Readonly<Record<string, Size>>;
  /** JavaScript source of a condition over `d`. */
  readonly when?: string;
  /** The rate it runs at and all its sizes are of; that of the context where absent. */
  readonly rate?: number;
  /** Not needed in a step that outputs are not read after; what comes after pooling where absent. */
  readonly tail?: boolean;
}

export interface TableRequest {
  readonly maker: string;
  /** Constants by role, shipped in float64. */
  readonly tensors: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, number>>;
  /** Sizes in elements of the float32 tables by role. */
  readonly sizes: Readonly<Record<string, Size>>;
  readonly perM?: boolean;
}

/** What lowering hands to a schedule. */
export interface LowerContext {
  readonly graph: Graph;
  readonly constants: Constants;
  readonly entry: Entry;
  readonly mode: Mode;
  /** Time steps to one of the node's own. */
  readonly rate: number;
  /** The longest sequence one execution takes, in steps of the node's own. */
  readonly maxLength: number;
  readonly value: (id: ValueId) => ValueRef;
  /** The buffer of a node's own result. */
  readonly result: (id: ValueId) => ValueRef;
  /**
   * Whether an operand that the node's schedule offered to compute itself has no buffer: then it must. Known once kernels
   * are made; while schedules are chosen, nothing is absorbed yet.
   */
  readonly absorbed: (id: ValueId) => boolean;
  /** Maps that the kernel of a map computes and writes too, in their order. */
  readonly beside: () => readonly ValueId[];
  readonly temp: (elements: Size) => number;
  /** A recurrent state, one for all entry points. */
  readonly state: (id: ValueId, elements: Size) => number;
  /** A parameter as float32, as it is. */
  readonly weight: (name: string) => number;
  /** The weight of a product of `parts`. */
  readonly product: (name: string, parts: number) => Weight;
  /** A table whose rows are looked up. */
  readonly lookup: (name: string) => Weight;
  readonly table: (request: TableRequest) => Readonly<Record<string, number>>;
  /** A buffer made once per M by the dispatches `make` emits; one for all entry points that ask by the same key. */
  readonly prepared: (key: string, elements: Size, make: (buffer: number, emit: (d: DispatchSpec) => void) => void) => number;
  readonly emit: (dispatch: DispatchSpec) => void;
}

export interface Schedule<N extends Node = Node> {
  /** kebab-case. */
  readonly name: string;
  readonly doc: string;
  readonly op: N["op"];
  readonly applies: (node: N, id: ValueId, context: LowerContext) => boolean;
  readonly lower: (node: N, id: ValueId, context: LowerContext) => void;
  /**
   * Operands that `lower` can compute from theirs in this entry; none where absent. One that all its users so absorb gets
   * no dispatch of its own.
   */
  readonly absorbs?: (node: N, id: ValueId, context: LowerContext) => readonly ValueId[];
}

/** Keeps the op's own type inside, shows any node outside. */
export function schedule<N extends Node>(definition: Schedule<N>): Schedule {
  const own = (node: Node): N => (node.op === definition.op ? (node as N) : bug(`schedule ${definition.name} was given a ${node.op}`));
  return {
    ...definition,
    applies: (n, id, c) => n.op === definition.op && definition.applies(own(n), id, c),
    lower: (n, id, c) => definition.lower(own(n), id, c),
    absorbs: (n, id, c) => definition.absorbs?.(own(n), id, c) ?? [],
  };
}

/** The name of the parameter that operand `index` of a node is. */
export function parameterName(node: Node, index: number, context: LowerContext): string {
  const operand = context.graph.nodes[node.args[index] ?? -1];
  return operand?.op === "param" ? operand.name : bug(`operand ${index} of a ${node.op} is no parameter`);
}

/** The channels of a type: its last dim where that is fixed, else 1. */
export function channelsOf(type: TensorType): number {
  const size = type.dims.at(-1)?.size;
  return typeof size === "number" ? size : 1;
}

export const hasLength = (type: TensorType): boolean => type.dims.some((d) => isLength(d.size));

/** Element count of a batch value as a size over `d`. */
export function elements(type: TensorType, entry: Entry, channels: Size = channelsOf(type)): Size {
  return `d.B*${channels}${hasLength(type) && entry !== "step" ? "*d.L" : ""}`;
}

/** A place in a value: sequence `b`, time step `l`, channel `c`. */
export interface Coords {
  readonly b: KExpr;
  readonly l: KExpr;
  readonly c: KExpr;
  readonly among?: ChannelRange;
}

/** The place of an element; `length` is that of the value. */
export function indexOf(ref: ValueRef, at: Coords, length: KExpr = dim("L")): KExpr {
  const c = ref.place(ref.type.dims.length === 0 ? u32(0) : at.c, at.among);
  const l = ref.reversed ? sub(sub(length, 1), at.l) : at.l;
  switch (ref.layout) {
    case "BCL":
      return add(mul(add(mul(at.b, ref.channels), c), length), l);
    case "BLC":
      return add(mul(add(mul(at.b, length), l), ref.channels), c);
    case "BC":
      return add(mul(at.b, ref.channels), c);
    case "P":
      return c;
  }
}

/** The value at a place; `length` is that of the value. */
export function read(k: KernelBuilder, ref: ValueRef, at: Coords, length: KExpr = dim("L")): KExpr {
  return k.load(k.bind(ref.buffer, "read", ref.type.dtype), indexOf(ref, at, length));
}

/** Operations of a map that are fewer than a dispatch and its memory are worth. */
const mostFlops = 8;

/** The operands of a node that are maps of few operations, for schedules that compute such on the way (`computed`). */
export function lightMaps(node: Node, _: ValueId, { graph }: LowerContext): readonly ValueId[] {
  const maps = [...new Set(node.args)].flatMap((id) => {
    const map = graph.nodes[id];
    return map?.op === "map" && flopsOf(map.expr) <= mostFlops ? [{ id, map }] : [];
  });
  const read = node.args.flatMap((id) => maps.find((m) => m.id === id)?.map.args ?? [id]);
  // And the result and a state.
  return new Set(read.map((id) => bufferOf(graph, id))).size <= 6 ? maps.map(({ id }) => id) : [];
}

/** An operand at a place: read, or of a map that the node absorbs, computed. */
export function computed(k: KernelBuilder, id: ValueId, at: Coords, context: LowerContext): KExpr {
  const node = context.graph.nodes[id];
  if (node?.op !== "map" || !context.absorbed(id)) return read(k, context.value(id), at);
  return fromExpr(
    node.expr,
    node.args.map((a) => k.let("x", computed(k, a, at, context))),
  );
}

/** What a node reads: its arguments, in the place of maps that it absorbs theirs, and those of maps beside it; each once. */
export function operandsOf(node: Node, { graph, absorbed, beside }: LowerContext): readonly ValueId[] {
  const nodeAt = (id: ValueId): Node => graph.nodes[id] ?? bug("no node");
  const written = [node, ...beside().map(nodeAt)];
  const readBy = ({ args }: Node): readonly ValueId[] => args.flatMap((id) => (absorbed(id) ? readBy(nodeAt(id)) : [id]));
  return [...new Set(written.flatMap(readBy))].filter((id) => !written.includes(nodeAt(id)));
}

/** Operations of the maps that a node absorbs, one element of each. */
export const absorbedFlops = (node: Node, { graph, absorbed }: LowerContext): number =>
  node.args.reduce((sum, id) => {
    const map = graph.nodes[id];
    return map?.op === "map" && absorbed(id) ? sum + flopsOf(map.expr) : sum;
  }, 0);

/** Applies the node's epilogue to its own results at a place. */
export function applyPost(k: KernelBuilder, node: AnchorNode, results: readonly KExpr[], at: Coords, context: LowerContext): KExpr {
  if (node.post === undefined) return results[0] ?? bug("no result");
  const extra = node.args.slice(ownArity(node)).map((id, i) => k.let(`e${i}`, read(k, context.value(id), at)));
  return fromExpr(node.post, [...results, ...extra]);
}

export function write(k: KernelBuilder, ref: ValueRef, at: Coords, value: KExpr): void {
  k.store(k.bind(ref.buffer, "read_write", ref.type.dtype), indexOf(ref, at), value);
}

/** Workgroups along one axis before the grid folds into the next. */
export const maxGroups = 65535;

/** A grid of `count` workgroups that may exceed one axis, and the flat index a kernel finds itself at. */
export const flatGrid = (count: Size): readonly [Size, Size, Size] => [
  `Math.min(${count},${maxGroups})`,
  `Math.ceil((${count})/${maxGroups})`,
  1,
];
export const flatGroup = (): KExpr => add(group(0), mul(group(1), maxGroups));
export const flatLane = (lanes: number): KExpr => add(mul(flatGroup(), lanes), lane);
export const groupsOf = (items: Size, lanes: number): string => `Math.ceil(${items}/${lanes})`;

/** The time step a kernel of one step reads from and writes to in sequence buffers. */
export const stepTime = (): KExpr => dim("t");

/** Splits a flat position over (b, l) into its coordinates; in a step a position is a sequence. */
export function positionCoords(
  k: KernelBuilder,
  position: KExpr,
  sequence: boolean,
  entry: Entry,
): { readonly b: KExpr; readonly l: KExpr } {
  if (!sequence || entry === "step") return { b: position, l: stepTime() };
  const b = k.let("b", div(position, dim("L")));
  return { b, l: k.let("l", sub(position, mul(b, dim("L")))) };
}

/** How many positions (b, l) a value has in this entry point. */
export const positions = (type: TensorType, entry: Entry): string => (hasLength(type) && entry !== "step" ? "d.B*d.L" : "d.B");

/** Bytes of an operand read once; what is repeated lies there once. */
function operandBytes(id: ValueId, entry: Entry, context: LowerContext): string {
  const { op, type, args } = context.graph.nodes[id] ?? bug("no node");
  if (op === "repeat") return operandBytes(args[0] ?? bug("repeat"), entry, context);
  if (type.dims.some((d) => d.size === "B")) return `4*${elements(type, entry)}`;
  return `${type.dims.reduce((product, d) => product * Number(d.size), 4)}`;
}

/** Bytes of several operands, each read once. */
export const operandsBytes = (ids: readonly ValueId[], entry: Entry, context: LowerContext): string =>
  ["0", ...ids.map((id) => operandBytes(id, entry, context))].join("+");

/** Bytes of the epilogue's extra operands over one whole result. */
export const postBytes = (node: AnchorNode, entry: Entry, context: LowerContext): string =>
  operandsBytes(node.args.slice(ownArity(node)), entry, context);

/** Operations of an expression. */
export function flopsOf(expr: Expr | undefined): number {
  return expr === undefined || expr.op !== "call" ? 0 : 1 + expr.args.reduce((sum, a) => sum + flopsOf(a), 0);
}

/**
 * Joins one value a lane into one, known to every lane: `parts` lanes each join their share, then every lane theirs. Two barriers, where a
 * binary tree has one a level. Of lanes `apart` from each other where that is given, each such set by itself; `lanes` is a multiple of
 * `parts * apart`, and where they are equal there is one barrier.
 */
export function joinLanes(
  k: KernelBuilder,
  scratch: string,
  lanes: Operand,
  value: KExpr,
  join: (a: KExpr, b: KExpr) => KExpr,
  { parts, apart } = { parts: 8, apart: 1 },
): KExpr {
  const joined = (first: KExpr, count: Operand, stride: number): KExpr => {
    const total = k.var("joined", k.loadShared(scratch, first));
    k.for("part", 1, count, (part) => k.assign(total, join(total, k.loadShared(scratch, add(first, mul(part, stride))))));
    return total;
  };
  const heads = parts * apart;
  k.storeShared(scratch, lane, value);
  k.barrier();
  if (lanes !== heads) {
    k.if(lt(lane, heads), () => k.storeShared(scratch, lane, joined(lane, div(lanes, heads), heads)));
    k.barrier();
  }
  return joined(mod(lane, apart), parts, apart);
}
