/**
 * Layers that are state space models: `s4d` from the table of families, and `ssm`, written as its own matrices
 * x' = A x + B u, y = C x + D u. Both give one `ssm` node of stage `family`; what it means is said in `src/ssm/`.
 *
 * A node of family `dense` has the arguments x, the parameters in the order declared, and last delta where that is a
 * parameter (a delta that is a number stands in `options.delta`). In its entries, `$k` is the k-th element of the
 * parameters, one behind the other: a scalar (dims `[]`, or `[H]` for one a channel) is one element, a matrix
 * `[N N2]` its elements row by row.
 */
import { arg, call, constant as num, type Expr } from "../ir/expr.ts";
import type { Dim, Init, SystemEntries, ValueId } from "../ir/graph.ts";
import { dense as denseFamily } from "../ssm/families/dense.ts";
import { s4d as s4dFamily } from "../ssm/families/s4d.ts";
import type { Family, Options } from "../ssm/family.ts";
import { scalar, type Matrix, type Scalar } from "./entries.ts";
import { checkState, deltaRange, familyNode, familyParams, type Discretization, type FamilyOptions } from "./family-layer.ts";
import { constant, normal } from "./init.ts";
import { makeTensor, type Sequence, type Tensor } from "./tensor.ts";
import { fail, here, layerName, parameter, trace, valueOf, type Named } from "./trace.ts";

/** Options of `s4d`. */
export interface S4dOptions extends FamilyOptions {
  /** Full state size N of one channel; half as many complex states are stored. 64 where absent. */
  readonly state?: number;
  /** Where the poles start without weights; `lin` where absent. */
  readonly init?: "lin" | "inv" | "inv2" | "quad" | "real" | "legs" | "random";
}

/**
 * S4D: on every channel its own diagonal complex system in conjugate pairs, with skip D u.
 * Shapes: `D` `[H]`, `kernel.C` `[H N/2 2]`, `kernel.log_dt` `[H]`, `kernel.log_A_real`, `kernel.A_imag` `[H N/2]`.
 * Source: Gu et al. 2022 (2206.11893), section 4; names of the minimal reference implementation.
 */
export function s4d<S extends Sequence>(x: Tensor<S>, options: S4dOptions = {}): Tensor<S> {
  const { state = 64, init = "lin" } = options;
  return familyLayer(s4dFamily, x, state, { init }, options, (name) => (name === "D" ? name : `kernel.${name}`));
}

/** Options of `dense`. */
export interface DenseOptions extends FamilyOptions {
  /** N, the rows of A. */
  readonly state: number;
  /** The basis that A and B start from without weights; `legs` where absent. `docs/bases.md` says what each remembers. */
  readonly init?: BasisName;
  /** Length of the window that `legt`, `lmu`, `fourier`, `fourier2`, `fourier_decay`, `fourier_complex`, `fru` and `chebt` remember, in units of time. */
  readonly window?: number;
  /** Of `glagt`: from 0 up to 1. */
  readonly alpha?: number;
  /** Of `lagt`, `tlagt` and `glagt`: above 0. */
  readonly beta?: number;
  /** Of `fru`: turns of each wave within the window, one for every two states; 0, 1, 2, .. where absent. */
  readonly frequencies?: readonly number[];
  readonly structure?: Structure;
}

/**
 * The form that a state matrix must have in the bundle: `auto`, where absent, is the cheapest that is exact; building fails
 * with the reason where one that is asked for is not exact or not safe.
 */
export type Structure = "auto" | "dense" | "diagonal" | "dplr";

/** Bases that a `dense` system may start from. */
export type BasisName =
  | "legs"
  | "legsd"
  | "legt"
  | "lmu"
  | "lagt"
  | "tlagt"
  | "glagt"
  | "fourier"
  | "fout"
  | "fourier2"
  | "fourier_decay"
  | "fourier_complex"
  | "foud"
  | "fourier_diag"
  | "fru"
  | "chebt"
  | "random"
  | "diagonal"
  | "rotation";

