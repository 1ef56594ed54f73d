/** States of slow poles are kept in two floats, and no compiler of shaders takes that apart: a rotation of thousands of steps, in Node (Dawn) and Deno (naga). */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { writeBundle } from "../../src/build.ts";
import { processGpu } from "../../src/cli/adapter.ts";
import { compileGraph } from "../../src/compile.ts";
import { sequence } from "../../src/dsl/index.ts";
import { graphBuilder } from "../../src/ir/build.ts";
import { runDeno } from "../setup/deno.ts";

const [L, frequency, damping] = [4000, 1.2, 1e-4];

/** x' = (-1e-4 + 1.2 i) x + u with a step of 1, read as Re x, doubled for its conjugate: y_t = 2 Re(abar^t bbar). */
async function writeRotation(folder: string): Promise<void> {
  const g = graphBuilder("rotation");
  const param = (name: string, ...shape: number[]): number =>
    g.param(
      name,
      shape.map((size, i) => ({ name: "HNc"[i] ?? "K", size })),
    );
  const x = g.input("x", sequence(1).type);
  const args = [param("C", 1, 1, 2), param("log_dt", 1), param("log_A_real", 1, 1), param("A_imag", 1, 1), param("D", 1)];
  const y = g.ssm({ stage: "family", family: "s4d", discretization: "zoh", state: 2, options: {} }, [x, ...args]);
  const constants = new Map(
    Object.entries({ C: [1, 0], log_dt: [0], log_A_real: [Math.log(damping)], A_imag: [frequency], D: [0] }).map(([name, data]) => {
      const shape = { C: [1, 1, 2], log_A_real: [1, 1], A_imag: [1, 1] }[name] ?? [1];
      return [name, { shape, data: Float64Array.from(data) }] as const;
    }),
  );
  await writeBundle(await compileGraph(g.finish([{ name: "y", value: y }]), constants, { maxLength: L }), join(folder, "bundle"));
}

/** In plain JavaScript, so that both hosts run the same: each way to the response to an impulse. */
const script = `
export async function responses(bundle, options) {
  const model = await bundle.load(options);
  const x = new Float32Array(${L});
  x[0] = 1;
  const found = {};
  for (const mode of ["scan", "recurrence"]) found[mode] = [...(await model.run({ x }, { mode })).y.data];
  const stream = await model.stream();
  found.stream = [];
  for (let from = 0; from < ${L}; from += 250) found.stream.push(...(await stream.push({ x: x.slice(from, from + 250) })).y.data);
  model.destroy();
  return found;
}
`;

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "recurve-floats-"));
  await writeRotation(folder);
  await writeFile(join(folder, "responses.js"), script);
  await writeFile(join(folder, "package.json"), '{ "type": "module" }');
  const main = `import * as bundle from "./bundle/index.js";\nimport { responses } from "./responses.js";\nconsole.log(JSON.stringify(await responses(bundle, {})));\n`;
  await writeFile(join(folder, "deno.js"), main);
}, 60_000);
afterAll(() => rm(folder, { recursive: true }));

type Responses = Readonly<Record<string, readonly number[]>>;

function expectExact(found: Responses): void {
  const decay = Math.exp(-damping);
  const [re, im] = [decay * Math.cos(frequency), decay * Math.sin(frequency)];
  // bbar = (abar - 1) / a
  const size = damping ** 2 + frequency ** 2;
  let [xr, xi] = [((re - 1) * -damping + im * frequency) / size, (im * -damping - (re - 1) * frequency) / size];
  const wanted = Array.from({ length: L }, () => {
    const y = 2 * xr;
    [xr, xi] = [xr * re - xi * im, xr * im + xi * re];
    return y;
  });
  const scale = Math.max(...wanted.map(Math.abs));
  expect(Object.keys(found)).toEqual(["scan", "recurrence", "stream"]);
  for (const [way, y] of Object.entries(found)) {
    const error = Math.max(...wanted.map((value, t) => Math.abs(value - (y[t] ?? NaN)))) / scale;
    expect(error, way).toBeLessThan(5e-7);
  }
}

test("gpu: in Node", { timeout: 60_000 }, async () => {
  const module = (await import(/* @vite-ignore */ pathToFileURL(join(folder, "responses.js")).href)) as {
    readonly responses: (bundle: unknown, options: object) => Promise<Responses>;
  };
  const bundle: unknown = await import(/* @vite-ignore */ pathToFileURL(join(folder, "bundle", "index.js")).href);
  expectExact(await module.responses(bundle, { gpu: processGpu() }));
});

test("gpu: in Deno", { timeout: 60_000 }, async () => {
  const { code, stdout, stderr } = await runDeno(join(folder, "deno.js"));
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expectExact(JSON.parse(stdout) as Responses);
});
