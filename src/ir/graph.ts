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
/** Over the last dim, or over equal groups of it, biased variance, without affine parameters; args: x. */
export interface NormNode extends Anchor {
  readonly op: "norm";
  readonly kind: "layer" | "rms";
  readonly eps: number;
  /** Groups of neighbouring channels, each normed by itself; 1 where absent. */
  readonly groups?: number | undefined;
}
/** Over L, causal: after n steps, of those n; args: x `[B L ..]`. */
export interface PoolNode extends Anchor {
  readonly op: "pool";
  readonly kind: "mean" | "max" | "last" | "first";
  /**
   * Of `last` and `first`: so many steps side by side in the order of time, channel h of the i-th at i H + h, zeros where there
   * was no step; one step where absent.
   */
  readonly steps?: number | undefined;
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
/**
 * Causal softmax attention of grouped queries; args: q `[B L heads*D]`, k, v `[B L kvHeads*D]`. Query head h reads head
 * floor(h kvHeads / heads) of k and v: y_t = sum_s softmax_s(scale q_t . k_s) v_s over the steps s up to t.
 */
export interface AttentionNode extends Anchor {
  readonly op: "attention";
  readonly heads: number;
  readonly kvHeads: number;
  readonly scale: number;
  /** Steps that a query sees, its own included; all so far where absent. */
  readonly window?: number | undefined;
  /** Where absent, no step knows its place. */
  readonly rope?: Rope | undefined;
}
/**
 * Rotary places: in the first `dims` channels of each head of q and k, pair i is turned by the angle t base^(-2i/dims), t
 * counted from the stream's start. Pair i is channels i and i + dims/2, or 2i and 2i + 1 where interleaved.
 */
export interface Rope {
  readonly dims: number;
  readonly base: number;
  readonly interleaved: boolean;
}
/** Rows of a table, for ids outside it the first or the last; args: ids i32 `[B L]`, table `[V H]`. */
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
 * The n = L/by lowest of the L frequencies of a sequence, as n steps: X_k the discrete Fourier transform of x,
 * y_m = Re((1/L) sum_k X_k e^{2 pi i k m / n}) over the k with |k| < n/2, and -n/2 where n is even; args: x `[B L H]`. Of a
 * sequence without higher frequencies these are its own steps at m by.
 */
export interface LowpassNode extends NodeBase {
  readonly op: "lowpass";
  readonly by: number;
}
/**
 * Takes blocks apart, one step of the slower sequence later: in the block of `by` steps that ends with step k of the
 * slower sequence come the channels of its step k - 1, zeros first; args: x `[B L/by H by]`.
 */
export interface UnpackNode extends Anchor {
  readonly op: "unpack";
  readonly by: number;
}

/** Blocks of `block` channels, each `times` times one after the other; args: x. */
export interface RepeatNode extends NodeBase {
  readonly op: "repeat";
  readonly block: number;
  readonly times: number;
}
/**
 * Along L from the start of the stream; args: x `[B L H]`, for `max-plus` also f `[B L H]`.
 *
 * - `sum`: y_t = y_{t-1} + x_t
 * - `turn`: the same modulo 2 pi, from -pi to pi
 * - `max-plus`: y_t = max(y_{t-1} + f_t, x_t), y_0 = x_0
 */
export interface CumulateNode extends NodeBase {
  readonly op: "cumulate";
  readonly kind: "sum" | "turn" | "max-plus";
}
/**
 * Turns planes of every head by angles: (a, b) becomes (a cos - b sin, a sin + b cos); args: x `[B L heads*size]`, angles
 * `[B L H*planes]`. Head i takes the angles of head i mod H; dims in no plane stay.
 */
export interface RotateNode extends NodeBase {
  readonly op: "rotate";
  /** Channels of a head. */
  readonly size: number;
  /** Planes of a head that turn, the first ones. */
  readonly planes: number;
  /** Plane i is of channels 2i and 2i+1, or of i and i + size/2. */
  readonly pairs: "neighbours" | "halves";
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
  | AttentionNode
  | EmbedNode
  | SliceNode
  | ConcatNode
  | PackNode
  | UnpackNode
  | ReverseNode
  | LowpassNode
  | RepeatNode
  | CumulateNode
  | RotateNode;
export type Op = Node["op"];
export type NodeOf<K extends Op> = Extract<Node, { op: K }>;
export type AnchorNode = MatmulNode | NormNode | PoolNode | SsmNode | ConvNode | AttentionNode | EmbedNode | UnpackNode;

/** How A is laid out; decides which modes exist. */
export type Structure = "dense" | "diagonal" | "dplr";

/**
 * The three stages of a time-invariant state space model, and the one that varies in time.
 *
 * - `family`: as declared; args: x, then the family's parameters in the order of its `params`.
 * - `continuous`: A, B, C, D and the step size as numbers; args: x, A, B, C, D, delta.
 *   diagonal: A, B, C `[H N c=2]` (one of each conjugate pair where `pairs`), D `[H]`, delta `[H N]`.
 *   dense: A `[G N N2]`, B `[G N]`, C `[G N]`, D `[G]`, delta `[G]`, G = H, or 1 where all channels share the system.
 *   Dense and dplr ones may have P `outputs`: then C is `[G P N]` or `[H P N c]`, D `[G P]` or `[H P]`, and channel h's are from h P on.
 *   dplr: A `[H N c]`, P `[H R N c]`, B, C `[H N c]`, D `[H]`, delta `[H N]`, one of each conjugate pair: over pairs the
 *   state matrix is diag(A) - sum_r P_r P_r^*.
 * - `discrete`: x_t = Abar x_{t-1} + Bbar u_t, y_t = C x_t + D u_t; args:
 *   diagonal: u, abar `[H N c=2]`, gain `[H N c=2]`, d `[H]`; state x_t = abar x_{t-1} + u_t (complex), y = Re(sum_n gain_n x_n) + d u.
 *   dense: u, abar `[G N N2]`, bbar `[G N]`, c `[G N]`, d `[G]`; with P `outputs` c and d have them behind G or H, as C and D.
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
      /** Not diagonal ones: numbers read from one state; 1 where absent. */
      readonly outputs?: number | undefined;
    }
  | {
      readonly stage: "discrete";
      readonly structure: Structure;
      /** Stored states per channel: N/2 complex ones for conjugate pairs. */
      readonly state: number;
      /** As of `continuous`. */
      readonly outputs?: number | undefined;
    }
  | {
      readonly stage: "scaled";
      readonly state: number;
      /** 0 to 1: forward Euler, bilinear at 1/2, backward Euler. */
      readonly alpha: number;
    }
  | SelectiveForm;

/**
 * A linear recurrence that the input steers, one for all selective families. Head h of H has a state S of N rows and P columns
 * and takes rows k and q of group g = floor(h G / H); at each step
 *
 *     S_t[n, p] = exp(a_t[h, n]) S_{t-1}[n, p] + c_t[g, n] sum_m b_t[g, m] S_{t-1}[m, p] + sum_w gain_t[w, h] k_t[w, g, n] v_t[w, h, p]
 *     y_t[r, h, p] = sum_n q_t[r, g, n] S_t[n, p]
 *
 * args: v `[B L W*H*P]`, k `[B L W*G*N]`, q `[B L R*G*N]`, decay `[B L H]` or `[B L H*N]`, then, where the form says so, rates
 * `[H]` or `[H N]`, gain `[B L W*H]`, b and c `[B L G*N]`, bonus `[G*N]`. All but v may be parameters. Result: `[B L R*H*P]`.
 * Source: the table of section 4 in Gu and Dao, Mamba-2, 2024, and Yang et al., Gated DeltaNet, 2024, table 1.
 */
export interface SelectiveForm {
  readonly stage: "selective";
  /** H, the heads. */
  readonly heads: number;
  /** N, the rows of a head's state. */
  readonly state: number;
  /** P, the columns of a head's state. */
  readonly width: number;
  /** G, the groups of heads that share k and q. */
  readonly groups: number;
  /** W, the products k v written a step. */
  readonly writes: number;
  /** R, the rows q read with a step. */
  readonly reads: number;
  /** a_t is decay times rates; else it is decay. */
  readonly rates: boolean;
  /** Whether there is a gain; else it is 1. */
  readonly gain: boolean;
  /** Whether there are b and c: the delta rule. */
  readonly correction: boolean;
  /** y reads S_{t-1} instead of S_t. */
  readonly before: boolean;
  /** y has also (sum_n q_t[n] bonus[n] k_t[n]) v_t[p]; of one write and one read, and reads before. */
  readonly bonus: boolean;
}

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
    case "attention":
      return 3;
    case "norm":
    case "pool":
    case "unpack":
      return 1;
    case "ssm":
      return ssmArity(node.form, node.args);
  }
}

