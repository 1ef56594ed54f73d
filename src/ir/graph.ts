/**
 * The graph IR: a model as a list of nodes in topological order, each a plain object. About a dozen ops; `map` holds every
 * pointwise function, `ssm` every state space model. Builders that check live in `build.ts`, meaning in `interpret.ts`.
 */
import type { Loc } from "./error.ts";
import type { Expr } from "./expr.ts";
import type { Packed } from "./packed.ts";

export type DType = "f32" | "i32";
/** The length of a sequence: all time steps, or one of every so many. */
export type Length = "L" | `L/${number}`;
/** A number fixed when the model is built, or a size known at run time: batch `B`, a length. */
export type Size = number | "B" | Length;
/** A named dim. Within one type every name occurs once. */
export interface Dim {
  readonly name: string;
  readonly size: Size;
}
export interface TensorType {
  readonly dtype: DType;
  /** Outermost first. A sequence is `[B L ...]`, a pooled value `[B ...]`, a parameter has neither. */
  readonly dims: readonly Dim[];
}

/** Time steps to one of the length's own: 1 for `L`, 4 for `L/4`. */
export const rateOf = (length: Length): number => (length === "L" ? 1 : Number(length.slice(2)));
/** The length that has one step of every `rate`. */
export const lengthAt = (rate: number): Length => (rate === 1 ? "L" : `L/${rate}`);
export const isLength = (size: Size): size is Length => typeof size === "string" && size !== "B";

/** The index of a node in its graph. */
export type ValueId = number;

interface NodeBase {
  readonly type: TensorType;
  readonly args: readonly ValueId[];
  readonly loc?: Loc | undefined;
}

/** Ops that a pass may fuse a pointwise epilogue into. */
interface Anchor extends NodeBase {
  /**
   * Applied to the op's own results (`$0`, for a matmul of several parts `$0 .. $parts-1`), then to the values that
   * follow the op's own operands in `args`.
   */
  readonly post?: Expr | undefined;
}

export interface InputNode extends NodeBase {
  readonly op: "input";
  readonly name: string;
}
/** A weight, by its name in the model; its values live beside the graph, in `Constants`. */
export interface ParamNode extends NodeBase {
  readonly op: "param";
  readonly name: string;
  readonly init?: Init | undefined;
  /** A number of the model itself and of no checkpoint: always what `init` says. */
  readonly fixed?: true | undefined;
}
/** Pointwise. Every argument's dims are among the result's dims and broadcast over the others. */
export interface MapNode extends NodeBase {
  readonly op: "map";
  readonly expr: Expr;
}
/** `y[.., o] = sum_k x[.., k] w[o, k]`; args: x `[.. K]`, w `[parts*O K]`. */
export interface MatmulNode extends Anchor {
  readonly op: "matmul";
  /** The rows of w split into this many equal parts; each gives one result to `post`. 1 before fusion. */
  readonly parts: number;
}
/** Over the last dim, biased variance, without affine parameters; args: x. */
export interface NormNode extends Anchor {
  readonly op: "norm";
  readonly kind: "layer" | "rms";
  readonly eps: number;
}
/** Over L, causal: after n steps, of those n; args: x `[B L ..]`. */
export interface PoolNode extends Anchor {
  readonly op: "pool";
  readonly kind: "mean" | "max" | "last" | "first";
}
/** A linear state space model on every channel of x `[B L H]`; args: x, then what `form` says. */
export interface SsmNode extends Anchor {
  readonly op: "ssm";
  readonly form: SsmForm;
}
/** Depthwise causal convolution; args: x `[B L H]`, w `[H K]`. y_t = sum_k w[k] x_{t-K+1+k}. */
export interface ConvNode extends Anchor {
  readonly op: "conv";
  /** Along this axis instead of along L: each line of the grid by itself, from zeros. */
  readonly axis?: Axis | undefined;
}
/** An axis of a grid that a sequence holds: time step l is at place floor(l / stride) mod size of it. */
export interface Axis {
  readonly size: number;
  readonly stride: number;
}
/** Rows of a table; args: ids i32 `[B L]`, table `[V H]`. */
export interface EmbedNode extends Anchor {
  readonly op: "embed";
}
/** `start`, `start + step`, .. of the last dim. */
export interface SliceNode extends NodeBase {
  readonly op: "slice";
  readonly start: number;
  /** 1 where absent. */
  readonly step?: number | undefined;
}
/** Along the last dim. */
export interface ConcatNode extends NodeBase {
  readonly op: "concat";
}
/** Along L: y_t = x_{L-1-t}; args: x `[B L ..]`. */
export interface ReverseNode extends NodeBase {
  readonly op: "reverse";
}

