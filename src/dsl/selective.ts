/** Layers of the selective families: recurrences whose step size, decay, input or output is a tensor of the model. */
import { arg, call } from "../ir/expr.ts";
import type { Init, ValueId } from "../ir/graph.ts";
import { type Recurrence, type RecurrenceSizes, sizeOfDims, termsOf } from "../ssm/recurrence.ts";
import { gatedDelta as gatedDeltaFamily } from "../ssm/recurrences/gated-delta.ts";
import { gla } from "../ssm/recurrences/gla.ts";
import { hgrn as hgrnFamily } from "../ssm/recurrences/hgrn.ts";
import { mamba } from "../ssm/recurrences/mamba.ts";
import { mamba3Mimo, mamba3Siso } from "../ssm/recurrences/mamba3.ts";
import { mlstm as mlstmFamily } from "../ssm/recurrences/mlstm.ts";
import { retention as retentionFamily } from "../ssm/recurrences/retention.ts";
import { rgLru as rgLruFamily } from "../ssm/recurrences/rg-lru.ts";
import { rwkv6 as rwkv6Family } from "../ssm/recurrences/rwkv6.ts";
import { rwkv7 as rwkv7Family } from "../ssm/recurrences/rwkv7.ts";
import { ssd as ssdFamily } from "../ssm/recurrences/ssd.ts";
import { varying } from "../ssm/recurrences/varying.ts";
import { constant } from "./init.ts";
import { makeTensor, type Beside, type Channels, type Sequence, type Tensor } from "./tensor.ts";
import { fail, here, layerName, parameter, trace, valueOf, type Named } from "./trace.ts";

/** Channels of `x` for each of `count`. Throws: CompileError `selective-width`. */
function share(x: { readonly shape: Channels }, what: string, count: number): number {
  const size = x.shape.H / count;
  return Number.isInteger(size) && size >= 1
    ? size
    : fail("selective-width", `${what} has ${x.shape.H} channels for ${count} heads or groups`, "make its channels a multiple of them");
}

/** A parameter of the layer; a matrix where columns are given. */
const own = (layer: string, leaf: string, init: Init, rows: number, columns?: number): ValueId =>
  parameter(layer, leaf, [{ name: "H", size: rows }, ...(columns === undefined ? [] : [{ name: "N", size: columns }])], init);

/** A family's recurrence on these operands, in the dims of `like`. Throws: CompileError `selective-width`. */
function recurrence<K extends string, S extends Sequence>(
  family: Recurrence<K>,
  layer: string,
  sizes: RecurrenceSizes,
  like: Tensor<S>,
  operands: Readonly<Partial<Record<K, ValueId | undefined>>>,
): Tensor<S> {
  const running = trace();
  const { builder } = running;
  let fixed = 0;
  const terms = termsOf(builder, (leaf) => `${layer}.${leaf}${fixed++}`, here());
  const of = (operand: K): ValueId => {
    const id = operands[operand] ?? fail("selective-width", `${family.name} lacks ${operand}`, `pass ${operand}`);
    const { dims, param } = family.operands[operand];
    const [got, want] = [Number(builder.typeOf(id).dims.at(-1)?.size), sizeOfDims(dims, sizes)];
    if (param !== true && got !== want)
      fail(
        "selective-width",
        `${operand} of ${family.name} has ${got} channels; ${dims.join(" ")} = ${want} are needed`,
        "look at heads, groups and the widths of the other operands",
      );
    return id;
  };
  const y = family.build(terms, { of, has: (operand) => operands[operand] !== undefined }, sizes);
  return makeTensor(like.shape, y, running);
}

/** log 1 .. log N, again and again: where A starts. */
const logRamp = (count: number, period: number): Init => ({
  kind: "values",
  values: Array.from({ length: count }, (_, i) => Math.log((i % period) + 1)),
});

/** D of every head, given to each of its channels, or of every channel. */
function skipOf(layer: string, skip: "head" | "channel" | false, heads: number, width: number): ValueId | undefined {
  if (skip === false) return undefined;
  if (skip === "channel") return own(layer, "D", constant(1), heads * width);
  return trace().builder.repeat(own(layer, "D", constant(1), heads), 1, width, here());
}

