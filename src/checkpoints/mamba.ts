/** Mamba. */
import { mambaBlock, type MambaBlockOptions } from "../models/mamba-block.ts";
import type { Architecture, Mixer } from "./architecture.ts";
import { countAt, flagAt, valueAt, widened, type Config } from "./config.ts";

/** The rank of the step sizes, which may be `auto`. */
const rankAt = (config: Config, key: string, width: number): number =>
  valueAt(config, key) === "auto" ? Math.ceil(width / 16) : countAt(config, key, Math.ceil(width / 16));

/** The options of the block by the keys of transformers. Throws: `checkpoint-config`. */
export const mambaOptions = (config: Config, width: number): MambaBlockOptions => ({
  inner: countAt(config, "intermediate_size", widened(config, "expand", width, 2)),
  state: countAt(config, "state_size", 16, { most: 4096 }),
  taps: countAt(config, "conv_kernel", 4, { most: 64 }),
  rank: rankAt(config, "time_step_rank", width),
  bias: flagAt(config, "use_bias", false),
  convBias: flagAt(config, "use_conv_bias", true),
});

const mixer =
  (options: MambaBlockOptions): Mixer =>
  (x) =>
    mambaBlock(x, options);

export const mamba: Architecture = {
  name: "mamba",
  options: [],
  original: {
    layer: "Mamba1",
    mixer: (config, width) =>
      mixer({
        inner: widened(config, "expand", width, 2),
        state: countAt(config, "d_state", 16, { most: 4096 }),
        taps: countAt(config, "d_conv", 4, { most: 64 }),
        rank: rankAt(config, "dt_rank", width),
        bias: flagAt(config, "bias", false),
        convBias: flagAt(config, "conv_bias", true),
      }),
  },
  transformers: {
    modelType: "mamba",
    defaults: { width: 768, layers: 32, rows: 50280, tied: true },
    mixer: (config, width) => mixer(mambaOptions(config, width)),
  },
};
