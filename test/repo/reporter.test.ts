/** The closing line of a run counts what happened, failures outside of tests included. */
import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { root } from "./source.ts";

let folder = "";

beforeEach(async () => {
  await mkdir(join(root, "out"), { recursive: true });
  folder = await mkdtemp(join(root, "out", "reporter-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** The last line that vitest prints for test files with these texts, and its exit code. */
async function closing(files: Readonly<Record<string, string>>): Promise<{ line: string | undefined; status: number | null }> {
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  const config = `export default { test: { include: ["*.test.ts"], reporters: ["default", ${JSON.stringify(join(root, "test", "setup", "reporter.ts"))}] } };`;
  await writeFile(join(folder, "vitest.config.ts"), config);
  const bin = join(root, "node_modules", "vitest", "vitest.mjs");
  const { stdout, status } = spawnSync(process.execPath, [bin, "run", "--root", folder], { encoding: "utf8" });
  return { line: stdout.trimEnd().split("\n").at(-1), status };
}

const head = `import { expect, it } from "vitest";\n`;

it("counts what passed, failed and was skipped", async () => {
  const text = `${head}it("a", () => {});\nit("b", () => expect(1).toBe(2));\nit.skip("c", () => {});\nit("d", () => {});\n`;
  expect(await closing({ "x.test.ts": text })).toEqual({ line: "2 passed, 1 failed, 1 skipped", status: 1 });
});

it("says only two numbers where nothing was skipped", async () => {
  expect(await closing({ "x.test.ts": `${head}it("a", () => {});\n` })).toEqual({ line: "1 passed, 0 failed", status: 0 });
});

it("counts a file that cannot be read, and an error outside of every test, as failures", async () => {
  const stray = `${head}it("a", async () => { setTimeout(() => { throw new Error("stray"); }, 0); await new Promise((r) => setTimeout(r, 50)); });\n`;
  const files = { "x.test.ts": `import "./absent.ts";\n`, "y.test.ts": stray };
  expect(await closing(files)).toEqual({ line: "1 passed, 2 failed", status: 1 });
});