/** Operands of `selective`. */
export interface SelectiveOptions<S extends Sequence> extends Named {
  /** Step size of every channel, above 0: usually softplus of a linear map. */
  readonly dt: Tensor<NoInfer<S>>;
  /** Input and output vectors, N channels for each group. */
  readonly B: Beside<S>;
  readonly C: Beside<S>;
  /** Groups of channels that share B and C; 1 where absent. */
  readonly groups?: number;
  /** Whether D u is added; it is unless this is false. */
  readonly skip?: boolean;
}

/**
 * The selective state space model of Mamba on every channel: h_t = exp(dt_t A) h_{t-1} + dt_t B_t u_t, y_t = C_t h_t + D u_t.
 * Shapes: `A_log` `[H N]`, `D` `[H]`.
 * Throws: CompileError `selective-width`.
 * Source: Gu and Dao 2023 (2312.00752), section 3.2.
 */
export function selective<S extends Sequence>(u: Tensor<S>, options: SelectiveOptions<S>): Tensor<S> {
  const { dt, B, C, groups = 1, skip = true } = options;
  const [H, N] = [u.shape.H, share(B, "B", groups)];
  const layer = layerName(mamba.name, options.name);
  return recurrence(mamba, layer, { H, N, P: 1, G: groups }, u, {
    u: valueOf(u),
    dt: valueOf(dt),
    B: valueOf(B),
    C: valueOf(C),
    A_log: own(layer, "A_log", logRamp(H * N, N), H, N),
    D: skipOf(layer, skip && "channel", H, 1),
  });
}

/** Operands of `ssd`. */
export interface SsdOptions<S extends Sequence> extends Named {
  readonly heads: number;
  /** Step size of every head, above 0. */
  readonly dt: Beside<S>;
  /** Input and output vectors, N channels for each group. */
  readonly B: Beside<S>;
  readonly C: Beside<S>;
  /** Groups of heads that share B and C; 1 where absent. */
  readonly groups?: number;
  /** One D a head, which is so where absent, one a channel, or none. */
  readonly skip?: "head" | "channel" | false;
}

/**
 * The recurrence of Mamba-2: S_t = exp(dt_t A) S_{t-1} + dt_t B_t x_t^T, y_t = C_t^T S_t + D x_t, one decay a head.
 * Shapes: `A_log` `[heads]`, `D` `[heads]` or `[H]`.
 * Throws: CompileError `selective-width`.
 * Source: Dao and Gu 2024 (2405.21060), section 5.
 */
export function ssd<S extends Sequence>(x: Tensor<S>, options: SsdOptions<S>): Tensor<S> {
  const { heads, dt, B, C, groups = 1, skip = "head" } = options;
  const sizes = { H: heads, N: share(B, "B", groups), P: share(x, "x", heads), G: groups };
  const layer = layerName(ssdFamily.name, options.name);
  return recurrence(ssdFamily, layer, sizes, x, {
    x: valueOf(x),
    dt: valueOf(dt),
    B: valueOf(B),
    C: valueOf(C),
    A_log: own(layer, "A_log", logRamp(heads, heads), heads),
    D: skipOf(layer, skip, heads, sizes.P),
  });
}

/** Operands of `mamba3`. */
export interface Mamba3Options<S extends Sequence> extends Named {
  readonly heads: number;
  /** R, the inputs and outputs of a head; 1 where absent. With more, rows half a state apart turn, else neighbouring ones. */
  readonly rank?: number;
  /** Input and output vectors before they turn, R x heads x N channels. */
  readonly k: Beside<S>;
  readonly q: Beside<S>;
  /** Step size of every head, above 0. */
  readonly dt: Beside<S>;
  /** Decay rate of every head, below 0. */
  readonly A: Beside<S>;
  /** Share of the present in the trapezoid, of every head, 0 to 1. */
  readonly lambda: Beside<S>;
  /** How fast each plane turns, before tanh; as many planes turn as there are channels. */
  readonly angle: Beside<S>;
  /** Whether D v is added; it is unless this is false. */
  readonly skip?: boolean;
  /** Whether R inputs are many (MIMO), which decides what turns; where R > 1 where absent. */
  readonly mimo?: boolean;
}

