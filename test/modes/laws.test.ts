/** What must hold of a time-invariant system in every mode, whatever its numbers. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { evaluatePlan } from "../../src/codegen/plan-source.ts";
import type { Mode } from "../../src/runtime/plan.ts";
import { loadPlan } from "../setup/execute.ts";
import { random } from "../setup/random-graph.ts";
import { arbitraryCase, compileCase, type SsmCase } from "../setup/ssm-case.ts";
import { sharedDevice } from "../setup/shared-device.ts";

/** Two float32 results that are equal in exact arithmetic, of their scale: twice what one may be off. */
const tolerance = 4e-5;

type Run = (u: Float32Array<ArrayBuffer>) => Promise<Float32Array>;

/** Runs `check` with the case's system in every mode it has; inputs are `[1 L H]`. */
async function inEveryMode(c: SsmCase, check: (run: Run, mode: Mode) => Promise<void>): Promise<void> {
  const compiled = await compileCase(c);
  const model = await loadPlan(evaluatePlan(compiled.plan), compiled.shards, { device: await sharedDevice() });
  for (const mode of model.info.modes as Mode[]) {
    await check(async (u) => {
      const { y } = await model.run({ x: { data: u, dims: [1, u.length / c.H, c.H] } }, { mode });
      return y?.data ?? new Float32Array();
    }, mode);
  }
  model.destroy();
}

const noise = (count: number, seed: number): Float32Array<ArrayBuffer> => {
  const uniform = random(seed);
  return Float32Array.from({ length: count }, () => 2 * uniform() - 1);
};

const scaleOf = (y: Float32Array): number => Math.max(1e-30, ...y.map(Math.abs));

function expectClose(actual: Float32Array, expected: Float32Array, what: string, scale = scaleOf(expected)): void {
  const error = actual.reduce((worst, a, i) => Math.max(worst, Math.abs(a - (expected[i] ?? NaN))), 0) / scale;
  expect(actual.length, what).toBe(expected.length);
  expect(error, what).toBeLessThan(tolerance);
}

const cases = { numRuns: 15, seed: 20261123 };

test("causality: what comes later changes nothing before", { timeout: 300_000 }, () =>
  fc.assert(
    fc.asyncProperty(arbitraryCase(400), fc.nat(1000), (c, cut) =>
      inEveryMode(c, async (run, mode) => {
        const u = noise(c.L * c.H, c.seed);
        const steps = cut % c.L;
        const changed = u.map((v, i) => (i < steps * c.H ? v : -v));
        const before = (y: Float32Array): Float32Array => y.slice(0, (steps * y.length) / c.L);
        expectClose(before(await run(changed)), before(await run(u)), mode);
      }),
    ),
    cases,
  ),
);

test("a shorter sequence gives the beginning of what a longer one gives, whatever FFT runs it", { timeout: 300_000 }, () =>
  fc.assert(
    fc.asyncProperty(arbitraryCase(400), fc.nat(1000), (c, cut) =>
      inEveryMode(c, async (run, mode) => {
        const u = noise(c.L * c.H, c.seed);
        const steps = 1 + (cut % c.L);
        const whole = await run(u);
        expectClose(await run(u.slice(0, steps * c.H)), whole.slice(0, (steps * whole.length) / c.L), mode, scaleOf(whole));
      }),
    ),
    cases,
  ),
);

test("time invariance: what comes later is answered later", { timeout: 300_000 }, () =>
  fc.assert(
    fc.asyncProperty(arbitraryCase(200), fc.integer({ min: 1, max: 200 }), (c, delay) =>
      inEveryMode({ ...c, L: c.L + delay }, async (run, mode) => {
        const u = noise(c.L * c.H, c.seed);
        const later = new Float32Array((c.L + delay) * c.H);
        later.set(u, delay * c.H);
        const [now, then] = [await run(u), await run(later)];
        const silent = new Float32Array((delay * now.length) / c.L);
        expectClose(then, Float32Array.from([...silent, ...now]), mode);
      }),
    ),
    cases,
  ),
);

test("linearity: the response to a sum is the sum of the responses", { timeout: 300_000 }, () =>
  fc.assert(
    fc.asyncProperty(arbitraryCase(400), (c) =>
      inEveryMode(c, async (run, mode) => {
        const [u, v] = [noise(c.L * c.H, c.seed), noise(c.L * c.H, c.seed + 1)];
        const [y, z] = [await run(u), await run(v)];
        const sum = await run(u.map((a, i) => 0.75 * a - 0.5 * (v[i] ?? NaN)));
        expectClose(
          sum,
          y.map((a, i) => 0.75 * a - 0.5 * (z[i] ?? NaN)),
          mode,
        );
      }),
    ),
    cases,
  ),
);

test("a larger step equals smaller steps over a held input (zoh)", { timeout: 300_000 }, async () => {
  // Four times the largest step size of a channel, 10^0.2 times that of the case, is still below 1, where cases cut it off.
  const zoh = arbitraryCase(120).map((c): SsmCase => ({ ...c, discretization: "zoh", logDelta: Math.min(c.logDelta, -0.81) }));
  await fc.assert(
    fc.asyncProperty(zoh, fc.integer({ min: 2, max: 4 }), async (c, times) => {
      const u = noise(c.L * c.H, c.seed);
      const held = Float32Array.from({ length: u.length * times }, (_, i) => u[Math.floor(i / (c.H * times)) * c.H + (i % c.H)] ?? NaN);
      const fine = new Map<Mode, Float32Array>();
      await inEveryMode(c, async (run, mode) => {
        const y = await run(held);
        const width = y.length / (c.L * times);
        fine.set(
          mode,
          Float32Array.from({ length: c.L * width }, (_, i) => y[(Math.floor(i / width) * times + times - 1) * width + (i % width)] ?? NaN),
        );
      });
      await inEveryMode({ ...c, logDelta: c.logDelta + Math.log10(times) }, async (run, mode) => {
        expectClose(await run(u), fine.get(mode) ?? new Float32Array(), mode);
      });
    }),
    cases,
  );
});
