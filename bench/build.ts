/** How long `recurve build` takes, from a cold process. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildBundle } from "../scripts/examples.ts";
import { compileModel, writeBundle } from "../src/build.ts";
import type { Bench } from "./figure.ts";

const RUNS = 3;

const seconds = (since: number): number => (performance.now() - since) / 1000;

export const build: Bench = {
  name: "build",
  doc: `recurve build of s4d-sfmnist, the best of ${RUNS}`,
  device: false,
  run: async ({ root }) => {
    const folder = await mkdtemp(join(tmpdir(), "recurve-bench-"));
    const example = join(root, "examples", "s4d-sfmnist");
    const [whole, outside]: [number[], number[]] = [[], []];
    try {
      for (let i = 0; i < RUNS; i++) {
        const start = performance.now();
        buildBundle(root, "s4d-sfmnist", join(folder, "bundle"));
        whole.push(seconds(start));
        const own = performance.now();
        const { compiled, times } = await compileModel(join(example, "model.ts"), { weights: join(example, "model.safetensors") });
        await writeBundle(compiled, join(folder, "bundle"));
        outside.push(seconds(own) - times.typecheck / 1000);
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
    return [
      { name: "the command", value: Math.min(...whole), unit: "s", atMost: 5 },
      { name: "outside of TypeScript's checking", value: Math.min(...outside), unit: "s", atMost: 1 },
    ];
  },
};
