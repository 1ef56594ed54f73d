/** Layers of state space models around S4 that have parameters of their own: LSSL before it, DSS and the one of GSS after it. */
import { dss as dssFamily } from "../ssm/families/dss.ts";
import { dssExp } from "../ssm/families/dss-exp.ts";
import { gss as gssFamily } from "../ssm/families/gss.ts";
import { lssl as lsslFamily } from "../ssm/families/lssl.ts";
import { checkState, deltaRange, familyNode, familyParams, widerNode, type FamilyOptions } from "./family-layer.ts";
import type { Sequence, Tensor, WithWidth } from "./tensor.ts";
import { fail, layerName, type Named } from "./trace.ts";

/** Options of `dss`. */
export interface DssOptions extends Named {
  /** N, the complex poles, shared by all channels; 64 where absent. */
  readonly state?: number;
  /** The softmax form of this many steps; the exponential one where absent. */
  readonly softmax?: number;
  /** Whether Re lambda and Im lambda have step sizes of their own; they do unless this is false. */
  readonly separateSteps?: boolean;
  /** The range that step sizes start from, uniform in the logarithm. */
  readonly delta?: readonly [low: number, high: number];
}

/**
 * DSS: a diagonal complex A that all channels share, read by a W of each; exponential, or normalized by a softmax over the
 * steps of the sequences it was made for.
 * Shapes: `D` `[H]`, `kernel.log_dt` `[H 2]` or `[H]`, `kernel.W` `[H N 2]`; `kernel.Lambda_log_neg_re`, `kernel.Lambda_im`
 * `[N]`, in softmax form `kernel.Lambda` `[N 2]`.
 * Source: Gupta et al. 2022 (2203.14343), proposition 1; names of ag1988/dss.
 */
export function dss<S extends Sequence>(x: Tensor<S>, options: DssOptions = {}): Tensor<S> {
  const { state = 64, softmax, separateSteps = true } = options;
  checkState(state);
  if (softmax !== undefined && !(Number.isInteger(softmax) && softmax > 0))
    fail("bad-state", `a softmax over ${softmax} steps`, "give a whole number of steps, at least 1");
  const system = {
    family: softmax === undefined ? dssExp : dssFamily,
    state,
    options: { ...deltaRange(options.delta), ...(softmax === undefined ? {} : { softmax_length: softmax }) },
    shape: { log_dt: separateSteps ? 0 : 1 },
  };
  const leaf = (param: string): string => (param === "D" ? param : `kernel.${param}`);
  return familyNode(x, system, "zoh", familyParams(system, x.shape.H, layerName("dss", options.name), leaf));
}

/** Options of `gssSsm`. */
export interface GssSsmOptions extends Named {
  /** N, the complex poles, shared by all channels; 512 where absent. */
  readonly state?: number;
}

/**
 * The simplified DSS inside GSS: poles shared by all channels, a step size of 1.
 * Shapes: `Lambda_real`, `Lambda_imag` `[N]`, `C_real`, `C_imag` `[H N]`, `param_D` `[H]`.
 * Source: Mehta et al. 2022 (2206.13947), section 3.2; names of lucidrains/gated-state-spaces-pytorch.
 */
export function gssSsm<S extends Sequence>(x: Tensor<S>, options: GssSsmOptions = {}): Tensor<S> {
  const { state = 512 } = options;
  checkState(state);
  const system = { family: gssFamily, state, options: {} };
  return familyNode(x, system, "zoh", familyParams(system, x.shape.H, layerName("gss", options.name)));
}

/** Options of `lssl`. */
export interface LsslOptions<W extends number> extends FamilyOptions {
  /** Channels of the result: a multiple M of those of x, channel m of x's channel h at h M + m. */
  readonly width: W;
  /** N, the rows of A; 64 where absent. */
  readonly state?: number;
  /** The basis that A and B start from; `legs` where absent. */
  readonly init?: "legs" | "lagt" | "jac" | "legt" | "cheb" | "chebii";
  /** Whether every channel has an A and B of its own. */
  readonly perChannel?: boolean;
}

/**
 * LSSL: a dense A in the parameters of the inverse of a tridiagonal matrix, with several output channels for each of x.
 * Shapes: `C` `[H M N]`, `D` `[H M]`, `log_dt` `[H]`, `transition.d`, `pl`, `pr`, `c`, `b` `[N]`, `transition.dl`, `du`
 * `[N+1]`, behind `H` where each channel has its own.
 * Source: Gu et al. 2021 (2110.13985), section 4 and appendix D; names of state-spaces/s4, modules/lssl.py.
 */
export function lssl<S extends Sequence, const W extends number>(x: Tensor<S>, options: LsslOptions<W>): Tensor<WithWidth<S, W>> {
  const { width, state = 64, init = "legs", perChannel = false, discretize = "bilinear" } = options;
  checkState(state);
  const outputs = width / x.shape.H;
  if (!Number.isInteger(outputs) || outputs < 1)
    fail("bad-width", `${width} output channels for ${x.shape.H}`, "give a multiple of the channels of the input");
  const own = Object.keys(lsslFamily.params).filter((param) => !["C", "D", "log_dt"].includes(param));
  const system = {
    family: lsslFamily,
    state,
    options: { init, ...deltaRange(options.delta) },
    sizes: { M: outputs },
    shape: perChannel ? Object.fromEntries(own.map((param) => [param, 1])) : {},
  };
  const leaf = (param: string): string => (own.includes(param) ? `transition.${param}` : param);
  return widerNode(x, width, system, discretize, familyParams(system, x.shape.H, layerName("lssl", options.name), leaf));
}
