/** `run`: whole sequences in every mode, inputs in every form, batches split, and what goes wrong. */
import { afterEach, expect, test } from "vitest";
import { InputError, LimitError } from "../../src/runtime/index.ts";
import { plan, reference, signal } from "./integrator.ts";
import { count, counting, expectClose, loadIntegrator } from "./setup.ts";
import { testDevice } from "../setup/gpu.ts";

afterEach(() => {
  expect(count.alive).toBe(0);
  expect(count.uncaptured).toEqual([]);
});

test.each(["auto", "convolution", "recurrence"] as const)("mode %s computes the sequence", async (mode) => {
  const model = await loadIntegrator();
  const u = signal(3 * 300);
  const { y, last } = await model.run({ u }, { mode, batch: 3 });
  const expected = reference(u, 3);
  expectClose(y.data, expected.y);
  expectClose(last.data, expected.last);
  expect([y.dims, last.dims]).toEqual([[3, 300, 1], [3, 1]]);
  model.destroy();
});
