/** The bundle of a language model, as packed, in Node (Dawn), Deno (wgpu) and Chromium: greedy and drawn ids, alone and in a batch. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { writeBundle } from "../../src/build.ts";
import { processGpu } from "../../src/cli/adapter.ts";
import { withPage } from "../setup/browser.ts";
import { runDeno } from "../setup/deno.ts";
import { compileLanguage, continuation, languageModel } from "../setup/language.ts";

/** What every host does. */
const EXERCISE = `
export async function exercise({ load, LogitsError }, options) {
  const model = await load(options);
  const collect = async (pieces) => {
    const ids = {};
    for await (const { sequence, id } of pieces) (ids[sequence] ??= []).push(id);
    return ids;
  };
  const greedy = await collect(model.generate([3, 1, 4, 1, 5], { maxTokens: 9 }));
  const drawn = await collect(model.generate([[3, 1, 4], [1]], { maxTokens: 7, temperature: 1.5, topK: 9, topP: 0.9, seed: 8 }));
  const stream = await model.stream();
  for await (const piece of stream.generate([2, 7], { every: 3 })) if (piece.position === 7) break;
  await stream.rollback(4);
  const rest = await collect(stream.generate(undefined, { maxTokens: 4 }));
  const refused = await collect(model.generate([17])).catch((error) => error.code);
  model.destroy();
  return { greedy, drawn, rest, refused, error: LogitsError.name.length > 0 };
}
`;
const compiled = await compileLanguage(languageModel(17));

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "recurve-platforms-"));
  await writeBundle(compiled, join(folder, "bundle"));
  await writeFile(join(folder, "exercise.js"), EXERCISE);
  await writeFile(join(folder, "package.json"), '{ "type": "module" }');
  await writeFile(join(folder, "index.html"), "<!doctype html><title>Platforms</title><link rel=icon href=data:,>");
  const script = `import * as bundle from "./bundle/index.js";\nimport { exercise } from "./exercise.js";\nconsole.log(JSON.stringify(await exercise(bundle, {})));\n`;
  await writeFile(join(folder, "deno.js"), script);
});
afterAll(() => rm(folder, { recursive: true }));

function expectResult(result: unknown): void {
  const sampling = { temperature: 1.5, topK: 9, topP: 0.9, seed: 8 };
  expect(result).toEqual({
    greedy: { 0: continuation(compiled, [3, 1, 4, 1, 5], 9) },
    drawn: {
      0: continuation(compiled, [3, 1, 4], 7, { sampling }),
      1: continuation(compiled, [1], 7, { sampling, sequence: 1 }),
    },
    rest: { 0: continuation(compiled, [2, 7], 6).slice(2) },
    refused: "input-invalid",
    error: true,
  });
}

test("gpu: a language model in Node", async () => {
  const url = (name: string): string => pathToFileURL(join(folder, name)).href;
  const { exercise } = (await import(/* @vite-ignore */ url("exercise.js"))) as {
    exercise: (bundle: unknown, options: object) => Promise<unknown>;
  };
  expectResult(await exercise(await import(/* @vite-ignore */ url("bundle/index.js")), { gpu: processGpu() }));
});

test("gpu: a language model in Deno", async () => {
  const { code, stdout, stderr } = await runDeno(join(folder, "deno.js"));
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expectResult(JSON.parse(stdout));
});

test("gpu: a language model in Chromium", async () => {
  await withPage(folder, async ({ page, url, errors }) => {
    await page.goto(`${url}index.html`);
    const script = `Promise.all([import("${url}exercise.js"), import("${url}bundle/index.js")]).then(([{ exercise }, bundle]) => exercise(bundle, {}))`;
    expectResult(await page.evaluate(script));
    expect(errors).toEqual([]);
  });
});