/**
 * The recurrence of Mamba-3 on v of R x heads x P channels: the trapezoidal rule and states that turn.
 * Shapes: `D` `[heads]`.
 * Throws: CompileError `selective-width`.
 * Source: Lahoti et al. 2026 (2603.15569), section 3.
 */
export function mamba3<S extends Sequence>(v: Tensor<S>, options: Mamba3Options<S>): Tensor<S> {
  const { heads, rank = 1, k, q, dt, A, lambda, angle, skip = true, mimo = rank > 1 } = options;
  const family = mimo ? mamba3Mimo : mamba3Siso;
  const sizes = { H: heads, N: share(k, "k", rank * heads), P: share(v, "v", rank * heads), G: heads, R: rank, S: angle.shape.H };
  const layer = layerName("mamba3", options.name);
  return recurrence(family, layer, sizes, v, {
    v: valueOf(v),
    k: valueOf(k),
    q: valueOf(q),
    dt: valueOf(dt),
    A: valueOf(A),
    lambda: valueOf(lambda),
    angle: valueOf(angle),
    D: skipOf(layer, skip && "head", heads, sizes.P),
  });
}

/** Queries and keys of a recurrence that is a linear attention; the values are what it is applied to. */
export interface LinearAttentionOptions<S extends Sequence> extends Named {
  readonly heads: number;
  /** Queries and keys, heads x N channels. */
  readonly q: Beside<S>;
  readonly k: Beside<S>;
}

/** Sizes and values of q, k and v. */
function attending<S extends Sequence>(v: Tensor<S>, { heads, q, k }: LinearAttentionOptions<S>) {
  const sizes = { H: heads, N: share(k, "k", heads), P: share(v, "v", heads), G: heads };
  return { sizes, operands: { q: valueOf(q), k: valueOf(k), v: valueOf(v) } };
}

/**
 * RetNet: S_t = gamma S_{t-1} + k_t v_t^T, y_t = q_t^T S_t, gamma = 1 - 2^(-5 - h) of head h at the start.
 * Shapes: `log_decay` `[heads]`.
 * Throws: CompileError `selective-width`.
 * Source: Sun et al. 2023 (2307.08621), section 2.1.
 */
export function retention<S extends Sequence>(v: Tensor<S>, options: LinearAttentionOptions<S>): Tensor<S> {
  const { sizes, operands } = attending(v, options);
  const layer = layerName(retentionFamily.name, options.name);
  const decays = Array.from({ length: sizes.H }, (_, h) => Math.log1p(-(2 ** (-5 - h))));
  return recurrence(retentionFamily, layer, sizes, v, {
    ...operands,
    log_decay: own(layer, "log_decay", { kind: "values", values: decays }, sizes.H),
  });
}

/** Operands of `gatedLinearAttention`. */
export interface GatedAttentionOptions<S extends Sequence> extends LinearAttentionOptions<S> {
  /** Logarithm of the gate of every row, at most 0; heads x N channels. */
  readonly logDecay: Beside<S>;
}

/**
 * Gated linear attention: S_t = diag(alpha_t) S_{t-1} + k_t v_t^T, y_t = q_t^T S_t.
 * Throws: CompileError `selective-width`.
 * Source: Yang et al. 2023 (2312.06635), section 4.
 */
export function gatedLinearAttention<S extends Sequence>(v: Tensor<S>, options: GatedAttentionOptions<S>): Tensor<S> {
  const { sizes, operands } = attending(v, options);
  return recurrence(gla, layerName(gla.name, options.name), sizes, v, { ...operands, log_decay: valueOf(options.logDecay) });
}

/**
 * RWKV-6: y_t = r_t^T (S_{t-1} + diag(u) k_t v_t^T), S_t = diag(w_t) S_{t-1} + k_t v_t^T, with r for q.
 * Shapes: `u` `[heads N]`.
 * Throws: CompileError `selective-width`.
 * Source: Peng et al. 2024 (2404.05892), section 4.2.
 */
