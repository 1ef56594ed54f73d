/** The memory of HiPPO with uniform measure over the whole past: the one layer whose system varies in time. It has no parameters. */
import { makeTensor, type Sequence, type Tensor, type WithWidth } from "./tensor.ts";
import { fail, here, trace, valueOf } from "./trace.ts";

/** Options of `hippoLegs`. */
export interface HippoLegsOptions<N extends number> {
  /** N, the coefficients kept of each channel. */
  readonly state: N;
  /** Of the generalized bilinear rule: 0 forward Euler, 1/2 bilinear (where absent), 1 backward Euler. */
  readonly alpha?: number;
}

/** N coefficients of one channel; of more the width is a plain `number` to the type checker, which `ofWidth` names. */
type Coefficients<S extends Sequence, N extends number> = WithWidth<S, S["H"] extends 1 ? N : number>;

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
  if (!Number.isInteger(state) || state < 1) fail("bad-state", `a state of ${state}`, "give a whole number of states, at least 1");
  if (!(alpha >= 0 && alpha <= 1))
    fail("unknown-discretization", `there is no generalized bilinear rule of alpha ${alpha}`, "give alpha from 0 to 1");
  const running = trace();
  const value = running.builder.ssm({ stage: "scaled", state, alpha }, [valueOf(x)], here());
  return makeTensor({ ...x.shape, H: x.shape.H * state } as unknown as Coefficients<S, N>, value, running);
}
