import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { withPage } from "../setup/browser.ts";
import { runDeno } from "../setup/deno.ts";
import { processGpu } from "../../src/cli/adapter.ts";
import { double } from "./double.js";

const folder = fileURLToPath(new URL(".", import.meta.url));
const expected = Array.from({ length: 100 }, (_, i) => 2 * i);

test("gpu: a compute shader runs in Node", async () => {
  expect(await double(processGpu())).toEqual(expected);
});

test("gpu: a compute shader runs in Deno", async () => {
  const { code, stdout, stderr } = await runDeno(`${folder}deno-main.js`);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(JSON.parse(stdout)).toEqual(expected);
});

test("gpu: a compute shader runs in Chromium", async () => {
  await withPage(folder, async ({ page, url, errors }) => {
    await page.goto(`${url}blank.html`);
    const result = await page.evaluate(`import("${url}double.js").then(({ double }) => double(navigator.gpu))`);
    expect(errors).toEqual([]);
    expect(result).toEqual(expected);
  });
});

test("server: paths do not leave the folder", async () => {
  const { serveFolder } = await import("../setup/server.ts");
  const server = await serveFolder(folder);
  try {
    expect((await fetch(`${server.url}blank.html`)).status).toBe(200);
    expect((await fetch(`${server.url}..%2Fsetup%2Fgpu.ts`)).status).toBe(404);
    expect((await fetch(`${server.url}absent.js`)).status).toBe(404);
  } finally {
    await server.close();
  }
});