/** Whether a model can run step by step: nothing reads later inputs, or a grid that is not there yet. */
export const isCausal = (graph: Graph): boolean => !graph.nodes.some(readsAhead);

/** Whether what a node gives at a time step depends on later ones. */
export const readsAhead = (node: Node): boolean => node.op === "reverse" || node.op === "lowpass";

/** The axis of a grid that a node works along, instead of along L. */
export function axisOf(node: Node): Axis | undefined {
  if (node.op === "conv") return node.axis;
  return node.op === "ssm" && node.form.stage === "family" ? node.form.along : undefined;
}

export function isAnchor(node: Node): node is AnchorNode {
  return ["matmul", "norm", "pool", "ssm", "conv", "attention", "embed", "unpack"].includes(node.op);
}

/** One extent: a number, one of several, or any (a rank, which only the operand itself tells). */
export type Extent = number | readonly number[] | "any";
interface Sizes {
  readonly h: number;
  readonly n: number;
  readonly g: readonly number[];
  /** `[P]`, or `[]` for one output. */
  readonly p: readonly number[];
}
type Shapes = (sizes: Sizes) => readonly (readonly Extent[])[];

const continuous: Readonly<Record<Structure, Shapes>> = {
  diagonal: ({ h, n }) => [[h, n, 2], [h, n, 2], [h, n, 2], [h], [h, n]],
  dense: ({ n, g, p }) => [[g, n, n], [g, n], [g, ...p, n], [g, ...p], [g]],
  dplr: ({ h, n, p }) => [
    [h, n, 2],
    [h, "any", n, 2],
    [h, n, 2],
    [h, ...p, n, 2],
    [h, ...p],
    [h, n],
  ],
};

