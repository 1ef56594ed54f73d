/**
 * The meaning of a graph: float64, plain loops, every op as its definition reads. Slow by design; every mode of every
 * kernel is judged against it. Whole sequences from a given state to the final state, so that any chunking of a
 * sequence gives the same numbers. Imports no family: systems that are not discrete yet come through `options.systems`.
 */
import { bug } from "./error.ts";
import { scalarDef, type Expr } from "./expr.ts";
import { ownArity, type AnchorNode, type Constant, type Constants, type Dim, type Graph, type Node, type SsmNode, type ValueId } from "./graph.ts";

/** x_t = Abar x_{t-1} + Bbar u_t, y_t = C x_t + D u_t, as the stage `discrete` of `SsmForm` lays it out. */
export type DiscreteSystem = DiagonalSystem | DenseSystem;
/** Shapes: abar, gain `[H N 2]`, d `[H]`. */
export interface DiagonalSystem {
  readonly structure: "diagonal";
  readonly abar: Constant;
  readonly gain: Constant;
  readonly d: Constant;
}
/** Shapes: abar `[G N N]`, bbar, c `[G N]`, d `[G]`, G = H or 1. */
export interface DenseSystem {
  readonly structure: "dense";
  readonly abar: Constant;
  readonly bbar: Constant;
  readonly c: Constant;
  readonly d: Constant;
}

/** The discrete system of an ssm node of an earlier stage; `operands` are the values of its arguments after x. */
export type SystemEvaluator = (node: SsmNode, operands: readonly Constant[]) => DiscreteSystem;

/**
 * What a stream remembers between two pushes. One array per stateful node, component-major with channels innermost:
 *
 * - diagonal ssm `[B][2 n + (0: real, 1: imaginary)][H]`: x_n after the last step
 * - dense ssm `[B][n][H]`: x_n after the last step
 * - conv `[B][K-1][H]`: the last K-1 inputs, oldest first
 * - pool `[B][H]`: mean: the running sum; max: the running maximum; last, first: that value
 */
export interface GraphState {
  /** Time steps processed so far. */
  readonly position: number;
  readonly nodes: ReadonlyMap<ValueId, Float64Array>;
}

/** The state before the first step: every node starts as its `startOf` says. */
export const emptyState: GraphState = { position: 0, nodes: new Map() };

export interface InterpretOptions {
  readonly systems?: SystemEvaluator;
  /** Where to continue; `emptyState` where absent. */
  readonly state?: GraphState;
}

export interface Interpretation {
  readonly outputs: ReadonlyMap<string, Constant>;
  readonly state: GraphState;
}

interface Run {
  readonly B: number;
  readonly L: number;
  readonly before: GraphState;
  readonly after: Map<ValueId, Float64Array>;
  readonly systems: SystemEvaluator;
}

