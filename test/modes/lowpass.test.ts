/** The lowest frequencies of whole sequences: against the discrete Fourier transform, in float64 and on the device; and what has no streams. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { compileGraph } from "../../src/compile.ts";
import { lastSteps, lowpass, model, type Model, reverse, sample, sequence } from "../../src/dsl/index.ts";
import type { Constant } from "../../src/ir/graph.ts";
import { interpret } from "../../src/ir/interpret.ts";
import { numbers } from "../kernels/program.ts";
import { relativeError } from "../math/golden.ts";
import { errorOf, loadCompiled, toInputs } from "../setup/execute.ts";
import { sharedDevice } from "../setup/shared-device.ts";

const [B, H] = [2, 3];
// An output has every step of the model: what is left of a sequence comes as its last steps.
const lowest = (by: number, backwards: boolean): Model =>
  model("lowest", { u: sequence(H) }, ({ u }) => ({ y: lastSteps(lowpass(backwards ? reverse(u) : u, by), most) }));
const most = 64;

/** Sums of 64 terms and of seven such, roundings as a random walk: sqrt(64 + 7) 2^-24 = 5e-7; and as much for a few last places of the weights. */
const tolerance = 1e-6;

/** y_m = Re((1/L) sum_k X_k e^{2 pi i k m / n}) over the n lowest frequencies, as the last of `most` steps. */
function transformed({ data }: Constant, L: number, by: number, backwards: boolean): Float64Array {
  const n = L / by;
  const y = new Float64Array(B * most * H);
  const angle = (turns: number, of: number): number => (2 * Math.PI * (turns % of)) / of;
  for (let b = 0; b < B; b++)
    for (let h = 0; h < H; h++)
      for (let j = 0; j < n; j++) {
        const k = j - Math.floor(n / 2);
        let [re, im] = [0, 0];
        for (let l = 0; l < L; l++) {
          const x = data[(b * L + (backwards ? L - 1 - l : l)) * H + h] ?? NaN;
          re += x * Math.cos(angle(k * l, L));
          im -= x * Math.sin(angle(k * l, L));
        }
        for (let m = 0; m < n; m++) {
          const at = (b * most + most - n + m) * H + h;
          y[at] = (y[at] ?? NaN) + (re * Math.cos(angle(k * m, n)) - im * Math.sin(angle(k * m, n))) / L;
        }
      }
  return y;
}

test("is the transform, its lowest frequencies, and the transform back", { timeout: 120_000 }, () =>
  fc.assert(
    fc.asyncProperty(
      fc.record({ by: fc.integer({ min: 1, max: 7 }), n: fc.integer({ min: 1, max: most }), backwards: fc.boolean(), seed: fc.nat(1000) }),
      async ({ by, n, backwards, seed }) => {
        const L = n * by;
        const { graph } = lowest(by, backwards);
        const inputs = new Map([["u", numbers([B, L, H], seed)]]);
        const { outputs } = interpret(graph, new Map(), inputs);
        const want = transformed(inputs.get("u") ?? expect.fail("no input"), L, by, backwards);
        expect(relativeError(outputs.get("y")?.data ?? [], want)).toBeLessThan(1e-13);
        const compiled = await compileGraph(graph, new Map(), { maxLength: 512 });
        const loaded = await loadCompiled(compiled, { device: await sharedDevice() });
        expect(errorOf(await loaded.run(toInputs(compiled, inputs)), outputs)).toBeLessThan(tolerance);
        loaded.destroy();
      },
    ),
    { numRuns: 20, seed: 20261127 },
  ),
);

/** Waves of at most three turns, of which 8 steps know all. */
const slow = (L: number): Constant => ({
  shape: [1, L, H],
  data: Float64Array.from({ length: L * H }, (_, i) => Math.cos((2 * Math.PI * (1 + (i % H)) * Math.floor(i / H)) / L + (i % H))),
});

test("of a sequence without higher frequencies it gives its own steps, a constant among them, at long lengths", async () => {
  const L = 4096;
  const { graph } = model("slow", { u: sequence(H) }, ({ u }) => ({
    low: lastSteps(lowpass(u, 512), 8),
    own: lastSteps(sample(u, 512), 8),
  }));
  const compiled = await compileGraph(graph, new Map(), { maxLength: L });
  const loaded = await loadCompiled(compiled, { device: await sharedDevice() });
  for (const u of [slow(L), { shape: [1, L, H], data: new Float64Array(L * H).fill(1) }]) {
    const { low, own } = await loaded.run(toInputs(compiled, new Map([["u", u]])));
    expect(relativeError(low?.data ?? [], own?.data ?? [])).toBeLessThan(1e-5);
  }
});

test("a model with it has no streams and no recurrence mode", async () => {
  const compiled = await compileGraph(lowest(2, false).graph, new Map(), { maxLength: 64 });
  expect(compiled.lowered.refused.map(({ mode, node }) => [mode, node.op])).toEqual([["recurrence", "lowpass"]]);
  const loaded = await loadCompiled(compiled, { device: await sharedDevice() });
  expect(loaded.info.modes).not.toContain("recurrence");
  await expect(loaded.stream()).rejects.toMatchObject({ code: "no-stream" });
  await expect(loaded.run({ u: new Float32Array(3 * H) })).rejects.toMatchObject({ name: "InputError" });
});
