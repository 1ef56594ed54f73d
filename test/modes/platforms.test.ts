/**
 * Compiled models in Node (Dawn), Deno (wgpu) and Chromium, in every mode, against the float64 interpreter: one of every op, and one of
 * the kernels that only devices of many lanes run, on a device that does not say that it is software.
 */
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
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
  gatedDelta,
  gelu,
  glu,
  hippoLegs,
  layerNorm,
  linear,
  mean,
  model,
  residual,
  rmsNorm,
  s4d,
  sequence,
  sigmoid,
  split,
  tokens,
} from "../../src/dsl/index.ts";
import type { Graph } from "../../src/ir/graph.ts";
import { interpret } from "../../src/ir/interpret.ts";
import { mamba2Block, mambaBlock } from "../../src/models/index.ts";
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
/** What a wide device runs in other kernels: scans by slices of time, SSD, the delta rule, attention, norms by groups. */
const wide = model("wide", { u: sequence(3), ids: tokens(5) }, ({ u, ids }) => {
  const x = add(linear(u, { width: 20 }), embed(ids, { width: 20 }));
  const a = residual(x, (r) => mambaBlock(rmsNorm(r), { state: 5, name: "a" }));
  const b = residual(a, (r) => mamba2Block(layerNorm(r), { headDim: 10, groups: 1, state: 6, name: "b" }));
  const [q, k, v, beta] = split(linear(b, { width: 26 }), [8, 8, 8, 2]);
  const seen = attention(q, k, v, { heads: 2, kvHeads: 2, rope: {} });
  const corrected = gatedDelta(v, { heads: 2, q, k, beta: sigmoid(beta) });
  return { y: concat(seen, corrected), pooled: mean(b) };
});
/** Scaled LegS runs askew there, and a sum of 300 terms in parts. */
const askew = model("askew", { u: sequence(3), ids: tokens(5) }, ({ u, ids }) => {
  const y = linear(hippoLegs(add(linear(u, { width: 10 }), embed(ids, { width: 10 })), { state: 30 }), { width: 4 });
  return { y, pooled: linear(mean(linear(y, { width: 300 })), { width: 4 }) };
});

interface Hosted {
  readonly graph: Graph;
  readonly sizes: { readonly B: number; readonly lengths: readonly number[] };
}
/** Lengths of `every`: a step, one FFT in workgroup memory, and one of several passes. */
const models: Readonly<Record<"every" | "wide" | "askew", Hosted>> = {
  every: { graph: every.graph, sizes: { B: 2, lengths: [1, 37, 4100] } },
  wide: { graph: wide.graph, sizes: { B: 2, lengths: [1, 75, 300] } },
  askew: { graph: askew.graph, sizes: { B: 2, lengths: [1, 75] } },
};

interface Anonymous {
  readonly anonymous: (gpu: GPU) => Promise<GPUDevice>;
}

/** A device that does not say what it is; in plain JavaScript, so that every host runs the same. */
const anonymous = `
export async function anonymous(gpu) {
  const device = await (await gpu.requestAdapter()).requestDevice();
  Object.defineProperty(device, "adapterInfo", { value: { architecture: "", description: "" } });
  return device;
}
`;

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "recurve-platforms-"));
  await cp(fileURLToPath(new URL("exercise.js", import.meta.url)), join(folder, "exercise.js"));
  await writeFile(join(folder, "anonymous.js"), anonymous);
  await writeFile(join(folder, "package.json"), '{ "type": "module" }');
  await writeFile(join(folder, "index.html"), "<!doctype html><title>Platforms</title><link rel=icon href=data:,>");
  for (const [name, { graph, sizes }] of Object.entries(models)) {
    await writeBundle(await compileGraph(graph, new Map()), join(folder, name));
    const options = name === "every" ? "{}" : "{ device: await anonymous(navigator.gpu) }";
    const script = [
      `import * as bundle from "./${name}/index.js";`,
      `import { exercise } from "./exercise.js";`,
      `import { anonymous } from "./anonymous.js";`,
      `console.log(JSON.stringify(await exercise(bundle, ${JSON.stringify(sizes)}, ${options})));`,
    ];
    await writeFile(join(folder, `${name}.js`), script.join("\n"));
  }
});
afterAll(() => rm(folder, { recursive: true }));

const bundleOf = async (name: string): Promise<unknown> => import(/* @vite-ignore */ pathToFileURL(join(folder, name, "index.js")).href);

function expectResults({ graph, sizes }: Hosted, results: readonly Result[], ways: readonly string[]): void {
  expect(results.map(({ L, way }) => `${way} ${L}`)).toEqual(ways);
  const { constants } = init.run({ graph, constants: new Map() }, { seed: 0, note: () => {}, warn: () => {} });
  const expected = new Map(
    sizes.lengths.map((L) => {
      const inputs = Object.entries(signal(sizes.B, L, 0, L)).map(
        ([name, { data, dims }]) => [name, { shape: dims, data: Float64Array.from(data) }] as const,
      );
      return [L, interpret(graph, constants, new Map(inputs), { systems: evaluateSystem }).outputs] as const;
    }),
  );
  for (const { L, way, outputs } of results) {
    const wanted = new Map([...(expected.get(L) ?? [])].filter(([name]) => name in outputs));
    const got = Object.fromEntries(Object.entries(outputs).map(([name, data]) => [name, { data: Float32Array.from(data), dims: [] }]));
    expect(errorOf(got, wanted), `${way}, L = ${L}`).toBeLessThan(4e-5);
  }
}

const waysOf = (modes: readonly string[], lengths: readonly number[], stepped: readonly number[]): string[] =>
  lengths.flatMap((L) => [...modes, ...(stepped.includes(L) ? ["recurrence", "stream"] : [])].map((way) => `${way} ${L}`));
const everyWay = waysOf(["convolution"], [1, 37, 4100], [1, 37]);

test("gpu: a compiled model in Node", async () => {
  expectResults(models.every, await exercise(await bundleOf("every"), models.every.sizes, { gpu: processGpu() }), everyWay);
});

test("gpu: a compiled model in Deno", async () => {
  const { code, stdout, stderr } = await runDeno(join(folder, "every.js"));
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expectResults(models.every, JSON.parse(stdout) as Result[], everyWay);
});

test("gpu: a compiled model in Chromium", async () => {
  await withPage(folder, async ({ page, url, errors }) => {
    await page.goto(`${url}index.html`);
    const script = `Promise.all([import("${url}exercise.js"), import("${url}every/index.js")]).then(([{ exercise }, bundle]) => exercise(bundle, ${JSON.stringify(models.every.sizes)}, {}))`;
    expectResults(models.every, await page.evaluate<Result[]>(script), everyWay);
    expect(errors).toEqual([]);
  });
});

describe.each([
  ["wide", waysOf(["scan", "chunked"], [1, 75, 300], [1, 75])],
  ["askew", waysOf(["scan"], [1, 75], [1, 75])],
] as const)("gpu: the kernels of wide devices, of the model %s", (name, ways) => {
  const hosted = models[name];

  test("in Node", async () => {
    const { anonymous: open } = (await import(/* @vite-ignore */ pathToFileURL(join(folder, "anonymous.js")).href)) as Anonymous;
    const device = await open(processGpu());
    expectResults(hosted, await exercise(await bundleOf(name), hosted.sizes, { device }), ways);
    device.destroy();
  });

  test("in Deno", async () => {
    const { code, stdout, stderr } = await runDeno(join(folder, `${name}.js`));
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expectResults(hosted, JSON.parse(stdout) as Result[], ways);
  });
});