/**
 * A system whose matrices are parameters in full, the same on every channel.
 * Shapes: `A` `[N N]`, `B` `[N 1]`, `C` `[1 N]`, `D` `[1 1]`, `delta` `[]`.
 */
export function dense<S extends Sequence>(x: Tensor<S>, options: DenseOptions): Tensor<S> {
  const { state, init = "legs", window, alpha, beta, structure } = options;
  const frequencies = options.frequencies?.join(" ");
  const given = Object.entries({ window, alpha, beta, frequencies, structure }).flatMap(([key, value]) =>
    value === undefined ? [] : [[key, value]],
  );
  return familyLayer(denseFamily, x, state, { init, ...(Object.fromEntries(given) as Options) }, options, (name) => name);
}

/** A family on every channel, its parameters under `leaf` names. */
function familyLayer<S extends Sequence>(
  family: Family,
  x: Tensor<S>,
  state: number,
  own: Options,
  options: FamilyOptions,
  leaf: (param: string) => string,
): Tensor<S> {
  checkState(state);
  const system = { family, state, options: { ...own, ...deltaRange(options.delta) } };
  const params = familyParams(system, x.shape.H, layerName(family.name, options.name), leaf);
  return familyNode(x, system, options.discretize ?? "zoh", params);
}

/** A parameter of an `ssm`, declared by `param`. */
export interface Param<V extends Scalar | Matrix = Scalar | Matrix> {
  readonly kind: "param";
  /** Rows and columns of a matrix; empty for a scalar. */
  readonly size: readonly [] | readonly [number, number];
  readonly init: Init;
  /** One value a channel, instead of one for all. */
  readonly perChannel: boolean;
  /** Stored as its logarithm, under `log_<name>`. */
  readonly positive: boolean;
  /** What the entries see: `entry` is the expression of an element by its number among its own. */
  readonly view: (entry: (k: number) => Expr) => V;
}

/** Options of a scalar parameter. */
export interface ParamOptions {
  /** `channel`: every channel has its own value. */
  readonly per?: "model" | "channel";
}

const asInit = (init: number | Init): Init => (typeof init === "number" ? constant(init) : init);
const viewScalar = (entry: (k: number) => Expr): Scalar => scalar(entry(0));

function scalarParam(init: number | Init, options: ParamOptions = {}): Param<Scalar> {
  return { kind: "param", size: [], init: asInit(init), perChannel: options.per === "channel", positive: false, view: viewScalar };
}

function positiveParam(value: number, options: ParamOptions = {}): Param<Scalar> {
  if (!(value > 0)) fail("bad-init", `a positive parameter starts at ${value}`, "give a number above 0");
  return { ...scalarParam(Math.log(value), options), positive: true };
}

function matrixParam(rows: number, columns: number, init: number | Init = normal(0, 1 / Math.sqrt(columns))): Param<Matrix> {
  checkState(rows);
  checkState(columns);
  const view = (entry: (k: number) => Expr): Matrix => ({
    kind: "matrix",
    rows: Array.from({ length: rows }, (_, i) => Array.from({ length: columns }, (__, j) => entry(i * columns + j))),
  });
  return { kind: "param", size: [rows, columns], init: asInit(init), perChannel: false, positive: false, view };
}

/** Declares a parameter of an `ssm`: `param(init)` a number, `param.positive(start)` one above 0, `param.matrix(rows, columns)` a full matrix. */
export const param: {
  (init: number | Init, options?: ParamOptions): Param<Scalar>;
  /** Stored as its logarithm, under `log_<name>`. */
  readonly positive: (start: number, options?: ParamOptions) => Param<Scalar>;
  readonly matrix: (rows: number, columns: number, init?: number | Init) => Param<Matrix>;
} = Object.assign(scalarParam, { positive: positiveParam, matrix: matrixParam });

/** What an `ssm` is made from, apart from its matrices. */
export interface SsmSpec<P> {
  /** N, the rows of A. */
  readonly state: number;
  /** Parameters by name, as `param` declares them. */
  readonly params?: P;
  /** Step size; 1 where absent. */
  readonly delta?: number | Param<Scalar>;
  readonly discretize?: Discretization;
  readonly structure?: Structure;
}

