/** The static checks, each a test: types, lint with types, formatting. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";
import { root } from "./source.ts";

/** What `tool` of node_modules/.bin prints where it finds fault; empty where all is well. */
function complaints(tool: string, ...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(join(root, "node_modules", ".bin", tool), args, { cwd: root, encoding: "utf8" });
  if (error !== undefined) throw error;
  return status === 0 ? "" : `${stdout}${stderr}` || `${tool} exited with ${status}`;
}

it("types: tsc finds nothing in src, test, bench, examples and scripts", () => {
  expect(complaints("tsc", "--noEmit")).toBe("");
});

it("lint: oxlint finds nothing, type-aware rules included", () => {
  expect(complaints("oxlint")).toBe("");
});

it("format: oxfmt would change nothing", () => {
  expect(complaints("oxfmt", "--list-different")).toBe("");
});