/** One computed value: sizes of its dims by name, row-major. */
interface Value {
  readonly dims: readonly Dim[];
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

/** Throws: `bug: ...` where an input or a parameter is missing or has another shape than the graph says. */
export function interpret(graph: Graph, constants: Constants, inputs: Constants, options: InterpretOptions = {}): Interpretation {
  const before = options.state ?? emptyState;
  const systems = options.systems ?? ((node) => bug(`an ssm of stage ${node.form.stage} needs a SystemEvaluator`));
  const run: Run = { ...sizesOf(graph, inputs), before, after: new Map(), systems };
  const values: Value[] = [];
  graph.nodes.forEach((node, id) => values.push(evaluate(run, node, id, node.args.map((a) => values[a] ?? bug(`%${id} uses %${a} before it is computed`)), constants, inputs)));
  const outputs = new Map(graph.outputs.map(({ name, value }) => [name, values[value] ?? bug(`output ${name} is no value`)] as const));
  return { outputs, state: { position: before.position + run.L, nodes: run.after } };
}

/** B and L as the inputs have them; 1 where no input says. */
function sizesOf(graph: Graph, inputs: Constants): { B: number; L: number } {
  const sizes = { B: 1, L: 1 };
  for (const node of graph.nodes) {
    if (node.op !== "input") continue;
    const { shape } = inputs.get(node.name) ?? bug(`no input ${node.name}`);
    node.type.dims.forEach(({ size }, i) => {
      if (typeof size === "string") sizes[size] = shape[i] ?? bug(`input ${node.name} has ${shape.length} dims`);
    });
  }
  return sizes;
}

const product = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

function shapeOf(run: Run, dims: readonly Dim[]): readonly number[] {
  return dims.map(({ size }) => (typeof size === "number" ? size : run[size]));
}

function empty(run: Run, dims: readonly Dim[]): Value {
  const shape = shapeOf(run, dims);
  return { dims, shape, data: new Float64Array(product(shape)) };
}

function given(run: Run, what: string, dims: readonly Dim[], value: Constant | undefined): Value {
  const shape = shapeOf(run, dims);
  if (value === undefined) bug(`no value for ${what}`);
  if (value.shape.join() !== shape.join() || value.data.length !== product(shape)) bug(`${what} is [${value.shape.join(" ")}], the graph says [${shape.join(" ")}]`);
  return { dims, shape, data: value.data };
}

function evaluate(run: Run, node: Node, id: ValueId, args: readonly Value[], constants: Constants, inputs: Constants): Value {
  switch (node.op) {
    case "input":
      return given(run, `input ${node.name}`, node.type.dims, inputs.get(node.name));
    case "param":
      return given(run, `param ${node.name}`, node.type.dims, constants.get(node.name));
    case "map":
      return pointwise(run, node.type.dims, node.expr, args);
    case "slice":
      return slice(run, node.type.dims, node.start, at(args, 0));
    case "concat":
      return concat(run, node.type.dims, args);
    default: {
      const own = ownArity(node);
      const results = anchor(run, node, id, args.slice(0, own));
      return node.post === undefined ? at(results, 0) : pointwise(run, node.type.dims, node.post, [...results, ...args.slice(own)]);
    }
  }
}

/** An anchor's own results, before its epilogue: one, or one for each part of a matmul. */
function anchor(run: Run, node: AnchorNode, id: ValueId, args: readonly Value[]): readonly Value[] {
  const x = at(args, 0);
  if (node.op === "matmul") return Array.from({ length: node.parts }, (_, part) => matmul(x, at(args, 1), empty(run, node.type.dims), part));
  const y = empty(run, node.type.dims);
  const before = run.before.nodes.get(id);
  switch (node.op) {
    case "norm":
      norm(x, y, node.kind, node.eps);
      break;
    case "pool":
      run.after.set(id, pool(run, x, y, node.kind, before));
      break;
    case "conv":
      run.after.set(id, conv(run, x, at(args, 1), y, before));
      break;
    case "embed":
      embed(x, at(args, 1), y);
      break;
    case "ssm": {
      const system = discreteSystem(run, node, args.slice(1));
      run.after.set(id, system.structure === "diagonal" ? diagonal(run, system, x, y, before) : dense(run, system, x, y, before));
      break;
    }
  }
  return [y];
}

/** `y[.., o] = sum_k x[.., k] w[part O + o, k]`. */
function matmul(x: Value, w: Value, y: Value, part: number): Value {
  const inner = last(x.shape);
  const outer = last(y.shape);
  for (let row = 0; row < y.data.length / outer; row++) {
    for (let o = 0; o < outer; o++) {
      let sum = 0;
      for (let k = 0; k < inner; k++) sum += at(x.data, row * inner + k) * at(w.data, (part * outer + o) * inner + k);
      y.data[row * outer + o] = sum;
    }
  }
  return y;
}

/** layer: (x - mean) / sqrt(variance + eps); rms: x / sqrt(mean of squares + eps); over the last dim. */
function norm(x: Value, y: Value, kind: "layer" | "rms", eps: number): void {
  const H = last(x.shape);
  for (let row = 0; row < x.data.length; row += H) {
    let mean = 0;
    if (kind === "layer") for (let h = 0; h < H; h++) mean += at(x.data, row + h) / H;
    let variance = 0;
    for (let h = 0; h < H; h++) variance += (at(x.data, row + h) - mean) ** 2 / H;
    for (let h = 0; h < H; h++) y.data[row + h] = (at(x.data, row + h) - mean) / Math.sqrt(variance + eps);
  }
}

/** Of all steps since the stream began; gives the new state. */
function pool(run: Run, x: Value, y: Value, kind: "mean" | "max" | "last" | "first", before: Float64Array | undefined): Float64Array {
  const { B, L } = run;
  const H = x.data.length / (B * L);
  const state = before?.slice() ?? new Float64Array(B * H).fill(kind === "max" ? -Infinity : 0);
  for (let b = 0; b < B; b++) {
    for (let t = 0; t < L; t++) {
      for (let h = 0; h < H; h++) {
        const value = at(x.data, (b * L + t) * H + h);
        const old = at(state, b * H + h);
        const first = run.before.position + t === 0;
        state[b * H + h] = kind === "mean" ? old + value : kind === "max" ? Math.max(old, value) : kind === "last" || first ? value : old;
      }
    }
  }
  const count = run.before.position + L;
  for (let i = 0; i < state.length; i++) y.data[i] = at(state, i) / (kind === "mean" ? count : 1);
  return state;
}

/** y_t = sum_k w[k] x_{t-K+1+k}; gives the last K-1 inputs. */
function conv(run: Run, x: Value, w: Value, y: Value, before: Float64Array | undefined): Float64Array {
  const { B, L } = run;
  const [H = 0, K = 1] = w.shape;
  const tail = before ?? new Float64Array(B * (K - 1) * H);
  const input = (b: number, t: number, h: number): number => (t < 0 ? at(tail, (b * (K - 1) + t + K - 1) * H + h) : at(x.data, (b * L + t) * H + h));
  const state = new Float64Array(tail.length);
  for (let b = 0; b < B; b++) {
    for (let h = 0; h < H; h++) {
      for (let t = 0; t < L; t++) {
        let sum = 0;
        for (let k = 0; k < K; k++) sum += at(w.data, h * K + k) * input(b, t - K + 1 + k, h);
        y.data[(b * L + t) * H + h] = sum;
      }
      for (let k = 0; k < K - 1; k++) state[(b * (K - 1) + k) * H + h] = input(b, L - K + 1 + k, h);
    }
  }
  return state;
}

function embed(ids: Value, table: Value, y: Value): void {
  const [rows = 0, H = 0] = table.shape;
  ids.data.forEach((id, i) => {
    if (!Number.isInteger(id) || id < 0 || id >= rows) bug(`id ${id} is not a row of a table of ${rows}`);
    for (let h = 0; h < H; h++) y.data[i * H + h] = at(table.data, id * H + h);
  });
}

function discreteSystem(run: Run, node: SsmNode, operands: readonly Value[]): DiscreteSystem {
  if (node.form.stage !== "discrete") return run.systems(node, operands);
  const [abar, second] = [at(operands, 0), at(operands, 1)];
  return node.form.structure === "diagonal"
    ? { structure: "diagonal", abar, gain: second, d: at(operands, 2) }
    : { structure: "dense", abar, bbar: second, c: at(operands, 2), d: at(operands, 3) };
}

/** x_n,t = abar_n x_n,t-1 + u_t (complex), y_t = Re(sum_n gain_n x_n,t) + d u_t; gives the last x. */
function diagonal(run: Run, system: DiagonalSystem, u: Value, y: Value, before: Float64Array | undefined): Float64Array {
  const { B, L } = run;
  const [H = 0, N = 0] = system.abar.shape;
  const state = before?.slice() ?? new Float64Array(B * 2 * N * H);
  for (let b = 0; b < B; b++) {
    for (let h = 0; h < H; h++) {
      for (let t = 0; t < L; t++) {
        const input = at(u.data, (b * L + t) * H + h);
        let output = at(system.d.data, h) * input;
        for (let n = 0; n < N; n++) {
          const [p, re, im] = [2 * (h * N + n), (b * 2 * N + 2 * n) * H + h, (b * 2 * N + 2 * n + 1) * H + h];
          const [ar, ai, xr, xi] = [at(system.abar.data, p), at(system.abar.data, p + 1), at(state, re), at(state, im)];
          state[re] = ar * xr - ai * xi + input;
          state[im] = ar * xi + ai * xr;
          output += at(system.gain.data, p) * at(state, re) - at(system.gain.data, p + 1) * at(state, im);
        }
        y.data[(b * L + t) * H + h] = output;
      }
    }
  }
  return state;
}

/** x_t = Abar x_{t-1} + Bbar u_t, y_t = C x_t + D u_t, one system a channel or one for all; gives the last x. */
function dense(run: Run, system: DenseSystem, u: Value, y: Value, before: Float64Array | undefined): Float64Array {
  const { B, L } = run;
  const [G = 0, N = 0] = system.abar.shape;
  const H = last(u.shape);
  const state = before?.slice() ?? new Float64Array(B * N * H);
  const next = new Float64Array(N);
  for (let b = 0; b < B; b++) {
    for (let h = 0; h < H; h++) {
      const g = G === 1 ? 0 : h;
      for (let t = 0; t < L; t++) {
        const input = at(u.data, (b * L + t) * H + h);
        for (let n = 0; n < N; n++) {
          let sum = at(system.bbar.data, g * N + n) * input;
          for (let m = 0; m < N; m++) sum += at(system.abar.data, (g * N + n) * N + m) * at(state, (b * N + m) * H + h);
          next[n] = sum;
        }
        let output = at(system.d.data, g) * input;
        for (let n = 0; n < N; n++) {
          state[(b * N + n) * H + h] = at(next, n);
          output += at(system.c.data, g * N + n) * at(next, n);
        }
        y.data[(b * L + t) * H + h] = output;
      }
    }
  }
  return state;
}

function slice(run: Run, dims: readonly Dim[], start: number, x: Value): Value {
  const y = empty(run, dims);
  const [from, to] = [last(x.shape), last(y.shape)];
  for (let i = 0; i < y.data.length; i++) y.data[i] = at(x.data, Math.floor(i / to) * from + start + (i % to));
  return y;
}

function concat(run: Run, dims: readonly Dim[], args: readonly Value[]): Value {
  const y = empty(run, dims);
  const to = last(y.shape);
  let start = 0;
  for (const x of args) {
    const from = last(x.shape);
    x.data.forEach((value, i) => (y.data[Math.floor(i / from) * to + start + (i % from)] = value));
    start += from;
  }
  return y;
}

/** Every argument broadcasts over the dims it does not name. */
function pointwise(run: Run, dims: readonly Dim[], expr: Expr, args: readonly Value[]): Value {
  const y = empty(run, dims);
  const f = compile(expr);
  const strides = args.map((a) => dims.map((d) => strideOf(a, d.name)));
  const index = dims.map(() => 0);
  const operands = new Float64Array(args.length);
  for (let i = 0; i < y.data.length; i++) {
    args.forEach((a, j) => (operands[j] = at(a.data, strides[j]?.reduce((sum, s, d) => sum + s * at(index, d), 0) ?? 0)));
    y.data[i] = f(operands);
    for (let d = dims.length - 1; d >= 0; d--) {
      index[d] = at(index, d) + 1;
      if (at(index, d) < at(y.shape, d)) break;
      index[d] = 0;
    }
  }
  return y;
}

function strideOf(value: Value, name: string): number {
  const axis = value.dims.findIndex((d) => d.name === name);
  return axis < 0 ? 0 : product(value.shape.slice(axis + 1));
}

/** `evalExpr` with the walk over the tree done once. */
function compile(expr: Expr): (args: Float64Array) => number {
  switch (expr.op) {
    case "arg":
      return (args) => at(args, expr.index);
    case "const":
      return () => expr.value;
    case "call": {
      const f = scalarDef(expr.fn).eval;
      const [a, b, c] = expr.args.map(compile);
      if (a === undefined) return () => f();
      if (b === undefined) return (args) => f(a(args));
      if (c === undefined) return (args) => f(a(args), b(args));
      return (args) => f(a(args), b(args), c(args));
    }
  }
}

function at<T>(list: ArrayLike<T>, index: number): T {
  return list[index] ?? bug(`index ${index} of ${list.length}`);
}

const last = (shape: readonly number[]): number => at(shape, shape.length - 1);
