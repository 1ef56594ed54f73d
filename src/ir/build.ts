/** Builds a graph node by node; every call infers and checks the type, and blames the caller's place in the source. */
import { bug, type Loc } from "./error.ts";
import type { Expr } from "./expr.ts";
import type {
  AttentionNode,
  Axis,
  CumulateNode,
  Dim,
  Graph,
  GraphOutput,
  Init,
  Node,
  NormNode,
  PoolNode,
  RotateNode,
  SsmForm,
  TensorType,
  ValueId,
} from "./graph.ts";
import { inferType } from "./infer.ts";

/** What an attention node is beside its arguments. */
export type AttentionForm = Pick<AttentionNode, "heads" | "kvHeads" | "scale" | "window" | "rope">;

export interface GraphBuilder {
  readonly input: (name: string, type: TensorType, loc?: Loc) => ValueId;
  readonly param: (name: string, dims: readonly Dim[], init?: Init, loc?: Loc) => ValueId;
  /** A parameter that no checkpoint holds. */
  readonly fixed: (name: string, dims: readonly Dim[], init: Init, loc?: Loc) => ValueId;
  readonly map: (expr: Expr, args: readonly ValueId[], loc?: Loc) => ValueId;
  readonly matmul: (x: ValueId, w: ValueId, outName?: string, loc?: Loc) => ValueId;
  readonly norm: (x: ValueId, kind: NormNode["kind"], eps: number, loc?: Loc, groups?: number) => ValueId;
  /** `steps`: so many of the last or the first. */
  readonly pool: (x: ValueId, kind: PoolNode["kind"], loc?: Loc, steps?: number) => ValueId;
  /** `args`: x, then what the form says. */
  readonly ssm: (form: SsmForm, args: readonly ValueId[], loc?: Loc) => ValueId;
  readonly conv: (x: ValueId, w: ValueId, loc?: Loc, axis?: Axis) => ValueId;
  readonly attention: (args: readonly [q: ValueId, k: ValueId, v: ValueId], form: AttentionForm, loc?: Loc) => ValueId;
  readonly embed: (ids: ValueId, table: ValueId, loc?: Loc) => ValueId;
  /** With a step: every `step`-th channel from `start`, `size` of them. */
  readonly slice: (x: ValueId, start: number, size: number, loc?: Loc, step?: number) => ValueId;
  readonly concat: (args: readonly ValueId[], loc?: Loc) => ValueId;
  /** `only`: of each block only that step, instead of all. */
  readonly pack: (x: ValueId, by: number, only?: number, loc?: Loc) => ValueId;
  readonly unpack: (x: ValueId, by: number, loc?: Loc) => ValueId;
  readonly reverse: (x: ValueId, loc?: Loc) => ValueId;
  readonly lowpass: (x: ValueId, by: number, loc?: Loc) => ValueId;
  /** Every block of `block` channels `times` times. */
  readonly repeat: (x: ValueId, block: number, times: number, loc?: Loc) => ValueId;
  /** `args`: x, and f where the kind is `max-plus`. */
  readonly cumulate: (kind: CumulateNode["kind"], args: readonly ValueId[], loc?: Loc) => ValueId;
  readonly rotate: (x: ValueId, angles: ValueId, planes: Pick<RotateNode, "size" | "planes" | "pairs">, loc?: Loc) => ValueId;
  /** Adds a finished node as it is, its args already numbered in this graph. */
  readonly add: (node: Node) => ValueId;
  readonly typeOf: (value: ValueId) => TensorType;
  readonly finish: (outputs: readonly GraphOutput[]) => Graph;
}