export function rwkv6<S extends Sequence>(v: Tensor<S>, options: GatedAttentionOptions<S>): Tensor<S> {
  const { sizes, operands } = attending(v, options);
  const layer = layerName(rwkv6Family.name, options.name);
  const { q, k } = operands;
  const u = own(layer, "u", constant(0), sizes.H, sizes.N);
  return recurrence(rwkv6Family, layer, sizes, v, { r: q, k, v: operands.v, log_decay: valueOf(options.logDecay), u });
}

/** Operands of `rwkv7`. */
export interface Rwkv7Options<S extends Sequence> extends GatedAttentionOptions<S> {
  /** Removal key of unit length and in-context learning rate, heads x N channels. */
  readonly kappa: Beside<S>;
  readonly rate: Beside<S>;
}

/**
 * RWKV-7: S_t = (diag(w_t) - (kappa_t rate_t) kappa_t^T) S_{t-1} + k_t v_t^T, y_t = r_t^T S_t, with r for q.
 * Throws: CompileError `selective-width`.
 * Source: Peng et al. 2025 (2503.14456), section 4.1.
 */
export function rwkv7<S extends Sequence>(v: Tensor<S>, options: Rwkv7Options<S>): Tensor<S> {
  const { sizes, operands } = attending(v, options);
  return recurrence(rwkv7Family, layerName(rwkv7Family.name, options.name), sizes, v, {
    r: operands.q,
    k: operands.k,
    v: operands.v,
    log_decay: valueOf(options.logDecay),
    kappa: valueOf(options.kappa),
    rate: valueOf(options.rate),
  });
}

/** Operands of `gatedDelta`. */
export interface DeltaOptions<S extends Sequence> extends LinearAttentionOptions<S> {
  /** Writing strength of every head, 0 to 1. */
  readonly beta: Beside<S>;
  /** Logarithm of the gate of every head, at most 0; no gate where absent, which is DeltaNet. */
  readonly logDecay?: Beside<S>;
}

/**
 * The delta rule, with a gate or without: S_t = e^g S_{t-1} (I - beta k k^T) + beta k v^T, y_t = q_t^T S_t; q and k are given unit length.
 * Throws: CompileError `selective-width`.
 * Source: Yang et al. 2024 (2412.06464), section 3; DeltaNet: Yang et al. 2024 (2406.06484), section 3.
 */
export function gatedDelta<S extends Sequence>(v: Tensor<S>, options: DeltaOptions<S>): Tensor<S> {
  const { sizes, operands } = attending(v, options);
  const g = options.logDecay === undefined ? undefined : valueOf(options.logDecay);
  return recurrence(gatedDeltaFamily, layerName("delta", options.name), sizes, v, { ...operands, beta: valueOf(options.beta), g });
}

/** Operands of `mlstm`. */
export interface MlstmOptions<S extends Sequence> extends LinearAttentionOptions<S> {
  /** Input gate before exp and forget gate before sigmoid, of every head. */
  readonly inputGate: Beside<S>;
  readonly forgetGate: Beside<S>;
}

/**
 * The matrix memory of xLSTM, stabilized: y_t = C_t^T q_t / max(|n_t^T q_t|, 1).
 * Throws: CompileError `selective-width`.
 * Source: Beck et al. 2024 (2405.04517), section 2.3.
 */
export function mlstm<S extends Sequence>(v: Tensor<S>, options: MlstmOptions<S>): Tensor<S> {
  const { sizes, operands } = attending(v, options);
  const gates = { i: valueOf(options.inputGate), f: valueOf(options.forgetGate) };
  return recurrence(mlstmFamily, layerName(mlstmFamily.name, options.name), sizes, v, { ...operands, ...gates });
}

/** Operands of `rgLru`. */
export interface RgLruOptions<S extends Sequence> extends Named {
  /** Both before sigmoid. */
  readonly recurrenceGate: Tensor<NoInfer<S>>;
  readonly inputGate: Tensor<NoInfer<S>>;
}

/**
 * The real-gated linear recurrent unit of Griffin: h_t = a_t h_{t-1} + sqrt(1 - a_t^2) sigmoid(i_t) x_t.
 * Shapes: `lambda` `[H]`.
 * Source: De et al. 2024 (2402.19427), section 2.4.
 */