const discrete: Readonly<Record<Structure, Shapes>> = {
  diagonal: ({ h, n }) => [[h, n, 2], [h, n, 2], [h]],
  dense: ({ n, g, p }) => [
    [g, n, n],
    [g, n],
    [g, ...p, n],
    [g, ...p],
  ],
  dplr: ({ h, n, p }) => [
    [h, n, 2],
    [h, "any", n, 2],
    [h, "any", n, 2],
    [h, n, 2],
    [h, ...p, n, 2],
    [h, ...p],
  ],
};

/** The shapes of the operands after x, for `channels` channels; undefined for stage `family`, whose family knows them, and `selective`, whose operands are sequences. */
export function ssmOperandShapes(form: SsmForm, channels: number): readonly (readonly Extent[])[] | undefined {
  if (form.stage === "family" || form.stage === "selective") return undefined;
  if (form.stage === "scaled") return [];
  const shapes = form.stage === "continuous" ? continuous[form.structure] : discrete[form.structure];
  return shapes({ h: channels, n: form.state, g: [1, channels], p: form.outputs === undefined ? [] : [form.outputs] });
}

/** Operands of a node that belong to the system, x included; the rest of `args` feeds the epilogue. */
export function ssmArity(form: SsmForm, args: readonly unknown[]): number {
  if (form.stage === "selective") return selectiveRoles(form).length;
  const shapes = ssmOperandShapes(form, 0);
  return shapes === undefined ? args.length : 1 + shapes.length;
}

/** What an operand of a selective node is. */
export type SelectiveRole = "v" | "k" | "q" | "decay" | "rates" | "gain" | "b" | "c" | "bonus";

/** The operands of a selective node in the order of its arguments. */
export const selectiveRoles = (form: SelectiveForm): readonly SelectiveRole[] => [
  "v",
  "k",
  "q",
  "decay",
  ...(form.rates ? (["rates"] as const) : []),
  ...(form.gain ? (["gain"] as const) : []),
  ...(form.correction ? (["b", "c"] as const) : []),
  ...(form.bonus ? (["bonus"] as const) : []),
];

/** How many numbers a step an operand has, one of several. */
export function selectiveSizes({ heads, state, width, groups, writes, reads }: SelectiveForm, role: SelectiveRole): readonly number[] {
  switch (role) {
    case "v":
      return [writes * heads * width];
    case "k":
      return [writes * groups * state];
    case "q":
      return [reads * groups * state];
    case "decay":
    case "rates":
      return [heads, heads * state];
    case "gain":
      return [writes * heads];
    case "b":
    case "c":
    case "bonus":
      return [groups * state];
  }
}
