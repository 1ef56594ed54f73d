/** What the inspect page is filled with is what the compiler made. */
import { describe, expect, test } from "vitest";
import { compileModel, valuesOf } from "../../src/build.ts";
import type { InspectData } from "../../src/cli/inspect-data.ts";
import { inspectData } from "../../src/cli/inspect-fill.ts";
import { interpret } from "../../src/ir/interpret.ts";
import type { Module } from "../../src/passes/pass.ts";
import { evaluateSystem } from "../../src/ssm/evaluate.ts";
import { scratch } from "./cli.ts";
import { DENSE, modelFile, TINY } from "./models.ts";

const DIAGONAL = `import { model, s4d, sequence } from "recurve";
export default model("diagonal", { u: sequence(1) }, ({ u }) => ({ y: s4d(u, { state: 8, name: "layer" }) }));
`;

/** The page's data of a model, and the model's response to a unit impulse by the interpreter. */
async function fill(text: string): Promise<{ data: InspectData; impulse: readonly number[] }> {
  const modules = new Map<string, Module>();
  const built = await compileModel(await modelFile(await scratch(), text), {
    maxLength: 256,
    onPass: (pass, module) => modules.set(pass.name, module),
  });
  const continuous = modules.get("structure") ?? built.compiled.module;
  const u = { shape: [1, 256, 1], data: Float64Array.from({ length: 256 }, (_, i) => (i === 0 ? 1 : 0)) };
  const { outputs } = interpret(built.loaded.graph, valuesOf(built), new Map([["u", u]]), { systems: evaluateSystem });
  return { data: inspectData(built.compiled, continuous), impulse: [...(outputs.get("y")?.data ?? [])] };
}

describe.each([
  ["diagonal", DIAGONAL, "layer", 4],
  ["dense", DENSE, "oscillator", 2],
])("a %s state space", (_, text, name, poles) => {
  test("has the interpreter's impulse response", async () => {
    const { data, impulse } = await fill(text);
    const values = data.systems[0]?.impulses[0]?.values ?? [];
    const scale = Math.max(...impulse.map(Math.abs));
    expect(values).toHaveLength(256);
    values.forEach((value, i) => expect(Math.abs(value - (impulse[i] ?? NaN))).toBeLessThan(1e-12 * scale));
  });

  test("has stable poles, as many before as after discretization", async () => {
    const [system] = (await fill(text)).data.systems;
    expect(system?.name).toContain(name);
    expect([system?.continuous.length, system?.discrete.length]).toEqual([poles, poles]);
    for (const [re] of system?.continuous ?? []) expect(re).toBeLessThan(0);
    for (const [re, im] of system?.discrete ?? []) expect(Math.hypot(re, im)).toBeLessThan(1);
  });
});

describe("the page's data of a model", () => {
  test("draws every node but the parameters, with places in the user's file", async () => {
    const { data } = await fill(TINY);
    const ids = new Set(data.nodes.map((node) => node.id));
    for (const node of data.nodes) for (const arg of node.args) expect(ids.has(arg)).toBe(true);
    expect(data.nodes.map((node) => node.op)).not.toContain("param");
    expect(data.nodes.filter((node) => node.loc?.includes("model.ts:")).length).toBeGreaterThan(2);
    expect(data.nodes.filter((node) => node.label.includes("= "))).toHaveLength(2);
  });

  test("has one chosen mode an entry point, the cheapest of its costs", async () => {
    for (const { chosen, costs } of (await fill(TINY)).data.choices) {
      const cheapest = Math.min(...costs.map(({ cost }) => cost ?? Infinity));
      expect(costs.find(({ mode }) => mode === chosen)?.cost).toBe(cheapest);
    }
  });

  test("states no kernel below its minimum of bytes, and shaders for all", async () => {
    const { dispatches, memory } = (await fill(TINY)).data;
    expect(new Set(dispatches.map(({ entry }) => entry))).toEqual(new Set(["convolution", "scan", "step", "prepare convolution"]));
    for (const { bytes, minimumBytes, wgsl, grid } of dispatches) {
      expect(bytes).toBeGreaterThanOrEqual(minimumBytes);
      expect(wgsl).toContain("@compute");
      expect(Math.min(...grid)).toBeGreaterThan(0);
    }
    for (const { from, to, bytes } of memory.buffers) expect([from <= to, bytes > 0]).toEqual([true, true]);
  });
});
