/** The way into a bundle: its plan becomes `load`. */
import type { LoadedModel, LoadOptions } from "./api.ts";
import { Engine } from "./engine.ts";
import type { Makers } from "./executor.ts";
import { Model } from "./model.ts";
import type { Plan } from "./plan.ts";

/**
 * The `load` of a bundle. `base` is the URL its shard files are beside, `makers` the table makers its plan names.
 * Throws (when called): NoWebGPUError, WeightsError, LimitError, DeviceLostError, the signal's reason.
 */
export function createLoader<Inputs, Outputs, DeviceOutputs>(
  plan: Plan,
  base: string,
  makers: Makers,
): (options?: LoadOptions) => Promise<LoadedModel<Inputs, Outputs, DeviceOutputs>> {
  return async (options = {}) =>
    new Model(await Engine.open({ plan, base, makers }, options)) as unknown as LoadedModel<Inputs, Outputs, DeviceOutputs>;
}
