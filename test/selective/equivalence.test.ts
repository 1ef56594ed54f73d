/** Scan, chunked and recurrence of every selective family agree with the float64 interpreter, whole and in pieces from any state. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { recurrences } from "../../src/ssm/recurrences.ts";
import { arbitrarySelective, checkSelective, type SelectiveCase } from "./random.ts";

/** INDEX.md: mode equivalence inside one implementation, f32 on WebGPU is 2e-4; the goal here is that of f32 on a CPU. */
const goal = 2e-5;

async function expectEqual(c: SelectiveCase, only?: string): Promise<void> {
  const { errors, text } = await checkSelective(c, only);
  expect(errors.length).toBeGreaterThan(0);
  for (const { mode, whole, pieces, states } of errors)
    expect(Math.max(whole, pieces, states), `${mode}: whole ${whole}, in pieces ${pieces}, states ${states}\n${text}`).toBeLessThan(goal);
}

describe.each(recurrences.map(({ name }) => name))("random models of %s", (name) => {
  test("in every mode", { timeout: 240_000 }, async () => {
    const cases = fc.asyncProperty(arbitrarySelective(300, [name]), (c) => expectEqual(c));
    await fc.assert(cases, { numRuns: 4, seed: 11 });
  });

  test("step by step, lanes sharing the rows of a column", { timeout: 240_000 }, async () => {
    const cases = fc.asyncProperty(arbitrarySelective(5, [name]), (c) => expectEqual(c, "recurrence on a GPU"));
    await fc.assert(cases, { numRuns: 8, seed: 12 });
  });
});
