import fc from "fast-check";
import { expect, test } from "vitest";
import { arbitraryCase, checkCase, type ModeError } from "../setup/ssm-case.ts";

const cases = Number(process.env["RECURVE_CASES"] ?? 300);
const tolerance = 2e-5;

test(`every mode of ${cases} random time-invariant systems agrees with the float64 interpreter`, { timeout: 1_200_000 }, async () => {
  const worst = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(arbitraryCase(), async (c) => {
      const { errors, text } = await checkCase(c);
      for (const e of errors) worst.set(e.mode, Math.max(worst.get(e.mode) ?? 0, e.whole, e.resumed));
      const bad = errors.filter((e: ModeError) => !(Math.max(e.whole, e.resumed) <= tolerance));
      expect(bad, text).toEqual([]);
    }),
    { numRuns: cases, seed: 20261123 },
  );
  console.log(`largest errors of scale: ${[...worst].map(([mode, e]) => `${mode} ${e.toExponential(1)}`).join(", ")}`);
});
