/** One bundle, unchanged, in Node (Dawn), Deno (wgpu) and Chromium. */
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { processGpu } from "../../src/cli/adapter.ts";
import { packBundle } from "../../src/pack.ts";
import { withPage } from "../setup/browser.ts";
import { runDeno } from "../setup/deno.ts";
import { GAIN, OFFSET, parts, reference } from "./integrator.ts";
import { expectClose } from "./setup.ts";

interface Result {
  readonly whole: number[];
  readonly stepped: number[];
  readonly pushed: number[];
  readonly last: number;
  readonly [more: string]: unknown;
}

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "recurve-platforms-"));
  await packBundle(parts, join(folder, "bundle"));
  await cp(fileURLToPath(new URL("exercise.js", import.meta.url)), join(folder, "exercise.js"));
  await writeFile(join(folder, "package.json"), '{ "type": "module" }');
  await writeFile(join(folder, "index.html"), "<!doctype html><title>Platforms</title><link rel=icon href=data:,>");
  const script = `import * as bundle from "./bundle/index.js";\nimport { exercise } from "./exercise.js";\nconsole.log(JSON.stringify(await exercise(bundle, {})));\n`;
  await writeFile(join(folder, "deno.js"), script);
});
afterAll(() => rm(folder, { recursive: true }));

function expectResult(result: Result): void {
  const { y } = reference(Array.from({ length: 40 }, (_, i) => Math.fround(Math.sin(i))));
  expectClose(result.whole, y);
  expectClose(result.stepped, y);
  expectClose(result.pushed, y.slice(0, 25));
  expectClose([result.last], [GAIN * (OFFSET + (y.at(-1) ?? 0))]);
  expect(result).toMatchObject({ refused: "u", aborted: "AbortError", closed: "DeviceLostError", stages: ["weights", "shaders"] });
}

test("gpu: a bundle in Node", async () => {
  const url = (name: string): string => pathToFileURL(join(folder, name)).href;
  const { exercise } = (await import(/* @vite-ignore */ url("exercise.js"))) as {
    exercise: (bundle: unknown, options: object) => Promise<Result>;
  };
  expectResult(await exercise(await import(/* @vite-ignore */ url("bundle/index.js")), { gpu: processGpu() }));
});

test("gpu: a bundle in Deno", async () => {
  const { code, stdout, stderr } = await runDeno(join(folder, "deno.js"));
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expectResult(JSON.parse(stdout) as Result);
});

test("gpu: a bundle in Chromium", async () => {
  await withPage(folder, async ({ page, url, errors }) => {
    await page.goto(`${url}index.html`);
    const script = `Promise.all([import("${url}exercise.js"), import("${url}bundle/index.js")]).then(([{ exercise }, bundle]) => exercise(bundle, {}))`;
    const result = await page.evaluate(script);
    expect(errors).toEqual([]);
    expectResult(result as Result);
  });
});
