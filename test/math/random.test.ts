/** The seeded generator: reproducible, independent by stream, of the right distribution. */
import { expect, test } from "vitest";
import { logUniform, random } from "../../src/math/random.ts";

const draw = (seed: number, stream: string, count = 4): number[] => {
  const { uniform } = random(seed, stream);
  return Array.from({ length: count }, uniform);
};

test("the same seed and stream give the same numbers, others others", () => {
  expect(draw(1, "a")).toEqual(draw(1, "a"));
  const seen = [draw(1, "a"), draw(2, "a"), draw(1, "b"), draw(11, "a"), draw(1, "1/a")].flat();
  expect(new Set(seen).size).toBe(seen.length);
});

test("the numbers of seed 1, stream `a` stay what they are: models without weights depend on them", () => {
  expect(draw(1, "a", 3)).toMatchInlineSnapshot(`
    [
      0.9998760748842909,
      0.696283127556636,
      0.9394111337042305,
    ]
  `);
});

test("uniform is in [0, 1) with mean 1/2 and variance 1/12, in every eighth alike", () => {
  const x = draw(3, "uniform", 80_000);
  const mean = x.reduce((a, b) => a + b, 0) / x.length;
  const variance = x.reduce((a, b) => a + (b - mean) ** 2, 0) / x.length;
  expect(Math.abs(mean - 0.5)).toBeLessThan(0.005);
  expect(Math.abs(variance - 1 / 12)).toBeLessThan(0.002);
  const bins = new Float64Array(8);
  for (const v of x) bins[Math.floor(v * 8)] = (bins[Math.floor(v * 8)] ?? NaN) + 1;
  for (const count of bins) expect(Math.abs(count - 10_000)).toBeLessThan(500);
});

test("normal has mean 0, variance 1, kurtosis 3, and no correlation between neighbours", () => {
  const { normal } = random(4, "normal");
  const x = Array.from({ length: 100_000 }, normal);
  const moment = (f: (v: number, i: number) => number): number => x.reduce((sum, v, i) => sum + f(v, i), 0) / x.length;
  expect(Math.abs(moment((v) => v))).toBeLessThan(0.015);
  expect(Math.abs(moment((v) => v * v) - 1)).toBeLessThan(0.02);
  expect(Math.abs(moment((v) => v ** 4) - 3)).toBeLessThan(0.15);
  expect(Math.abs(moment((v, i) => v * (x[i + 1] ?? 0)))).toBeLessThan(0.015);
});

test("logUniform stays in its range and halves it at the geometric mean", () => {
  const next = logUniform(random(5, "dt"), 0.001, 0.1);
  const x = Array.from({ length: 10_000 }, next);
  expect(Math.min(...x)).toBeGreaterThanOrEqual(Math.log(0.001));
  expect(Math.max(...x)).toBeLessThanOrEqual(Math.log(0.1));
  expect(Math.abs(x.filter((v) => v < Math.log(0.01)).length - 5000)).toBeLessThan(250);
});
