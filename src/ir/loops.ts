/**
 * The definition of each op as plain float64 loops, results written into `y`. Stateful ones take the state before
 * (absent: at the start of a stream) and give the state after, laid out as `GraphState` says. Used by `interpret.ts` only.
 */
import { bug } from "./error.ts";
import { scalarDef, type Expr } from "./expr.ts";
import { rateOf, type Axis, type Constant, type Dim } from "./graph.ts";

/** x_t = Abar x_{t-1} + Bbar u_t, y_t = C x_t + D u_t, as the stage `discrete` of `SsmForm` lays it out. */
export type DiscreteSystem = DiagonalSystem | DenseSystem | DplrSystem;
/** A system that is its own taps, `[H K]`, as those of a convolution. */
export interface FiniteResponse {
  readonly structure: "fir";
  readonly taps: Constant;
  readonly axis?: Axis | undefined;
}
/** Shapes: abar, gain `[H N 2]`, d `[H]`. */
export interface DiagonalSystem {
  readonly structure: "diagonal";
  readonly abar: Constant;
  readonly gain: Constant;
  readonly d: Constant;
}
/** Shapes: abar `[G N N]`, bbar, c `[G N]`, d `[G]`, G = H or 1; with P outputs c `[G P N]`, d `[G P]`; of a family with M inputs bbar `[G N M]`, d `[G P M]`. */
export interface DenseSystem {
  readonly structure: "dense";
  readonly abar: Constant;
  readonly bbar: Constant;
  readonly c: Constant;
  readonly d: Constant;
}
/** One system of all channels. Shapes: abar `[N 2]`, bbar `[N H 2]`, c `[H N 2]`, d `[H]`; y = Re(c x) + d u. */
export interface MimoSystem {
  readonly structure: "mimo";
  readonly abar: Constant;
  readonly bbar: Constant;
  readonly c: Constant;
  readonly d: Constant;
}

/** Shapes: abar, bbar, c `[H N 2]`, p, q `[H R N 2]`, d `[H]`; with P outputs c `[H P N 2]`, d `[H P]`. */
export interface DplrSystem {
  readonly structure: "dplr";
  readonly abar: Constant;
  readonly p: Constant;
  readonly q: Constant;
  readonly bbar: Constant;
  readonly c: Constant;
  readonly d: Constant;
}

/** The piece of a stream that is computed at once. */
export interface Span {
  readonly B: number;
  readonly L: number;
  /** Time steps before it. */
  readonly position: number;
}

