/** A model of every op, compiled: its bundle in Node (Dawn), Deno (wgpu) and Chromium, in every mode, against the float64 interpreter. */
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { writeBundle } from "../../src/build.ts";
import { processGpu } from "../../src/cli/adapter.ts";
import { compileGraph } from "../../src/compile.ts";
import {
  add,
  attention,
  concat,
  conv,
  dense,
  embed,
  gelu,
  glu,
  layerNorm,
  linear,
  mean,
  model,
  s4d,
  sequence,
  split,
  tokens,
} from "../../src/dsl/index.ts";
import { interpret } from "../../src/ir/interpret.ts";
import { init } from "../../src/passes/init.ts";
import { evaluateSystem } from "../../src/ssm/evaluate.ts";
import { withPage } from "../setup/browser.ts";
import { runDeno } from "../setup/deno.ts";
import { errorOf } from "../setup/execute.ts";
import { exercise, signal, type Result } from "./exercise.js";

const every = model("every", { u: sequence(3), ids: tokens(5) }, ({ u, ids }) => {
  const x = add(linear(u, { width: 4 }), embed(ids, { width: 4 }));
  const y = gelu(s4d(conv(x, { width: 3 }), { state: 4 }));
  const seen = attention(y, linear(x, { width: 2 }), linear(x, { width: 2 }), { heads: 2, kvHeads: 1, window: 40, rope: {} });
  const [a, b] = split(add(layerNorm(x), dense(glu(add(y, seen), { width: 4 }), { state: 3 })), [1, 3]);
  return { y: concat(b, a, u), pooled: mean(y) };
});
/** A step, one FFT in workgroup memory, and one of several passes. */
const sizes = { B: 2, lengths: [1, 37, 4100] };

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "recurve-platforms-"));
  await writeBundle(await compileGraph(every.graph, new Map()), join(folder, "bundle"));
  await cp(fileURLToPath(new URL("exercise.js", import.meta.url)), join(folder, "exercise.js"));
  await writeFile(join(folder, "package.json"), '{ "type": "module" }');
  await writeFile(join(folder, "index.html"), "<!doctype html><title>Platforms</title><link rel=icon href=data:,>");
  const call = `exercise(bundle, ${JSON.stringify(sizes)}, {})`;
  const script = `import * as bundle from "./bundle/index.js";\nimport { exercise } from "./exercise.js";\nconsole.log(JSON.stringify(await ${call}));\n`;
  await writeFile(join(folder, "deno.js"), script);
});
afterAll(() => rm(folder, { recursive: true }));

function expectResults(results: readonly Result[]): void {
  expect(results.map(({ L, way }) => `${way} ${L}`)).toEqual([
    "convolution 1",
    "recurrence 1",
    "stream 1",
    "convolution 37",
    "recurrence 37",
    "stream 37",
    "convolution 4100",
  ]);
  const { constants } = init.run({ graph: every.graph, constants: new Map() }, { seed: 0, note: () => {}, warn: () => {} });
  const expected = new Map(
    sizes.lengths.map((L) => {
      const inputs = Object.entries(signal(sizes.B, L, 0, L)).map(
        ([name, { data, dims }]) => [name, { shape: dims, data: Float64Array.from(data) }] as const,
      );
      return [L, interpret(every.graph, constants, new Map(inputs), { systems: evaluateSystem }).outputs] as const;
    }),
  );
  for (const { L, way, outputs } of results) {
    const wanted = new Map([...(expected.get(L) ?? [])].filter(([name]) => name in outputs));
    const got = Object.fromEntries(Object.entries(outputs).map(([name, data]) => [name, { data: Float32Array.from(data), dims: [] }]));
    expect(errorOf(got, wanted), `${way}, L = ${L}`).toBeLessThan(4e-5);
  }
}

test("gpu: a compiled model in Node", async () => {
  const bundle: unknown = await import(/* @vite-ignore */ pathToFileURL(join(folder, "bundle", "index.js")).href);
  expectResults(await exercise(bundle, sizes, { gpu: processGpu() }));
});

test("gpu: a compiled model in Deno", async () => {
  const { code, stdout, stderr } = await runDeno(join(folder, "deno.js"));
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expectResults(JSON.parse(stdout) as Result[]);
});

test("gpu: a compiled model in Chromium", async () => {
  await withPage(folder, async ({ page, url, errors }) => {
    await page.goto(`${url}index.html`);
    const script = `Promise.all([import("${url}exercise.js"), import("${url}bundle/index.js")]).then(([{ exercise }, bundle]) => exercise(bundle, ${JSON.stringify(sizes)}, {}))`;
    expectResults(await page.evaluate<Result[]>(script));
    expect(errors).toEqual([]);
  });
});
