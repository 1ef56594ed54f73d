/** Falcon-Mamba: Mamba with norms without weights on the sources of dt, B and C. */
import { mambaBlock } from "../models/mamba-block.ts";
import type { Architecture } from "./architecture.ts";
import { numberAt } from "./config.ts";
import { mambaOptions } from "./mamba.ts";

export const falconMamba: Architecture = {
  name: "falcon-mamba",
  options: [],
  transformers: {
    modelType: "falcon_mamba",
    defaults: { width: 768, layers: 32, rows: 50280, tied: true },
    mixer: (config, width) => {
      const options = {
        ...mambaOptions(config, width),
        norms: "weightless",
        normEps: numberAt(config, "mixer_rms_eps", 1e-6, { most: 1 }),
      } as const;
      return (x) => mambaBlock(x, options);
    },
  },
};