/**
 * Every `by` steps become one, their channels side by side: channel h of step s in its block is channel h by + s; args: x
 * `[B L H]`. A block that is not full yet waits.
 */
export interface PackNode extends NodeBase {
  readonly op: "pack";
  readonly by: number;
  /** Of the block only this step, counted from 0: the channels stay as they are. */
  readonly only?: number | undefined;
}
/**
 * Takes blocks apart, one step of the slower sequence later: in the block of `by` steps that ends with step k of the
 * slower sequence come the channels of its step k - 1, zeros first; args: x `[B L/by H by]`.
 */
export interface UnpackNode extends Anchor {
  readonly op: "unpack";
  readonly by: number;
}

export type Node =
  | InputNode
  | ParamNode
  | MapNode
  | MatmulNode
  | NormNode
  | PoolNode
  | SsmNode
  | ConvNode
  | EmbedNode
  | SliceNode
  | ConcatNode
  | PackNode
  | UnpackNode
  | ReverseNode;
export type Op = Node["op"];
export type NodeOf<K extends Op> = Extract<Node, { op: K }>;
export type AnchorNode = MatmulNode | NormNode | PoolNode | SsmNode | ConvNode | EmbedNode | UnpackNode;

/** How A is laid out; decides which modes exist. */
export type Structure = "dense" | "diagonal" | "dplr";

/**
 * The three stages of a time-invariant state space model, and the one that varies in time.
 *
 * - `family`: as declared; args: x, then the family's parameters in the order of its `params`.
 * - `continuous`: A, B, C, D and the step size as numbers; args: x, A, B, C, D, delta.
 *   diagonal: A, B, C `[H N c=2]` (one of each conjugate pair where `pairs`), D `[H]`, delta `[H N]`.
 *   dense: A `[G N N2]`, B `[G N]`, C `[G N]`, D `[G]`, delta `[G]`, G = H, or 1 where all channels share the system.
 *   dplr: A `[H N c]`, P `[H R N c]`, B, C `[H N c]`, D `[H]`, delta `[H N]`, one of each conjugate pair: over pairs the
 *   state matrix is diag(A) - sum_r P_r P_r^*.
 * - `discrete`: x_t = Abar x_{t-1} + Bbar u_t, y_t = C x_t + D u_t; args:
 *   diagonal: u, abar `[H N c=2]`, gain `[H N c=2]`, d `[H]`; state x_t = abar x_{t-1} + u_t (complex), y = Re(sum_n gain_n x_n) + d u.
 *   dense: u, abar `[G N N2]`, bbar `[G N]`, c `[G N]`, d `[G]`.
 *   dplr: u, abar `[H N c]`, p `[H R N c]`, q `[H R N c]`, bbar `[H N c]`, c `[H N c]`, d `[H]`, with s_r = Re(sum_n q_rn x_n):
 *   x_t = abar x_{t-1} - sum_r p_r s_r + bbar u_t (complex), y = Re(sum_n c_n x_n) + d u.
 * - `scaled`: HiPPO-LegS as first defined, x' = (A x + B u) / t, on every channel; args: u. Sample k = 1, 2, .. applies the
 *   generalized bilinear rule `alpha` with step 1/k. Result: all of x, channel h's from h N on, so `[B L H*N]`. The state
 *   kept is x_n / sqrt(2 n + 1), which makes every coefficient of the recurrence a whole number over k.
 */
export type SsmForm =
  | {
      readonly stage: "family";
      readonly family: string;
      readonly discretization: string;
      /** Full state size N of one channel, as the literature counts it. */
      readonly state: number;
      /** Channels of the result, where the family gives another number than it takes. */
      readonly width?: number | undefined;
      /** Runs along the lines of this axis, from zero at the begin of each, so many steps later. */
      readonly along?: (Axis & { readonly delay: number }) | undefined;
      /** Options of the family, such as the name of its initialization. */
      readonly options: Readonly<Record<string, string | number | boolean>>;
      /** For the family `dense`: the entries of A, B, C, D as expressions of the node's scalar parameters. */
      readonly entries?: SystemEntries | undefined;
    }
  | {
      readonly stage: "continuous";
      readonly structure: Structure;
      readonly discretization: string;
      readonly state: number;
      /** Diagonal only: each stored state stands for itself and its conjugate. */
      readonly pairs: boolean;
    }
  | {
      readonly stage: "discrete";
      readonly structure: Structure;
      /** Stored states per channel: N/2 complex ones for conjugate pairs. */
      readonly state: number;
    }
  | {
      readonly stage: "scaled";
      readonly state: number;
      /** 0 to 1: forward Euler, bilinear at 1/2, backward Euler. */
      readonly alpha: number;
    };

