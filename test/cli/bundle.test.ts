/** A real bundle through the commands that take one. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bytesSource, openSafetensors } from "../../src/weights/safetensors.ts";
import { cli, floats, scratch, tensorFile } from "./cli.ts";
import { BIDIRECTIONAL, modelFile } from "./models.ts";
import { processGpu } from "../../src/cli/adapter.ts";
import { loadBundle } from "../../src/cli/bundle.ts";

let folder = "";
let model = "";
let bundle = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "recurve-test-"));
  model = await modelFile(folder);
  bundle = join(folder, "bundle");
  expect((await cli("build", model, "-o", bundle, "--max-length", "40")).code).toBe(0);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test("run: every mode gives the same tensors", async () => {
  const input = await tensorFile(folder, "in.safetensors", [floats("u", [2, 33, 1], (i) => Math.sin(i))]);
  const results = new Map<string, Float64Array>();
  for (const mode of ["convolution", "scan", "recurrence"]) {
    const output = join(folder, `${mode}.safetensors`);
    expect((await cli("run", bundle, "-i", input, "-o", output, "--mode", mode)).code).toBe(0);
    const file = await openSafetensors(bytesSource(await readFile(output)));
    expect(file.entries.get("y")?.shape).toEqual([2, 33, 3]);
    expect(file.entries.get("end")?.shape).toEqual([2, 2]);
    results.set(mode, await file.read("y"));
  }
  const [first, ...others] = [...results.values()];
  const scale = Math.max(...(first ?? []).map(Math.abs));
  for (const other of others) other.forEach((value, i) => expect(Math.abs(value - (first?.[i] ?? NaN))).toBeLessThan(2e-5 * scale));
});

test("run: L over the maximum and an illegal mode exit with 1", async () => {
  const out = join(folder, "never.safetensors");
  const long = await tensorFile(folder, "long.safetensors", [floats("u", [1, 41, 1])]);
  const result = await cli("run", bundle, "-i", long, "-o", out);
  expect(result.code).toBe(1);
  expect(result.err).toMatch(/^error\[input-invalid\]: .*41.*40/);
  const short = await tensorFile(folder, "short.safetensors", [floats("u", [1, 4, 1])]);
  const chunked = await cli("run", bundle, "-i", short, "-o", out, "--mode", "chunked");
  expect(chunked.code).toBe(1);
  expect(chunked.err).toContain("chunked");
});

test("run: altered weights exit with 1", async () => {
  const copy = join(await scratch(), "bundle");
  expect((await cli("build", model, "-o", copy)).code).toBe(0);
  const path = join(copy, "weights.safetensors");
  const bytes = await readFile(path);
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  await writeFile(path, bytes);
  const input = await tensorFile(folder, "in.safetensors", [floats("u", [1, 4, 1])]);
  const result = await cli("run", copy, "-i", input, "-o", join(folder, "never"));
  expect(result.code).toBe(1);
  expect(result.err).toContain("error[weights-corrupt]");
});

test("verify: every mode and streams agree with float64, and the bundle keeps the report", async () => {
  const { code, out, err } = await cli("verify", bundle, "--cases", "3", "--json");
  expect([code, err]).toEqual([0, ""]);
  const report = JSON.parse(out) as { modes: { mode: string; cases: number; error: number; agrees: boolean }[] };
  expect(report.modes.map((m) => m.mode)).toEqual(["convolution", "scan", "recurrence", "stream"]);
  for (const mode of report.modes) expect(mode).toMatchObject({ cases: 3, agrees: true });
  const manifest = JSON.parse(await readFile(join(bundle, "manifest.json"), "utf8")) as { verification: unknown };
  expect(manifest.verification).toEqual(report);
});

test("verify, inspect: options of a model file are wrong usage for a bundle", async () => {
  for (const words of [
    ["verify", bundle, "--weights", "w.safetensors"],
    ["inspect", bundle, "--max-length", "40"],
  ]) {
    const { code, out, err } = await cli(...words);
    expect([code, out]).toEqual([2, ""]);
    expect(err).toContain("needs the model file");
  }
});

test("verify: a model file is held to its graph before any pass", async () => {
  const { code, out } = await cli("verify", model, "--cases", "2", "--longest", "30");
  expect(code).toBe(0);
  expect(out.match(/agrees$/gm)).toHaveLength(4);
});

test("verify: ids of a token model stay below its vocabulary", async () => {
  const text =
    'import { embed, model, s4d, tokens } from "recurve";\nexport default model("ids", { ids: tokens(7) }, ({ ids }) => ({ y: s4d(embed(ids, { width: 2 }), { state: 2 }) }));\n';
  const { code, out } = await cli("verify", await modelFile(await scratch(), text), "--cases", "2", "--longest", "30", "--json");
  expect(code).toBe(0);
  const report = JSON.parse(out) as { modes: { error: number }[] };
  for (const { error } of report.modes) expect(error).toBeGreaterThan(0);
});

test("verify: weights that the graph does not have disagree: exit 1", async () => {
  const copy = join(await scratch(), "bundle");
  expect((await cli("build", model, "-o", copy, "--max-length", "40")).code).toBe(0);
  const path = join(copy, "manifest.json");
  const text = await readFile(path, "utf8");
  expect(text).toContain("erf(");
  await writeFile(path, text.replaceAll("erf(", "tanh("));
  const { code, out } = await cli("verify", copy, "--cases", "2");
  expect(code).toBe(1);
  expect(out).toContain("DISAGREES");
});

test("inspect: the graph, the modes and why; --kernels the costs", async () => {
  for (const path of [model, bundle]) {
    const { code, out } = await cli("inspect", path);
    expect(code).toBe(0);
    expect(out).toMatch(/^graph tiny \{\n/);
    expect(out).toMatch(/whole sequences\n {2}from L = 1: /);
    expect((await cli("inspect", path, "--kernels")).out).toMatch(/^step \(B = 1, one step\)\nkernel +schedule/m);
  }
});

test("inspect --after prints the graph as that pass leaves it", async () => {
  expect((await cli("inspect", model, "--after", "init")).out).toContain("ssm family s4d");
  expect((await cli("inspect", model, "--after", "discretize")).out).toContain("ssm discrete diagonal");
  const unknown = await cli("inspect", model, "--after", "polish");
  expect(unknown.code).toBe(2);
  expect(unknown.err).toContain("init, structure, discretize");
});

test("inspect --after mode, lower and memory print choices, programs and buffers; a bundle is inspected like its model", async () => {
  for (const path of [model, bundle]) {
    expect((await cli("inspect", path, "--after", "mode")).out).toMatch(/^whole sequences \{\n {2}choose .*\n {2}from L = 1: /);
    const programs = (await cli("inspect", path, "--after", "lower")).out;
    expect(programs).toMatch(/^program whole convolution \{\n/m);
    expect(programs).toMatch(/^ {2}ssm_step {2}=#\d+ #\d+/m);
    expect((await cli("inspect", path, "--after", "memory")).out).toMatch(/^ {2}step: slot 0 words d\.B\*\d+ from dispatch 0 to \d+/m);
    expect((await cli("inspect", path, "--after", "fuse")).out).toContain("ssm discrete diagonal");
    expect((await cli("inspect", path, "--wgsl")).out).toContain("fn main(");
    const page = join(await scratch(), "page.html");
    expect((await cli("inspect", path, "--html", page)).code).toBe(0);
    expect(await readFile(page, "utf8")).toContain("<svg");
  }
});

test("inspect --html writes a page; --wgsl prints every shader", async () => {
  const page = join(folder, "page.html");
  expect(await cli("inspect", model, "--html", page)).toMatchObject({ code: 0, out: `${page}\n` });
  expect(await readFile(page, "utf8")).toMatch(/^<!doctype html>[^]*<title>tiny/);
  expect((await cli("inspect", model, "--wgsl")).out).toContain("@compute");
});

test("bench: times, costs, and a word on software adapters", async () => {
  const { code, out } = await cli("bench", bundle, "--runs", "1", "--json");
  expect(code).toBe(0);
  const report = JSON.parse(out) as {
    length: number;
    software: boolean;
    modes: { mode: string; runs: number; median: number; dispatches: number; bytes: number }[];
  };
  expect(report.length).toBe(40);
  for (const mode of report.modes) {
    expect(mode.runs).toBe(1);
    expect(Math.min(mode.median, mode.dispatches, mode.bytes)).toBeGreaterThan(0);
  }
  const text = (await cli("bench", bundle, "--runs", "1", "--length", "8")).out;
  expect(text.includes("say little about a GPU")).toBe(report.software);
});

test("a model that reads from the end: whole sequences in every mode it has, no recurrence, no streams", async () => {
  const both = await modelFile(await scratch(), BIDIRECTIONAL);
  const target = join(await scratch(), "bundle");
  expect((await cli("build", both, "-o", target, "--max-length", "40")).code).toBe(0);
  expect((await cli("build", both, "-o", target, "--mode", "recurrence")).err).toContain("error[mode-illegal]");
  const input = await tensorFile(folder, "both.safetensors", [floats("u", [2, 33, 1], (i) => Math.sin(i))]);
  const stepped = await cli("run", target, "-i", input, "-o", join(folder, "never"), "--mode", "recurrence");
  expect([stepped.code, stepped.err]).toEqual([
    1,
    expect.stringMatching(/^error\[input-invalid\]: .*no mode recurrence; it has convolution, scan/),
  ]);
  expect((await cli("run", target, "-i", input, "-o", join(folder, "both.out"), "--mode", "scan")).code).toBe(0);
  const report = JSON.parse((await cli("verify", target, "--cases", "3", "--json")).out) as { modes: { mode: string; agrees: boolean }[] };
  expect(report.modes).toMatchObject([
    { mode: "convolution", agrees: true },
    { mode: "scan", agrees: true },
  ]);
  expect((await cli("inspect", target)).out).not.toContain("continuing a stream");
  for (const pass of ["mode", "lower", "memory"]) expect((await cli("inspect", target, "--after", pass)).out).not.toMatch(/\bstep\b/);
  expect((await cli("inspect", target, "--html", join(folder, "both.html"))).code).toBe(0);
  expect((await cli("bench", target, "--runs", "1")).code).toBe(0);
  expect(await readFile(join(target, "index.d.ts"), "utf8")).toContain("It needs whole sequences");
  const model = await loadBundle(target, { gpu: processGpu(), length: 33 });
  await expect(model.stream()).rejects.toMatchObject({ name: "StreamError", code: "no-stream" });
  model.destroy();
});
