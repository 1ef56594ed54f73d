/**
 * How the tests run: one process a file, because Dawn keeps one GPU a process; with the software adapter in the processes'
 * environment from their start where no GPU answers; and a closing line that counts.
 */
import { defineConfig } from "vitest/config";
import { adapterEnvironment } from "./test/setup/environment.ts";

Object.assign(process.env, await adapterEnvironment());

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    setupFiles: ["./test/setup/seed.ts"],
    reporters: ["default", "./test/setup/reporter.ts"],
  },
});