/** The matrices of one input and one output: A `[N N]`, B `[N 1]`, C `[1 N]`, D `[1 1]` (0 where absent). */
export interface SystemMatrices {
  readonly A: Matrix;
  readonly B: Matrix;
  readonly C: Matrix;
  readonly D?: Matrix;
}

type Views<P> = P extends infer Q ? { readonly [K in keyof Q]: Q[K] extends Param<infer V> ? V : never } : never;
/** An `ssm` as a layer: the same system on every channel. */
export type SsmLayer = <S extends Sequence>(x: Tensor<S>, options?: Named) => Tensor<S>;

/**
 * Declares a layer by its system x' = A x + B u, y = C x + D u; entries are numbers, parameters, or formulas of both.
 * Throws: CompileError `bad-matrix`, where the layer is declared.
 */
export function ssm<const P extends { readonly [K in keyof P]: Param }>(
  name: string,
  spec: SsmSpec<P>,
  system: (params: Views<P>) => SystemMatrices,
): SsmLayer {
  checkState(spec.state);
  const declared: Readonly<Record<string, Param>> = spec.params ?? {};
  const entries = entriesOf(spec.state, system(viewsOf(declared) as Views<P>));
  return (x, options = {}) => {
    const running = trace();
    const layer = layerName(name, options.name);
    const channels = { name: "H", size: x.shape.H };
    const args = [valueOf(x), ...Object.entries(declared).map(([key, p]) => declare(layer, key, p, channels))];
    const { delta = 1 } = spec;
    if (typeof delta !== "number") args.push(deltaArg(layer, delta, channels));
    const options_ = {
      ...(typeof delta === "number" ? { delta } : {}),
      ...(spec.structure === undefined ? {} : { structure: spec.structure }),
    };
    const form = {
      stage: "family",
      family: "dense",
      discretization: spec.discretize ?? "zoh",
      state: spec.state,
      options: options_,
      entries,
    } as const;
    return makeTensor(x.shape, running.builder.ssm(form, args, here()), running);
  };
}

function declare(layer: string, key: string, p: Param, channels: Dim): ValueId {
  const [rows, columns] = p.size;
  const own: Dim[] =
    rows === undefined || columns === undefined
      ? []
      : [
          { name: "N", size: rows },
          { name: "N2", size: columns },
        ];
  return parameter(layer, p.positive ? `log_${key}` : key, p.perChannel ? [channels, ...own] : own, p.init);
}

function deltaArg(layer: string, p: Param, channels: Dim): ValueId {
  const stored = declare(layer, "delta", p, channels);
  return p.positive ? trace().builder.map(call("exp", arg(0)), [stored], here()) : stored;
}

/** What the entries see of each parameter: elements numbered one parameter behind the other. */
function viewsOf(declared: Readonly<Record<string, Param>>): Readonly<Record<string, Scalar | Matrix>> {
  let start = 0;
  const views: Record<string, Scalar | Matrix> = {};
  for (const [key, p] of Object.entries(declared)) {
    const from = start;
    views[key] = p.view((k) => (p.positive ? call("exp", arg(from + k)) : arg(from + k)));
    start += p.size.reduce((product: number, n) => product * n, 1);
  }
  return views;
}

function entriesOf(state: number, { A, B, C, D }: SystemMatrices): SystemEntries {
  const rows = (what: string, matrix: Matrix, r: number, c: number): Matrix["rows"] => {
    const got = `[${matrix.rows.length} ${matrix.rows[0]?.length ?? 0}]`;
    if (got !== `[${r} ${c}]`)
      fail("bad-matrix", `${what} is ${got}, with state ${state} it must be [${r} ${c}]`, "write A [N N], B [N 1], C [1 N], D [1 1]");
    return matrix.rows;
  };
  return {
    A: rows("A", A, state, state),
    B: rows("B", B, state, 1),
    C: rows("C", C, 1, state),
    D: D === undefined ? [[num(0)]] : rows("D", D, 1, 1),
  };
}
