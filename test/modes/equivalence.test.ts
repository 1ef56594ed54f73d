import fc from "fast-check";
import { expect, test } from "vitest";
import { arbitraryCase, checkCase, type ModeError, type SsmCase } from "../setup/ssm-case.ts";

const cases = Number(process.env["RECURVE_CASES"] ?? 300);
const tolerance = 2e-5;

test(`every mode of ${cases} random time-invariant systems agrees with the float64 interpreter`, { timeout: 1_200_000 }, async () => {
  const worst = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(arbitraryCase(), fc.constantFrom(32, 256), async (c, W) => {
      const { errors, text } = await checkCase(c, W);
      for (const e of errors) worst.set(e.mode, Math.max(worst.get(e.mode) ?? 0, e.whole, e.resumed));
      const bad = errors.filter((e: ModeError) => !(Math.max(e.whole, e.resumed) <= tolerance));
      expect(bad, text).toEqual([]);
    }),
    { numRuns: cases, seed: 20261123 },
  );
  console.log(`largest errors of scale: ${[...worst].map(([mode, e]) => `${mode} ${e.toExponential(1)}`).join(", ")}`);
});

test.each([1, 3])("a step of %i sequences on a device of many lanes, which share the states of a channel", async (B) => {
  const c: SsmCase = { structure: "s4d", discretization: "zoh", B, L: 9, H: 11, N: 90, P: 1, logDelta: -1, seed: 4 };
  const { errors, text } = await checkCase(c, 256);
  const step = errors.find(({ mode }) => mode === "recurrence");
  expect(Math.max(step?.whole ?? Infinity, step?.resumed ?? Infinity), text).toBeLessThan(tolerance);
});
