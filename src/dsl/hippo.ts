/**
 * Memories of HiPPO as layers without parameters: their results are the coefficients of each channel's past, N for each. As
 * the start of parameters the same bases are options of `dense`.
 */
import { constant, type Expr } from "../ir/expr.ts";
import type { SsmForm } from "../ir/graph.ts";
import { basisOf } from "../ssm/bases.ts";
import { checkState, type Discretization } from "./family-layer.ts";
import type { BasisName } from "./ssm.ts";
import { makeTensor, type Sequence, type Tensor, type WithWidth } from "./tensor.ts";
import { fail, here, trace, valueOf } from "./trace.ts";

/** N coefficients of one channel; of more the width is a plain `number` to the type checker, which `ofWidth` names. */
type Coefficients<S extends Sequence, N extends number> = WithWidth<S, S["H"] extends 1 ? N : number>;

/** Options of `hippo`. */
export interface HippoOptions<N extends number> {
  /** The functions that the past is written in; `docs/bases.md` says what each remembers. */
  readonly basis: BasisName;
  /** N, the coefficients kept of each channel. */
  readonly state: N;
  /** Time from one sample to the next, in the basis' own: a window remembers window/delta samples. */
  readonly delta: number;
  /** Length of the window, of bases that have one: their own where absent. */
  readonly window?: number;
  /** Of `glagt`: from 0 up to 1. */
  readonly alpha?: number;
  /** Of `lagt`, `tlagt` and `glagt`: above 0. */
  readonly beta?: number;
  /** Of `fru`: turns of each wave within the window, one for every two states; 0, 1, 2, .. where absent. */
  readonly frequencies?: readonly number[];
  /** `zoh` where absent: exact for an input that is held from one sample to the next. */
  readonly discretize?: Discretization;
}

/**
 * The coefficients of each channel's past in a basis: x' = A x + B u, all of x.
 * Shapes: result `[B L H*N]`, channel h from h N on.
 * Throws: CompileError `bad-state`, `ssm-option`, `ssm-state-odd`; `ssm-delta` when it is built.
 */
export function hippo<S extends Sequence, const N extends number>(
  x: Tensor<S>,
  { basis, state, delta, discretize = "zoh", ...options }: HippoOptions<N>,
): Tensor<Coefficients<S, N>> {
  checkState(state);
  const { A, B } = basisOf(basis, state, options, undefined, here());
  const rows = (columns: number, entry: (n: number, k: number) => number): readonly (readonly Expr[])[] =>
    Array.from({ length: state }, (_, n) => Array.from({ length: columns }, (__, k) => constant(entry(n, k))));
  const entries = {
    A: rows(state, (n, k) => A.data[n * state + k] ?? 0),
    B: rows(1, (n) => B[n] ?? 0),
    C: rows(state, (n, k) => (n === k ? 1 : 0)),
    D: rows(1, () => 0),
  };
  const form = { stage: "family", family: "dense", discretization: discretize, state, options: { delta }, entries } as const;
  return coefficients(x, state, form);
}

/** Options of `hippoLegs`. */
export interface HippoLegsOptions<N extends number> {
  /** N, the coefficients kept of each channel. */
  readonly state: N;
  /** Of the generalized bilinear rule: 0 forward Euler, 1/2 bilinear (where absent), 1 backward Euler. */
  readonly alpha?: number;
}

/**
 * The first N coefficients of each channel's whole past, in orthonormal Legendre polynomials stretched over it: after k samples
 * u(tau) is about sum_n x_n sqrt(2n+1) P_n(2 tau/k - 1) on [0, k]. No step size: the past is never too long.
 * Shapes: result `[B L H*N]`, channel h from h N on.
 * Throws: CompileError `bad-state`, `unknown-discretization`.
 * Source: Gu et al., HiPPO: Recurrent Memory with Optimal Polynomial Projections, 2020, theorem 2.
 */
export function hippoLegs<S extends Sequence, const N extends number>(
  x: Tensor<S>,
  { state, alpha = 0.5 }: HippoLegsOptions<N>,
): Tensor<Coefficients<S, N>> {
  checkState(state);
  if (!(alpha >= 0 && alpha <= 1))
    fail("unknown-discretization", `there is no generalized bilinear rule of alpha ${alpha}`, "give alpha from 0 to 1");
  return coefficients(x, state, { stage: "scaled", state, alpha });
}

/** A node whose result has `state` channels for each of its input's. */
function coefficients<S extends Sequence, N extends number>(x: Tensor<S>, state: N, form: SsmForm): Tensor<Coefficients<S, N>> {
  const running = trace();
  const value = running.builder.ssm(form, [valueOf(x)], here());
  return makeTensor({ ...x.shape, H: x.shape.H * state } as unknown as Coefficients<S, N>, value, running);
}
