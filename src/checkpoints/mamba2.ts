/** Mamba-2. */
import { mamba2Block, type Mamba2BlockOptions } from "../models/mamba2-block.ts";
import type { Architecture, Mixer } from "./architecture.ts";
import { configFault, countAt, flagAt, limitsAt, numberAt, widened, WHOLE, type Config } from "./config.ts";

const mixer =
  (options: Mamba2BlockOptions): Mixer =>
  (x) =>
    mamba2Block(x, options);

/** Throws: `checkpoint-config` where the sizes contradict each other. */
function checkSizes({ label }: Config, inner: number, channels: number, heads: number, groups: number): void {
  if (channels > inner) configFault(label, `gives the state space model ${channels} of ${inner} channels`, WHOLE);
  if (!Number.isInteger(heads)) configFault(label, `gives ${channels} channels no whole number of heads`, WHOLE);
  if (heads % groups !== 0) configFault(label, `has ${heads} heads in ${groups} groups`, WHOLE);
}

export const mamba2: Architecture = {
  name: "mamba2",
  options: ["gatedNorm"],
  original: {
    layer: "Mamba2",
    mixer: (config, width, { gatedNorm = "groups" }) => {
      const inner = widened(config, "expand", width, 2);
      const channels = countAt(config, "d_ssm", inner);
      const headDim = countAt(config, "headdim", 64);
      const groups = countAt(config, "ngroups", 1);
      checkSizes(config, inner, channels, channels / headDim, groups);
      const normed = flagAt(config, "rmsnorm", true);
      return mixer({
        inner,
        channels,
        headDim,
        groups,
        state: countAt(config, "d_state", 128, { most: 4096 }),
        taps: countAt(config, "d_conv", 4, { most: 64 }),
        bias: flagAt(config, "bias", false),
        convBias: flagAt(config, "conv_bias", true),
        norm: normed ? (flagAt(config, "norm_before_gate", false) ? "before-gate" : "after-gate") : "none",
        normOver: gatedNorm,
        deltaLimits: limitsAt(config, "dt_limit", [0, Infinity]),
        skip: flagAt(config, "D_has_hdim", false) ? "channel" : "head",
      });
    },
  },
  transformers: {
    modelType: "mamba2",
    defaults: { width: 4096, layers: 64, rows: 32768, tied: false },
    mixer: (config, width, { gatedNorm = "whole" }) => {
      const heads = countAt(config, "num_heads", 128);
      const headDim = countAt(config, "head_dim", 64);
      const inner = heads * headDim;
      const expanded = widened(config, "expand", width, 2);
      if (expanded !== inner)
        configFault(config.label, `has ${heads} heads of ${headDim} channels, and expand makes ${expanded} channels`, WHOLE);
      const groups = countAt(config, "n_groups", 8);
      checkSizes(config, inner, inner, heads, groups);
      return mixer({
        inner,
        headDim,
        groups,
        state: countAt(config, "state_size", 128, { most: 4096 }),
        taps: countAt(config, "conv_kernel", 4, { most: 64 }),
        bias: flagAt(config, "use_bias", false),
        convBias: flagAt(config, "use_conv_bias", true),
        normOver: gatedNorm,
        normEps: numberAt(config, "layer_norm_epsilon", 1e-5, { most: 1 }),
        deltaLimits: limitsAt(config, "time_step_limit", [0, Infinity]),
      });
    },
  },
};
