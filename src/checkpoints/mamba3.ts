/** Mamba-3, which only state-spaces/mamba has. */
import { mamba3Block } from "../models/mamba3-block.ts";
import type { Architecture } from "./architecture.ts";
import { configFault, countAt, flagAt, numberAt, WHOLE, widened } from "./config.ts";

export const mamba3: Architecture = {
  name: "mamba3",
  options: ["aActivation"],
  original: {
    layer: "Mamba3",
    mixer: (config, width, { aActivation = "heavy-tail" }) => {
      const inner = widened(config, "expand", width, 2);
      const headDim = countAt(config, "headdim", 64);
      const groups = countAt(config, "ngroups", 1);
      const heads = inner / headDim;
      if (!Number.isInteger(heads / groups))
        configFault(config.label, `has ${inner} channels in heads of ${headDim} and ${groups} groups`, WHOLE);
      const turning = numberAt(config, "rope_fraction", 0.5);
      if (turning !== 0.5 && turning !== 1) configFault(config.label, `has rope_fraction: ${turning}`, "it must be 0.5 or 1");
      const options = {
        inner,
        headDim,
        groups,
        state: countAt(config, "d_state", 128, { most: 4096 }),
        turning,
        rank: flagAt(config, "is_mimo", false) ? countAt(config, "mimo_rank", 4, { most: 64 }) : undefined,
        outNorm: flagAt(config, "is_outproj_norm", false),
        decay: aActivation,
        decayFloor: numberAt(config, "A_floor", 1e-4, { most: 1 }),
      };
      return (x) => mamba3Block(x, options);
    },
  },
};
