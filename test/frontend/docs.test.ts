/** The models of docs/ load as they stand, and models.md and blocks.md name everything a model file can import. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import * as dsl from "../../src/dsl/index.ts";
import * as ours from "../../src/models/index.ts";
import { loadModel } from "../../src/frontend/load.ts";

const page = readFileSync("docs/models.md", "utf8");
const blocks = readFileSync("docs/blocks.md", "utf8");
const pages = page + readFileSync("docs/checkpoints.md", "utf8") + blocks;
const models = [...pages.matchAll(/```ts\n([^]*?)```/g)].map((m) => m[1] ?? "").filter((text) => text.includes("export default"));

test("there are ten models", () => {
  expect(models).toHaveLength(10);
});

test.each(models)("a model of the pages loads: %#", async (text) => {
  const folder = mkdtempSync(join(tmpdir(), "recurve-"));
  try {
    writeFileSync(join(folder, "model.ts"), text);
    const { graph } = await loadModel(join(folder, "model.ts"));
    expect(text).toMatch(new RegExp(`model\\(\\s*"${graph.name}"`));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("every function of the language is on the page", () => {
  const absent = Object.keys(dsl).filter((name) => !new RegExp(`\\b${name}\\b`).test(page));
  expect(absent).toEqual([]);
});

test("every block is on its page", () => {
  const absent = Object.keys(ours).filter((name) => !new RegExp(`\\b${name}\\b`).test(blocks));
  expect(absent).toEqual([]);
});
