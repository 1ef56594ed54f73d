/** Scan, chunked and recurrence of every selective family agree with the float64 interpreter, whole and in pieces from any state. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { recurrences } from "../../src/ssm/recurrences.ts";
import { arbitrarySelective, checkSelective } from "./random.ts";

/** INDEX.md: mode equivalence inside one implementation, f32 on WebGPU is 2e-4; the goal here is that of f32 on a CPU. */
const goal = 2e-5;

describe("random models", () => {
  test.each(recurrences.map(({ name }) => name))("%s", { timeout: 240_000 }, async (name) => {
    await fc.assert(
      fc.asyncProperty(arbitrarySelective(300, [name]), async (c) => {
        const { errors, text } = await checkSelective(c);
        for (const { mode, whole, pieces, states } of errors)
          expect(Math.max(whole, pieces, states), `${mode}: whole ${whole}, in pieces ${pieces}, states ${states}\n${text}`).toBeLessThan(
            goal,
          );
      }),
      { numRuns: 4, seed: 11 },
    );
  });
});
