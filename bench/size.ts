/** How large the bundle of a classifier is. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { buildBundle } from "../scripts/examples.ts";
import type { Bench } from "./figure.ts";

export const size: Bench = {
  name: "size",
  doc: "index.js of s4d-sfmnist, shaders included",
  device: false,
  run: async ({ root }) => {
    const folder = await mkdtemp(join(tmpdir(), "recurve-bench-"));
    try {
      buildBundle(root, "s4d-sfmnist", join(folder, "bundle"));
      const script = await readFile(join(folder, "bundle", "index.js"));
      return [
        { name: "as it is", value: script.length / 1024, unit: "KB" },
        { name: "gzipped", value: gzipSync(script, { level: 9 }).length / 1024, unit: "KB", atMost: 20 },
      ];
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
};