export interface SystemEntries {
  readonly A: readonly (readonly Expr[])[];
  readonly B: readonly (readonly Expr[])[];
  readonly C: readonly (readonly Expr[])[];
  readonly D: readonly (readonly Expr[])[];
}

/** How a parameter gets its values where no weights are given. Seeded; `ssm:<what>` asks the parameter's family. */
export type Init =
  | { readonly kind: "constant"; readonly value: number }
  | { readonly kind: "values"; readonly values: readonly number[] }
  | { readonly kind: "uniform"; readonly low: number; readonly high: number }
  | { readonly kind: "normal"; readonly mean: number; readonly std: number }
  | { readonly kind: "logUniform"; readonly low: number; readonly high: number }
  /** Evenly from `low` to `high`. */
  | { readonly kind: "ramp"; readonly low: number; readonly high: number }
  | {
      readonly kind: "family";
      readonly family: string;
      readonly param: string;
      readonly options: Readonly<Record<string, string | number | boolean>>;
    };

export interface GraphOutput {
  readonly name: string;
  readonly value: ValueId;
}
export interface Graph {
  readonly name: string;
  readonly nodes: readonly Node[];
  readonly outputs: readonly GraphOutput[];
}

/** Values of a constant tensor, row-major. */
export interface Constant {
  readonly shape: readonly number[];
  readonly data: Float64Array;
  /** A matrix whose values are exactly these, in fewer bits; float32 on the device where absent. */
  readonly packed?: Packed | undefined;
}
/** The values of a graph's `param` nodes, by name. */
export type Constants = ReadonlyMap<string, Constant>;

/** How many operands belong to the op itself; the rest of `args` feeds `post`. */
export function ownArity(node: AnchorNode): number {
  switch (node.op) {
    case "matmul":
    case "conv":
    case "embed":
      return 2;
    case "norm":
    case "pool":
    case "unpack":
      return 1;
    case "ssm":
      return ssmArity(node.form, node.args);
  }
}

/** Whether a model can run step by step: nothing reads later inputs, or a grid that is not there yet. */
export const isCausal = (graph: Graph): boolean => graph.nodes.every((node) => node.op !== "reverse" && axisOf(node) === undefined);

/** The axis of a grid that a node works along, instead of along L. */
export function axisOf(node: Node): Axis | undefined {
  if (node.op === "conv") return node.axis;
  return node.op === "ssm" && node.form.stage === "family" ? node.form.along : undefined;
}

export function isAnchor(node: Node): node is AnchorNode {
  return ["matmul", "norm", "pool", "ssm", "conv", "embed", "unpack"].includes(node.op);
}

/** One extent: a number, one of several, or any (a rank, which only the operand itself tells). */
export type Extent = number | readonly number[] | "any";
type Shapes = (sizes: { readonly h: number; readonly n: number; readonly g: readonly number[] }) => readonly (readonly Extent[])[];

const continuous: Readonly<Record<Structure, Shapes>> = {
  diagonal: ({ h, n }) => [[h, n, 2], [h, n, 2], [h, n, 2], [h], [h, n]],
  dense: ({ n, g }) => [[g, n, n], [g, n], [g, n], [g], [g]],
  dplr: ({ h, n }) => [[h, n, 2], [h, "any", n, 2], [h, n, 2], [h, n, 2], [h], [h, n]],
};

const discrete: Readonly<Record<Structure, Shapes>> = {
  diagonal: ({ h, n }) => [[h, n, 2], [h, n, 2], [h]],
  dense: ({ n, g }) => [[g, n, n], [g, n], [g, n], [g]],
  dplr: ({ h, n }) => [[h, n, 2], [h, "any", n, 2], [h, "any", n, 2], [h, n, 2], [h, n, 2], [h]],
};

/** The shapes of the operands after x, for `channels` channels; undefined for stage `family`, whose family knows them. */
export function ssmOperandShapes(form: SsmForm, channels: number): readonly (readonly Extent[])[] | undefined {
  if (form.stage === "family") return undefined;
  if (form.stage === "scaled") return [];
  const shapes = form.stage === "continuous" ? continuous[form.structure] : discrete[form.structure];
  return shapes({ h: channels, n: form.state, g: [1, channels] });
}

/** Operands of a node that belong to the system, x included; the rest of `args` feeds the epilogue. */
export function ssmArity(form: SsmForm, args: readonly unknown[]): number {
  const shapes = ssmOperandShapes(form, 0);
  return shapes === undefined ? args.length : 1 + shapes.length;
}
