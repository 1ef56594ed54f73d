/** Layers whose response is finite: state space models without a rule of discretization, which become convolutions. */
import { paramDims, type Family, type Options } from "../ssm/family.ts";
import { shift as shiftFamily } from "../ssm/families/shift.ts";
import { makeTensor, type Sequence, type Tensor } from "./tensor.ts";
import { fail, here, layerName, parameter, trace, valueOf, type Named } from "./trace.ts";

/** The node of a family that gives taps, with its parameters under `leaf` names. */
export function firLayer<S extends Sequence>(
  family: Family,
  x: Tensor<S>,
  taps: number,
  options: Options,
  name: string | undefined,
  leaf: (param: string) => string,
): Tensor<S> {
  if (!Number.isInteger(taps) || taps < 1) fail("bad-state", `a state of ${taps}`, "give a whole number of states, at least 1");
  const running = trace();
  const layer = layerName(family.name, name);
  const params = [...paramDims(family, { H: x.shape.H, N: taps }, here())].map(([param, dims]) =>
    parameter(layer, leaf(param), dims, { kind: "family", family: family.name, param, options }),
  );
  const form = { stage: "family", family: family.name, discretization: "zoh", state: taps, options } as const;
  return makeTensor(x.shape, running.builder.ssm(form, [valueOf(x), ...params], here()), running);
}

/** Options of `shift`. */
export interface ShiftOptions extends Named {
  /** Inputs the register holds. */
  readonly state: number;
}

/**
 * A shift register on every channel, filled through B and read through C, with skip D u.
 * Shapes: `kernel.B`, `kernel.C` `[H state]`, `D` `[H]`.
 * Source: Fu et al. 2023 (2212.14052), section 3.1.
 */
export function shift<S extends Sequence>(x: Tensor<S>, { state, name }: ShiftOptions): Tensor<S> {
  return firLayer(shiftFamily, x, state, {}, name, (param) => (param === "D" ? param : `kernel.${param}`));
}
