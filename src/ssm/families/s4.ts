/**
 * S4: diagonal plus low rank, in the parameters of the published layer. A = diag(lambda) - sum_r P_r P_r^* over the stored
 * half and its conjugates, lambda = -f(A_real) - i f(A_imag), delta = f(inv_dt). Where `l_kernel` is a length L, `C` holds
 * C (I - Abar^L), with the discretization of the node at the step sizes as they are stored; where it is 0, C itself.
 */
import { CompileError } from "../../ir/error.ts";
import { defineFamily } from "../family.ts";
import { channelParams, channelStarts, pairOptions, pairParams, pairStarts, startP } from "../s4-parameters.ts";
import { checkLength, lowRankValues, pairValues, s4Rows } from "../s4-values.ts";
import type { DplrSystem } from "../system.ts";
import { outputOfTruncated } from "../truncated-output.ts";

export const s4 = defineFamily({
  name: "s4",
  source:
    "Gu et al., Efficiently Modeling Long Sequences with Structured State Spaces, 2022, sections 2 and 3; published code, S4 version 4",
  structure: "dplr",
  params: {
    ...pairParams,
    P: { doc: "Vectors of the low-rank part.", dims: ["R", "S", "N/2", "c"] },
    inv_dt: channelParams.inv_dt,
    l_kernel: { doc: "The length L for which C holds C (I - Abar^L); 0 where it holds C.", dims: [] },
    D: channelParams.D,
  },
  options: pairOptions,
  init: { ...pairStarts, P: startP, l_kernel: () => () => 0, ...channelStarts },
  system: (values, sizes, options, { discretization, loc }) => {
    const rows = s4Rows(sizes, sizes.N / 2, options, loc);
    const system: DplrSystem = {
      structure: "dplr",
      rank: values.P.shape[0] ?? 0,
      ...pairValues(rows, values, options),
      P: lowRankValues(rows, values.P),
    };
    const length = values.l_kernel.at(0);
    if (length === 0) return system;
    checkLength("l_kernel", length, loc);
    if (length < options.l_max)
      throw new CompileError({
        code: "ssm-length",
        message: `C was made for kernels of ${length} steps (l_kernel), while the kernel is cut off after ${options.l_max} (l_max)`,
        fix: "give the l_max that the weights were trained with, at most l_kernel, or none",
        loc,
      });
    return { ...system, C: outputOfTruncated(system, discretization(), length, loc) };
  },
});
