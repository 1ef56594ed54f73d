/** Every mode against the float64 interpreter on many random systems: the wide form of `test/modes`. */
import fc from "fast-check";
import { arbitraryCase, checkCase } from "../test/setup/ssm-case.ts";
import type { Bench } from "./figure.ts";

export const equivalence: Bench = {
  name: "equivalence",
  doc: "random S4D, normal, dense and DPLR systems in every mode, from zero and from a state; largest error over the output's scale",
  device: true,
  run: async ({ cases, seed }) => {
    const worst = new Map<string, number>();
    for (const [i, sample] of fc.sample(arbitraryCase(), { numRuns: cases, seed }).entries()) {
      const { errors } = await checkCase(sample);
      for (const { mode, whole, resumed } of errors) worst.set(mode, Math.max(worst.get(mode) ?? 0, whole, resumed));
      if ((i + 1) % 100 === 0)
        process.stderr.write(`${i + 1} of ${cases}: ${[...worst].map(([mode, e]) => `${mode} ${e.toExponential(1)}`).join(", ")}\n`);
    }
    return [...worst].map(([mode, value]) => ({ name: `${mode}, ${cases} cases`, value, unit: "", atMost: 2e-5 }));
  },
};
