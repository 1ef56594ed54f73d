/** The sampling kernel on the simulator: greedy, sets, draws and distribution against plain loops; forced ids and faults. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { sampleKernel } from "../../src/passes/schedules/sample.ts";
import { random } from "../setup/random-expr.ts";
import { leastLogit, probabilities, sample, type Sampling, settingsOf } from "../setup/sampler.ts";
import { simulate } from "../setup/simulate.ts";

const greedy: Sampling = { temperature: 0, topK: 0, topP: 1, seed: 0 };

interface Case {
  readonly position?: number;
  /** Padding rows after the vocabulary. */
  readonly padding?: number;
  readonly lanes?: number;
  /** What stands in the place of the next id, by sequence. */
  readonly forced?: readonly number[];
}

/** The ids that the kernel leaves after step 0 for sequences of these logits. */
function run(
  logits: readonly (readonly number[])[],
  sampling: Sampling,
  { position = 5, padding = 0, lanes = 8, forced = [] }: Case = {},
): number[] {
  const [B, V] = [logits.length, logits[0]?.length ?? 0];
  const width = V + padding;
  const { kernel } = sampleKernel({ logits: 0, ids: 1, settings: 2 }, width, V);
  // Two places a sequence: the step's own id, and the next one.
  const ids = Int32Array.from({ length: 2 * B }, (_, i) => (i % 2 === 0 ? 0 : (forced[i >> 1] ?? -1)));
  const data = new Float32Array(2 * B * width).fill(1e9);
  logits.forEach((row, b) => data.set(row, 2 * b * width));
  const words = new Uint32Array(ids.buffer);
  const dims = { B, L: 2, t: 0, pos: position, M: 2 };
  const { violations } = simulate({
    kernel,
    buffers: [data, words, settingsOf(sampling)],
    dims,
    constants: { LANES: lanes },
    grid: [B, 1, 1],
  });
  expect([...violations]).toEqual([]);
  return [...ids].filter((_, i) => i % 2 === 1);
}

const floats = (count: number, seed: number): number[] => {
  const next = random(seed);
  return Array.from({ length: count }, () => Math.fround(8 * next() - 4));
};

describe("greedy", () => {
  test("the greatest logit wins, whatever the number of lanes", () => {
    for (const [V, lanes] of [
      [1, 8],
      [5, 8],
      [100, 8],
      [100, 64],
      [1000, 16],
    ] as const) {
      const rows = [floats(V, V), floats(V, V + 1)];
      expect(run(rows, greedy, { lanes })).toEqual(rows.map((row) => sample(row, greedy, 0)));
    }
  });

  test("of equal ones the lowest id, and 0 equals -0", () => {
    expect(run([[1, 3, 2, 3, 3]], greedy)).toEqual([1]);
    expect(run([[-1, -0, 0, -5]], greedy)).toEqual([1]);
    expect(run([Array.from({ length: 40 }, (_, i) => (i >= 19 ? 7 : -7))], greedy)).toEqual([19]);
  });

  test("minus infinity is never chosen; negative logits are ordered too", () => {
    expect(run([[-Infinity, -3e38, -1e-40, -2]], greedy)).toEqual([2]);
  });

  test("rows that pad the vocabulary are left out", () => {
    expect(run([floats(9, 1), floats(9, 2)], greedy, { padding: 7 })).toEqual([1, 2].map((seed) => sample(floats(9, seed), greedy, 0)));
  });
});

test.each([
  ["NaN", [1, NaN, 2]],
  ["a negative NaN", [1, -NaN, 2]],
  ["infinity", [1, Infinity, 2]],
  ["nothing but minus infinity", [-Infinity, -Infinity]],
])("logits with %s leave -2, of this sequence alone", (_, row) => {
  const other = row.map((_value, i) => i);
  for (const sampling of [greedy, { ...greedy, temperature: 1, topK: 2, topP: 0.9 }]) expect(run([row, other], sampling, {})[0]).toBe(-2);
  expect(run([row, other], greedy)[1]).toBe(row.length - 1);
});

test("an id that is there already stays, also where the logits have a fault", () => {
  expect(
    run(
      [
        [1, 2],
        [1, 2],
        [NaN, 2],
      ],
      greedy,
      { forced: [0, -1, 0] },
    ),
  ).toEqual([0, 1, 0]);
});

const settings = fc.record({
  temperature: fc.constantFrom(0, 0.3, 1, 2.5),
  topK: fc.constantFrom(0, 1, 3, 7, 100),
  topP: fc.constantFrom(1, 0.999, 0.5, 0.05),
  seed: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
});

test("every setting draws what plain loops draw, at any position and in any sequence", () => {
  fc.assert(
    fc.property(settings, fc.integer({ min: 1, max: 60 }), fc.nat(1e6), fc.nat(1e6), (sampling, V, position, seed) => {
      const rows = [floats(V, seed), floats(V, seed + 1), floats(V, seed + 2)];
      expect(run(rows, sampling, { position })).toEqual(rows.map((row, b) => sample(row, sampling, position, b)));
    }),
    { numRuns: 60, seed: 7 },
  );
});

test("equal logits stay or go together", () => {
  const row = [2, 1, 1, 0, 1, -3];
  expect(leastLogit(row, { ...greedy, temperature: 1, topK: 2 })).toBe(1);
  const drawn = new Set(
    Array.from({ length: 60 }, (_, position) => run([row], { ...greedy, temperature: 10, topK: 2, seed: 3 }, { position })[0]),
  );
  expect([...drawn].toSorted((a = 0, b = 0) => a - b)).toEqual([0, 1, 2, 4]);
});

test("draws are distributed as the probabilities say", () => {
  const row = [0.5, 2, -1, 1.2, 0.5, -0.3, 1.9, 0];
  for (const sampling of [
    { temperature: 1, topK: 0, topP: 1, seed: 11 },
    { temperature: 0.7, topK: 5, topP: 1, seed: 12 },
    { temperature: 1.5, topK: 0, topP: 0.8, seed: 13 },
  ]) {
    const expected = probabilities(row, sampling);
    const counts = row.map(() => 0);
    const draws = 20000;
    for (let position = 0; position < draws; position++) {
      const token = sample(row, sampling, position);
      counts[token] = (counts[token] ?? 0) + 1;
    }
    const statistic = counts.reduce((sum, count, i) => {
      const mean = draws * (expected[i] ?? 0);
      if (mean === 0) expect(count).toBe(0);
      return mean === 0 ? sum : sum + (count - mean) ** 2 / mean;
    }, 0);
    // The 99.9 % quantile of chi-square with 7 degrees of freedom; with fewer it is smaller.
    expect(statistic).toBeLessThan(24.3);
  }
});

test("the noise of tokens, steps and sequences is independent: neighbours agree as often as chance has it", () => {
  const sampling = { temperature: 1, topK: 0, topP: 1, seed: 5 };
  const row = Array.from({ length: 16 }, () => 0);
  const draws = 8000;
  let [steps, sequences] = [0, 0];
  for (let position = 0; position < draws; position++) {
    const token = sample(row, sampling, position);
    if (token === sample(row, sampling, position + 1)) steps++;
    if (token === sample(row, sampling, position, 1)) sequences++;
  }
  // Five deviations of a binomial count.
  const allowed = 5 * Math.sqrt(draws * (1 / 16) * (15 / 16));
  expect(Math.abs(steps - draws / 16)).toBeLessThan(allowed);
  expect(Math.abs(sequences - draws / 16)).toBeLessThan(allowed);
});
