/** The Mamba-3 block: no convolution; normed, biased and turning inputs and outputs of the states, one or R of each (MIMO). */
import { arg, call, constant as num, type Expr } from "../ir/expr.ts";
import type { Init, ValueId } from "../ir/graph.ts";
import { constant } from "../dsl/init.ts";
import { linear, rmsNorm } from "../dsl/layers.ts";
import { add, mul, sigmoid, silu } from "../dsl/pointwise.ts";
import { mamba3 } from "../dsl/selective.ts";
import { repeat, split } from "../dsl/shape.ts";
import { makeTensor, type Seq, type Tensor } from "../dsl/tensor.ts";
import { here, layerName, parameter, scope, trace, valueOf, type Named } from "../dsl/trace.ts";
import { stepSize } from "./step-size.ts";

/** Options of `mamba3Block`. */
export interface Mamba3BlockOptions extends Named {
  /** Channels inside; twice those outside where absent. */
  readonly inner?: number;
  /** Channels of a head; 64 where absent. */
  readonly headDim?: number;
  /** Groups of heads that share B and C; 1 where absent. */
  readonly groups?: number;
  /** States of a channel; 128 where absent. */
  readonly state?: number;
  /** The share of the states that turns; 0.5 where absent. */
  readonly turning?: number;
  /** R, the inputs and outputs of a head; one without parameters of its own where absent. */
  readonly rank?: number | undefined;
  /** Whether every head is normed before its gate; it is not unless this is true. */
  readonly outNorm?: boolean;
  /** What makes decay rates positive: 1 + x above 0 and 1 / (1 - x) below where absent, or softplus, as before June 2026. */
  readonly decay?: "heavy-tail" | "softplus";
  /** The least decay rate; 1e-4 where absent. */
  readonly decayFloor?: number;
}

type Channels = Tensor<Seq<number>>;

const x = arg(0);
const DECAYS: Readonly<Record<NonNullable<Mamba3BlockOptions["decay"]>, Expr>> = {
  "heavy-tail": call("add", call("max", x, num(0)), call("div", num(1), call("sub", num(1), call("min", x, num(0))))),
  softplus: call("softplus", x),
};

/**
 * The mixer of Mamba-3.
 * Shapes, for D inner channels in D / headDim heads, R the rank, N states, G groups, S planes that turn: `in_proj.weight`
 * `[2D+2RGN+3heads+S H]`, whose rows are [z, x, B, C, dt, A, lambda, angle]; `dt_bias`, `D` `[heads]`; `B_norm.weight`, `C_norm.weight` `[N]`;
 * `B_bias`, `C_bias` `[R*heads*N]`; with a rank `mimo_x`, `mimo_z`, `mimo_o` `[R*heads*headDim]`; `norm.weight` `[D]`; `out_proj.weight` `[H D]`.
 * The scheme `mamba` reads those of rank and heads from `[heads R N]`.
 * Source: Lahoti et al. 2026 (2603.15569), section 3; names of state-spaces/mamba, mamba_ssm/modules/mamba3.py.
 */
export function mamba3Block<H extends number>(input: Tensor<Seq<H>>, { name = "", ...options }: Mamba3BlockOptions = {}): Tensor<Seq<H>> {
  const width = input.shape.H;
  const {
    inner = 2 * width,
    headDim = 64,
    groups = 1,
    state = 128,
    turning = 0.5,
    rank,
    decay = "heavy-tail",
    decayFloor = 1e-4,
  } = options;
  const heads = inner / headDim;
  const R = rank ?? 1;
  const planes = Math.floor((state * turning) / 2);
  const vectors = R * groups * state;
  return scope(name, () => {
    const rows = 2 * inner + 2 * vectors + 3 * heads + planes;
    const projected = linear(input, { width: rows, bias: false, name: "in_proj" });
    const [z, u, BC, delta, rate, trap, angle] = split(projected, [inner, inner, 2 * vectors, heads, heads, heads, planes]);
    const normed = normedBy(BC, state, ["B_norm", "C_norm"]);
    const biased = withParameters("add", repeat(normed, state, heads / groups), ["B_bias", "C_bias"], constant(1));
    const [k, q] = split(biased, [R * heads * state, R * heads * state]);
    const many = (v: Channels, leaf: string, init: number): Channels =>
      rank === undefined ? v : withParameters("mul", repeat(v, inner, rank), [leaf], constant(init));
    const floored = call("neg", call("max", DECAYS[decay], num(decayFloor)));
    const y = mamba3(many(u, "mimo_x", 1 / R), {
      heads,
      rank: R,
      mimo: rank !== undefined,
      k,
      q,
      dt: stepSize(delta),
      A: mapped(floored, rate),
      lambda: sigmoid(trap),
      angle,
      name: "",
    });
    const read = options.outNorm === true ? normedBy(y, headDim, ["norm"], inner) : y;
    const gated = mul(read, silu(many(z, "mimo_z", 1)));
    return linear(rank === undefined ? gated : sumOf(withParameters("mul", gated, ["mimo_o"], constant(1 / R)), rank, inner), {
      width,
      bias: false,
      name: "out_proj",
    });
  });
}

function mapped(expr: Expr, v: Channels, ...more: readonly ValueId[]): Channels {
  const running = trace();
  return makeTensor(v.shape, running.builder.map(expr, [valueOf(v), ...more], here()), running);
}

/** `v` and parameters that are together as wide, equal parts. */
function withParameters(fn: "add" | "mul", v: Channels, leaves: readonly string[], init: Init): Channels {
  const dims = [{ name: "H", size: v.shape.H / leaves.length }];
  const parts = leaves.map((leaf) => parameter(layerName("mamba3", ""), leaf, dims, init));
  return mapped(call(fn, arg(0), arg(1)), v, trace().builder.concat(parts, here()));
}

/** Each block of `block` channels at unit root mean square; then equal parts, each times a weight of `width` channels, again and again. */
function normedBy(v: Channels, block: number, layers: readonly string[], width = block): Channels {
  const { builder } = trace();
  const normed = rmsNorm(v, { groups: v.shape.H / block, affine: false });
  const weights = layers.map((layer) => {
    const weight = parameter(layerName("norm", layer), "weight", [{ name: "H", size: width }], constant(1));
    return builder.repeat(weight, width, v.shape.H / layers.length / width, here());
  });
  return mapped(call("mul", arg(0), arg(1)), normed, builder.concat(weights, here()));
}

/** The sum of `count` parts of `width` channels. */
function sumOf(v: Channels, count: number, width: number): Channels {
  return split(
    v,
    Array.from({ length: count }, () => width),
  ).reduce((total, part) => add(total, part));
}
