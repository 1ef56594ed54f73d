/** Layers that are one system of all channels (MIMO): `s5` and `lru`. */
import { lru as lruFamily } from "../ssm/families/lru.ts";
import { s5 as s5Family } from "../ssm/families/s5.ts";
import { checkState, deltaRange, familyNode, familyParams, type FamilyOptions } from "./family-layer.ts";
import type { Sequence, Tensor } from "./tensor.ts";
import { fail, layerName, type Named } from "./trace.ts";

/** Options of `s5`. */
export interface S5Options extends FamilyOptions {
  /** Full state size N of the system; 64 where absent. With conjugate symmetry half of it is stored. */
  readonly state?: number;
  /** LegS blocks that A starts from, each of N / blocks states; 1 where absent. */
  readonly blocks?: number;
  /** Whether each stored state stands for itself and its conjugate; it does unless this is false. */
  readonly conjSym?: boolean;
  /** Whether poles that decay slower than e^{-1e-4 t}, or grow, are moved there. */
  readonly clipEigs?: boolean;
}

/**
 * S5: one diagonal complex system whose states read and write every channel.
 * Shapes, with P stored states: `Lambda_re`, `Lambda_im` `[P]`, `B` `[P H 2]`, `C` `[H P 2]`, `D` `[H]`, `log_step` `[P 1]`.
 * Source: Smith et al. 2023 (2208.04933), section 3; names of lindermanlab/S5.
 */
export function s5<S extends Sequence>(x: Tensor<S>, options: S5Options = {}): Tensor<S> {
  const { state = 64, blocks = 1, conjSym = true, clipEigs = false } = options;
  checkState(state);
  const stored = conjSym ? state / 2 : state;
  if (!Number.isInteger(blocks) || blocks < 1 || !Number.isInteger(stored / blocks))
    fail(
      "bad-state",
      `${state} states in ${blocks} blocks`,
      "give a state that splits into equal blocks, with conjugate symmetry even ones",
    );
  const system = {
    family: s5Family,
    state,
    options: { conj_sym: conjSym, clip_eigs: clipEigs, blocks, ...deltaRange(options.delta) },
    sizes: { P: stored },
  };
  return familyNode(x, system, options.discretize ?? "zoh", familyParams(system, x.shape.H, layerName("s5", options.name)));
}

/** Options of `lru`. */
export interface LruOptions extends Named {
  /** N, the complex states; 64 where absent. */
  readonly state?: number;
  /** The ring that the poles start on, by their absolute values; from 0 to 1 where absent. */
  readonly radius?: readonly [low: number, high: number];
  /** The largest phase that poles start with, in radians; 6.28 where absent. */
  readonly maxPhase?: number;
}

/**
 * The linear recurrent unit: x_t = lambda x_{t-1} + exp(gamma_log) B u_t, y = Re(C x) + D u on all channels.
 * Shapes: `nu_log`, `theta_log`, `gamma_log` `[N]`, `B_re`, `B_im` `[N H]`, `C_re`, `C_im` `[H N]`, `D` `[H]`.
 * Source: Orvieto et al. 2023 (2303.06349), section 3 and appendix A.
 */
export function lru<S extends Sequence>(x: Tensor<S>, options: LruOptions = {}): Tensor<S> {
  const { state = 64, radius = [0, 1], maxPhase = 6.28 } = options;
  checkState(state);
  const [r_min, r_max] = radius;
  if (!(r_min >= 0 && r_min < r_max && r_max <= 1 && maxPhase > 0))
    fail("bad-init", `poles from |lambda| = ${r_min} to ${r_max}, phases to ${maxPhase}`, "give radii from 0 to 1, the smaller one first");
  const system = { family: lruFamily, state, options: { r_min, r_max, max_phase: maxPhase } };
  return familyNode(x, system, "dirac", familyParams(system, x.shape.H, layerName("lru", options.name)));
}