/** Throws: CompileError `shape-mismatch` from every method that takes values. */
export function graphBuilder(name: string): GraphBuilder {
  const nodes: Node[] = [];
  const typeOf = (value: ValueId): TensorType => nodes[value]?.type ?? bug(`no value %${value}`);
  const types = (args: readonly ValueId[]): TensorType[] => args.map(typeOf);
  const add = (node: Node): ValueId => nodes.push(node) - 1;
  return {
    add,
    typeOf,
    input: (inputName, type, loc) => add({ op: "input", name: inputName, type, args: [], loc }),
    param: (paramName, dims, init, loc) => add({ op: "param", name: paramName, type: { dtype: "f32", dims }, init, args: [], loc }),
    fixed: (paramName, dims, init, loc) =>
      add({ op: "param", name: paramName, type: { dtype: "f32", dims }, init, fixed: true, args: [], loc }),
    map: (expr, args, loc) => add({ op: "map", expr, args, loc, type: inferType({ op: "map", expr, args, loc }, types(args)) }),
    matmul: (x, w, outName = "H", loc?) =>
      add({
        op: "matmul",
        parts: 1,
        args: [x, w],
        loc,
        type: inferType({ op: "matmul", parts: 1, outName, args: [x, w], loc }, types([x, w])),
      }),
    norm: (x, kind, eps, loc, groups = 1) => {
      const node = { op: "norm", kind, eps, ...(groups === 1 ? {} : { groups }), args: [x], loc } as const;
      return add({ ...node, type: inferType(node, types([x])) });
    },
    pool: (x, kind, loc, steps = 1) => {
      const node = { op: "pool", kind, ...(steps === 1 ? {} : { steps }), args: [x], loc } as const;
      return add({ ...node, type: inferType(node, types([x])) });
    },
    ssm: (form, args, loc) => add({ op: "ssm", form, args, loc, type: inferType({ op: "ssm", form, args, loc }, types(args)) }),
    conv: (x, w, loc, axis) =>
      add({ op: "conv", axis, args: [x, w], loc, type: inferType({ op: "conv", args: [x, w], loc }, types([x, w])) }),
    attention: (args, { heads, kvHeads, scale, window, rope }, loc) => {
      const bounds = { ...(window === undefined ? {} : { window }), ...(rope === undefined ? {} : { rope }) };
      const node = { op: "attention", heads, kvHeads, scale, ...bounds, args, loc } as const;
      return add({ ...node, type: inferType(node, types(args)) });
    },
    embed: (ids, table, loc) =>
      add({ op: "embed", args: [ids, table], loc, type: inferType({ op: "embed", args: [ids, table], loc }, types([ids, table])) }),
    slice: (x, start, size, loc, step) => {
      const node = { op: "slice", start, ...(step === undefined || step === 1 ? {} : { step }), args: [x], loc } as const;
      return add({ ...node, type: inferType(node, types([x]), size) });
    },
    concat: (args, loc) => add({ op: "concat", args, loc, type: inferType({ op: "concat", args, loc }, types(args)) }),
    pack: (x, by, only, loc) => {
      const node = { op: "pack", by, ...(only === undefined ? {} : { only }), args: [x], loc } as const;
      return add({ ...node, type: inferType(node, types([x])) });
    },
    unpack: (x, by, loc) => add({ op: "unpack", by, args: [x], loc, type: inferType({ op: "unpack", by, args: [x], loc }, types([x])) }),
    reverse: (x, loc) => add({ op: "reverse", args: [x], loc, type: inferType({ op: "reverse", args: [x], loc }, types([x])) }),
    lowpass: (x, by, loc) => add({ op: "lowpass", by, args: [x], loc, type: inferType({ op: "lowpass", by, args: [x], loc }, types([x])) }),
    repeat: (x, block, times, loc) => {
      const node = { op: "repeat", block, times, args: [x], loc } as const;
      return add({ ...node, type: inferType(node, types([x])) });
    },
    cumulate: (kind, args, loc) => {
      const node = { op: "cumulate", kind, args, loc } as const;
      return add({ ...node, type: inferType(node, types(args)) });
    },
    rotate: (x, angles, planes, loc) => {
      const node = { op: "rotate", ...planes, args: [x, angles], loc } as const;
      return add({ ...node, type: inferType(node, types(node.args)) });
    },
    finish: (outputs) => ({ name, nodes, outputs }),
  };
}
