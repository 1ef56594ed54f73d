/** Layers whose response is finite: state space models without a rule of discretization, which become convolutions. */
import { shift as shiftFamily } from "../ssm/families/shift.ts";
import { checkState, familyNode, familyParams } from "./family-layer.ts";
import type { Sequence, Tensor } from "./tensor.ts";
import { layerName, type Named } from "./trace.ts";

/** Options of `shift`. */
export interface ShiftOptions extends Named {
  /** Inputs the register holds. */
  readonly state: number;
}

/**
 * A shift register on every channel, filled through B and read through C, with skip D u.
 * Shapes: `kernel.B` `[H state]`, `kernel.C` `[1 H state]`, `D` `[H]`.
 * Source: Fu et al. 2023 (2212.14052), section 3.1.
 */
export function shift<S extends Sequence>(x: Tensor<S>, { state, name }: ShiftOptions): Tensor<S> {
  checkState(state);
  const system = { family: shiftFamily, state, options: {} };
  const params = familyParams(system, x.shape.H, layerName("shift", name), (param) => (param === "D" ? param : `kernel.${param}`));
  return familyNode(x, system, "zoh", params);
}
