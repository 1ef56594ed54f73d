/** A layer that reads both ways, on a sequence read backwards: the same with its directions exchanged, one step later. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { compileGraph } from "../../src/compile.ts";
import { model, s4, sequence } from "../../src/dsl/index.ts";
import { loadCompiled } from "../setup/execute.ts";
import { init } from "../../src/passes/init.ts";
import { random } from "../setup/random-graph.ts";
import { sharedDevice } from "../setup/shared-device.ts";

/** Two float32 results that are equal in exact arithmetic, of their scale. */
const tolerance = 2e-5;

test("reversal symmetry: exchanging directions and reading backwards delays by one step", { timeout: 120_000 }, () =>
  fc.assert(
    fc.asyncProperty(
      fc.record({
        mode: fc.constantFrom("diagonal" as const, "dplr" as const),
        H: fc.integer({ min: 1, max: 3 }),
        L: fc.integer({ min: 2, max: 150 }),
        seed: fc.nat(1e6),
      }),
      async ({ mode, H, L, seed }) => {
        const { graph } = model("both", { x: sequence(H) }, ({ x }) => ({
          y: s4(x, { mode, state: 4, bidirectional: true, delta: [0.05, 0.5], name: "layer" }),
        }));
        const made = new Map(init.run({ graph, constants: new Map() }, { seed, note: () => {}, warn: () => {} }).constants);
        made.set("layer.D", { shape: [1, H], data: new Float64Array(H) });
        const C = made.get("layer.kernel.C") ?? { shape: [], data: new Float64Array() };
        const half = C.data.length / 2;
        const exchanged = new Map(made).set("layer.kernel.C", { ...C, data: C.data.map((_, i) => C.data[(i + half) % (2 * half)] ?? NaN) });
        const uniform = random(seed);
        const x = Float32Array.from({ length: L * H }, () => 2 * uniform() - 1);
        const backwards = <T extends Float32Array>(v: T) => v.map((_, i) => v[(L - 1 - Math.floor(i / H)) * H + (i % H)] ?? NaN);
        const options = { device: await sharedDevice() };
        const first = await loadCompiled(await compileGraph(graph, made, { maxLength: 256 }), options);
        const second = await loadCompiled(await compileGraph(graph, exchanged, { maxLength: 256 }), options);
        for (const way of first.info.modes) {
          const y = (await first.run({ x }, { mode: way })).y?.data ?? new Float32Array();
          const z = backwards(Float32Array.from((await second.run({ x: backwards(x) }, { mode: way })).y?.data ?? []));
          const scale = y.reduce((largest, v) => Math.max(largest, Math.abs(v)), 1e-30);
          for (let i = H; i < L * H; i++) expect(Math.abs((z[i] ?? NaN) - (y[i - H] ?? NaN)) / scale, way).toBeLessThan(tolerance);
        }
      },
    ),
    { numRuns: 12, seed: 20261123 },
  ),
);