/** One computed value, row-major. */
export interface Value {
  readonly dims: readonly Dim[];
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

export const product = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** The sizes of dims, with B and lengths as they are here. */
export function shapeOf(span: Span, dims: readonly Dim[]): readonly number[] {
  return dims.map(({ size }) => (typeof size === "number" ? size : size === "B" ? span.B : spanAt(span, rateOf(size)).L));
}

/** The span of a sequence with one step for each block of `rate` that is full: it comes with the block's last step. */
export function spanAt({ B, L, position }: Span, rate: number): Span {
  const before = Math.floor(position / rate);
  return { B, L: Math.floor((position + L) / rate) - before, position: before };
}

/** Zeros of the given dims. */
export function empty(span: Span, dims: readonly Dim[]): Value {
  const shape = shapeOf(span, dims);
  return { dims, shape, data: new Float64Array(product(shape)) };
}

/** `y[.., o] = sum_k x[.., k] w[part O + o, k]`. */
export function matmul(x: Value, w: Value, y: Value, part: number): Value {
  const inner = last(x.shape);
  const outer = last(y.shape);
  for (let row = 0; row < y.data.length / outer; row++) {
    for (let o = 0; o < outer; o++) {
      let sum = 0;
      for (let k = 0; k < inner; k++) sum += num(x.data, row * inner + k) * num(w.data, (part * outer + o) * inner + k);
      y.data[row * outer + o] = sum;
    }
  }
  return y;
}

/** layer: (x - mean) / sqrt(variance + eps); rms: x / sqrt(mean of squares + eps); over the last dim, or groups of it. */
export function norm(x: Value, y: Value, kind: "layer" | "rms", eps: number, groups = 1): void {
  const H = last(x.shape) / groups;
  for (let row = 0; row < x.data.length; row += H) {
    let mean = 0;
    if (kind === "layer") for (let h = 0; h < H; h++) mean += num(x.data, row + h) / H;
    let variance = 0;
    for (let h = 0; h < H; h++) variance += (num(x.data, row + h) - mean) ** 2 / H;
    for (let h = 0; h < H; h++) y.data[row + h] = (num(x.data, row + h) - mean) / Math.sqrt(variance + eps);
  }
}

/** y_t = sum_k w[k] x_{t-K+1+k}; gives the last K-1 inputs. */
export function conv(span: Span, x: Value, w: Constant, y: Value, before: Float64Array | undefined): Float64Array {
  const { B, L } = span;
  const [H = 0, K = 1] = w.shape;
  const tail = before ?? new Float64Array(B * (K - 1) * H);
  const input = (b: number, t: number, h: number): number =>
    t < 0 ? num(tail, (b * (K - 1) + t + K - 1) * H + h) : num(x.data, (b * L + t) * H + h);
  const state = new Float64Array(tail.length);
  for (let b = 0; b < B; b++) {
    for (let h = 0; h < H; h++) {
      for (let t = 0; t < L; t++) {
        let sum = 0;
        for (let k = 0; k < K; k++) sum += num(w.data, h * K + k) * input(b, t - K + 1 + k, h);
        y.data[(b * L + t) * H + h] = sum;
      }
      for (let k = 0; k < K - 1; k++) state[(b * (K - 1) + k) * H + h] = input(b, L - K + 1 + k, h);
    }
  }
  return state;
}

/**
 * y_l = sum_k w[K-1-k] x[l - k stride] along each line of a grid, over the k up to the place of step l on it. Gives the steps that later ones of
 * their lines may meet: the step at l in row l mod R of `[B R H]`, R = (min(K, size) - 1) stride.
 */
export function convAlong(
  span: Span,
  x: Value,
  w: Constant,
  y: Value,
  { size, stride }: Axis,
  before: Float64Array | undefined,
): Float64Array {
  const { B, L, position } = span;
  const [H = 0, K = 1] = w.shape;
  const R = (Math.min(K, size) - 1) * stride;
  const state = before?.slice() ?? new Float64Array(B * R * H);
  for (let b = 0; b < B; b++) {
    for (let t = 0; t < L; t++) {
      const place = Math.floor((position + t) / stride) % size;
      const kept = (back: number): number => (b * R + ((position + t - back * stride) % R)) * H;
      for (let h = 0; h < H; h++) {
        const input = num(x.data, (b * L + t) * H + h);
        let sum = num(w.data, h * K + K - 1) * input;
        for (let back = 1; back <= Math.min(place, K - 1); back++) sum += num(w.data, h * K + K - 1 - back) * num(state, kept(back) + h);
        y.data[(b * L + t) * H + h] = sum;
        if (R > 0) state[kept(0) + h] = input;
      }
    }
  }
  return state;
}

/** Rows of the table; throws for an id that is none. */
export function embed(ids: Value, table: Value, y: Value): void {
  const [rows = 0, H = 0] = table.shape;
  ids.data.forEach((id, i) => {
    if (!Number.isInteger(id)) bug(`id ${id} is no integer`);
    const row = Math.min(Math.max(id, 0), rows - 1);
    for (let h = 0; h < H; h++) y.data[i * H + h] = num(table.data, row * H + h);
  });
}

/** x_n,t = abar_n x_n,t-1 + u_t (complex), y_t = Re(sum_n gain_n x_n,t) + d u_t; gives the last x. */
export function diagonal(span: Span, system: DiagonalSystem, u: Value, y: Value, before: Float64Array | undefined): Float64Array {
  const { B, L } = span;
  const [H = 0, N = 0] = system.abar.shape;
  const state = before?.slice() ?? new Float64Array(B * 2 * N * H);
  for (let b = 0; b < B; b++) {
    for (let h = 0; h < H; h++) {
      for (let t = 0; t < L; t++) {
        const input = num(u.data, (b * L + t) * H + h);
        let output = num(system.d.data, h) * input;
        for (let n = 0; n < N; n++) {
          const [p, re, im] = [2 * (h * N + n), (b * 2 * N + 2 * n) * H + h, (b * 2 * N + 2 * n + 1) * H + h];
          const [ar, ai, xr, xi] = [num(system.abar.data, p), num(system.abar.data, p + 1), num(state, re), num(state, im)];
          state[re] = ar * xr - ai * xi + input;
          state[im] = ar * xi + ai * xr;
          output += num(system.gain.data, p) * num(state, re) - num(system.gain.data, p + 1) * num(state, im);
        }
        y.data[(b * L + t) * H + h] = output;
      }
    }
  }
  return state;
}

/** x_t = Abar x_{t-1} + Bbar u_t, y_t = C x_t + D u_t, on every group of M channels, one system for each or for all; gives the last x. */
export function dense(span: Span, system: DenseSystem, u: Value, y: Value, before: Float64Array | undefined): Float64Array {
  const { B, L } = span;
  const [G = 0, N = 0, M = 1] = system.bbar.shape;
  const P = system.c.shape.length === 3 ? at(system.c.shape, 1) : 1;
  const K = last(u.shape) / M;
  const state = before?.slice() ?? new Float64Array(B * N * K);
  const next = new Float64Array(N);
  for (let b = 0; b < B; b++) {
    for (let k = 0; k < K; k++) {
      const g = G === 1 ? 0 : k;
      for (let t = 0; t < L; t++) {
        const [input, output] = [((b * L + t) * K + k) * M, ((b * L + t) * K + k) * P];
        for (let n = 0; n < N; n++) {
          let sum = 0;
          for (let m = 0; m < M; m++) sum += num(system.bbar.data, (g * N + n) * M + m) * num(u.data, input + m);
          for (let m = 0; m < N; m++) sum += num(system.abar.data, (g * N + n) * N + m) * num(state, (b * N + m) * K + k);
          next[n] = sum;
        }
        for (let n = 0; n < N; n++) state[(b * N + n) * K + k] = num(next, n);
        for (let p = 0; p < P; p++) {
          let sum = 0;
          for (let m = 0; m < M; m++) sum += num(system.d.data, (g * P + p) * M + m) * num(u.data, input + m);
          for (let n = 0; n < N; n++) sum += num(system.c.data, (g * P + p) * N + n) * num(next, n);
          y.data[output + p] = sum;
        }
      }
    }
  }
  return state;
}

/** x_t = abar x_{t-1} - sum_r p_r Re(sum_n q_rn x_n,t-1) + bbar u_t (complex), y_t = Re(sum_n c_n x_n,t) + d u_t for every output; gives the last x. */
export function dplr(span: Span, system: DplrSystem, u: Value, y: Value, before: Float64Array | undefined): Float64Array {
  const { B, L } = span;
  const [H = 0, R = 0, N = 0] = system.p.shape;
  const outputs = system.d.data.length / H;
  const state = before?.slice() ?? new Float64Array(B * 2 * N * H);
  const inner = new Float64Array(R);
  for (let b = 0; b < B; b++) {
    for (let h = 0; h < H; h++) {
      const place = (n: number, part: 0 | 1): number => (b * 2 * N + 2 * n + part) * H + h;
      for (let t = 0; t < L; t++) {
        const input = num(u.data, (b * L + t) * H + h);
        for (let r = 0; r < R; r++) {
          inner[r] = 0;
          for (let n = 0; n < N; n++) inner[r] = num(inner, r) + realProduct(system.q.data, (h * R + r) * N + n, state, place(n, 0), H);
        }
        for (let n = 0; n < N; n++) {
          const k = 2 * (h * N + n);
          const [ar, ai, xr, xi] = [
            num(system.abar.data, k),
            num(system.abar.data, k + 1),
            num(state, place(n, 0)),
            num(state, place(n, 1)),
          ];
          let re = ar * xr - ai * xi + num(system.bbar.data, k) * input;
          let im = ar * xi + ai * xr + num(system.bbar.data, k + 1) * input;
          for (let r = 0; r < R; r++) {
            re -= num(system.p.data, 2 * ((h * R + r) * N + n)) * num(inner, r);
            im -= num(system.p.data, 2 * ((h * R + r) * N + n) + 1) * num(inner, r);
          }
          state[place(n, 0)] = re;
          state[place(n, 1)] = im;
        }
        for (let p = 0; p < outputs; p++) {
          const row = h * outputs + p;
          let output = num(system.d.data, row) * input;
          for (let n = 0; n < N; n++) output += realProduct(system.c.data, row * N + n, state, place(n, 0), H);
          y.data[(b * L + t) * H * outputs + row] = output;
        }
      }
    }
  }
  return state;
}

/** x_n,t = abar_n x_n,t-1 + sum_h bbar_n,h u_h,t (complex), y_h,t = Re(sum_n c_h,n x_n,t) + d_h u_h,t; gives the last x. */
export function mimo(span: Span, { abar, bbar, c, d }: MimoSystem, u: Value, y: Value, before: Float64Array | undefined): Float64Array {
  const { B, L } = span;
  const [N = 0, H = 0] = bbar.shape;
  const state = before?.slice() ?? new Float64Array(B * 2 * N);
  for (let b = 0; b < B; b++) {
    for (let t = 0; t < L; t++) {
      const row = (b * L + t) * H;
      for (let n = 0; n < N; n++) {
        const [re, im] = [(b * N + n) * 2, (b * N + n) * 2 + 1];
        const [ar, ai, xr, xi] = [num(abar.data, 2 * n), num(abar.data, 2 * n + 1), num(state, re), num(state, im)];
        let [nextRe, nextIm] = [ar * xr - ai * xi, ar * xi + ai * xr];
        for (let h = 0; h < H; h++) {
          nextRe += num(bbar.data, 2 * (n * H + h)) * num(u.data, row + h);
          nextIm += num(bbar.data, 2 * (n * H + h) + 1) * num(u.data, row + h);
        }
        state[re] = nextRe;
        state[im] = nextIm;
      }
      for (let h = 0; h < H; h++) {
        let output = num(d.data, h) * num(u.data, row + h);
        for (let n = 0; n < N; n++) {
          const [p, x] = [2 * (h * N + n), (b * N + n) * 2];
          output += num(c.data, p) * num(state, x) - num(c.data, p + 1) * num(state, x + 1);
        }
        y.data[row + h] = output;
      }
    }
  }
  return state;
}

/** Re(a_i x) of interleaved `a` and a state whose parts lie `H` apart. */
const realProduct = (a: Float64Array, i: number, state: Float64Array, at: number, H: number): number =>
  num(a, 2 * i) * num(state, at) - num(a, 2 * i + 1) * num(state, at + H);

/** `start`, `start + step`, .. of the last dim. */
export function slice(span: Span, dims: readonly Dim[], start: number, step: number, x: Value): Value {
  const y = empty(span, dims);
  const [from, to] = [last(x.shape), last(y.shape)];
  for (let i = 0; i < y.data.length; i++) y.data[i] = num(x.data, Math.floor(i / to) * from + start + (i % to) * step);
  return y;
}

/** Along the last dim. */
export function concat(span: Span, dims: readonly Dim[], args: readonly Value[]): Value {
  const y = empty(span, dims);
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
export function pointwise(span: Span, dims: readonly Dim[], expr: Expr, args: readonly Value[]): Value {
  const y = empty(span, dims);
  const f = compile(expr);
  const strides = args.map((a) => dims.map((d) => strideOf(a, d.name)));
  const index = dims.map(() => 0);
  const operands = new Float64Array(args.length);
  for (let i = 0; i < y.data.length; i++) {
    args.forEach((a, j) => (operands[j] = num(a.data, strides[j]?.reduce((sum, s, d) => sum + s * at(index, d), 0) ?? 0)));
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
      return (args) => num(args, expr.index);
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

/** The number at `index`; apart from `at` so that the loops above stay fast. */
export function num(data: Float64Array, index: number): number {
  return data[index] ?? bug(`index ${index} of ${data.length}`);
}

/** The element at `index`; there must be one. */
export function at<T>(list: ArrayLike<T>, index: number): T {
  return list[index] ?? bug(`index ${index} of ${list.length}`);
}

/** The innermost extent. */
export const last = (shape: readonly number[]): number => at(shape, shape.length - 1);