export function rgLru<S extends Sequence>(x: Tensor<S>, options: RgLruOptions<S>): Tensor<S> {
  const layer = layerName(rgLruFamily.name, options.name);
  return recurrence(rgLruFamily, layer, { H: x.shape.H, N: 1, P: 1, G: 1 }, x, {
    x: valueOf(x),
    r: valueOf(options.recurrenceGate),
    i: valueOf(options.inputGate),
    lambda: own(layer, "lambda", { kind: "uniform", low: -4.5, high: -2 }, x.shape.H),
  });
}

/**
 * HGRN: h_t = f_t h_{t-1} + (1 - f_t) i_t on every channel.
 * Source: Qin et al. 2023 (2311.04823), section 3.2.
 */
export function hgrn<S extends Sequence>(x: Tensor<S>, options: { readonly logDecay: Tensor<NoInfer<S>> } & Named): Tensor<S> {
  const layer = layerName(hgrnFamily.name, options.name);
  return recurrence(hgrnFamily, layer, { H: x.shape.H, N: 1, P: 1, G: 1 }, x, { i: valueOf(x), log_decay: valueOf(options.logDecay) });
}

/** Options of `lruVarying`. */
export interface VaryingOptions<S extends Sequence> extends Named {
  /** Step size of every time step, above 0, one channel. */
  readonly dt: Beside<S>;
  /** N, the complex states; 64 where absent. */
  readonly state?: number;
}

/**
 * The linear recurrent unit for irregular samples: x_t = lambda^{dt_t} x_{t-1} + exp(gamma_log) B u_t, y = Re(C x) + D u.
 * Shapes: `nu_log`, `theta_log`, `gamma_log` `[N]`, `B_re`, `B_im` `[N H]`, `C_re`, `C_im` `[H N]`, `D` `[H]`.
 * Throws: CompileError `selective-width`.
 * Source: Orvieto et al. 2023 (2303.06349), section 3; step sizes as in Smith et al. 2023 (2208.04933), section 6.3.
 */
export function lruVarying<S extends Sequence>(u: Tensor<S>, options: VaryingOptions<S>): Tensor<S> {
  const { state: N = 64, dt } = options;
  const H = u.shape.H;
  share(dt, "dt", dt.shape.H === 1 ? 1 : NaN);
  const layer = layerName("lru", options.name);
  const running = trace();
  const { builder } = running;
  const start = { kind: "uniform", low: -1 / Math.sqrt(H), high: 1 / Math.sqrt(H) } as const;
  const negExp = call("neg", call("exp", arg(0)));
  const vector = (leaf: string, init: Init): ValueId => own(layer, leaf, init, N);
  const gamma = builder.map(call("exp", arg(0)), [vector("gamma_log", constant(0))], here());
  const driven = (leaf: string): ValueId => {
    const B = parameter(
      layer,
      leaf,
      [
        { name: "O", size: N },
        { name: "I", size: H },
      ],
      start,
    );
    return builder.map(call("mul", arg(0), arg(1)), [builder.matmul(valueOf(u), B, "H", here()), gamma], here());
  };
  const states = recurrence(varying, layer, { H: N, N: 1, P: 1, G: 1 }, u, {
    re: driven("B_re"),
    im: driven("B_im"),
    dt: builder.repeat(valueOf(dt), 1, N, here()),
    lambda_re: builder.map(negExp, [vector("nu_log", { kind: "uniform", low: -5, high: 0 })], here()),
    lambda_im: builder.map(call("exp", arg(0)), [vector("theta_log", { kind: "uniform", low: -3, high: 1 })], here()),
  });
  const read = (leaf: string, from: number): ValueId => {
    const C = parameter(
      layer,
      leaf,
      [
        { name: "O", size: H },
        { name: "I", size: N },
      ],
      start,
    );
    return builder.matmul(builder.slice(valueOf(states), from, N, here()), C, "H", here());
  };
  const sum = call("add", call("sub", arg(0), arg(1)), call("mul", arg(2), arg(3)));
  const y = builder.map(sum, [read("C_re", 0), read("C_im", N), own(layer, "D", constant(1), H), valueOf(u)], here());
  return makeTensor(u.shape, y, running);
}
