/** What the inspect page is filled with is what the compiler made. */
import { describe, expect, test } from "vitest";
import { type BuiltModel, compileModel, valuesOf } from "../../src/build.ts";
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

const LANGUAGE = `import { embed, linear, model, s4d, tokens } from "recurve";
export default model("language", { ids: tokens(5) }, ({ ids }) => ({ logits: linear(s4d(embed(ids, { width: 4 }), { state: 2 }), { width: 5 }) }));
`;

/** A compiled model, and its page's data. */
async function build(text: string): Promise<{ built: BuiltModel; data: InspectData }> {
  const modules = new Map<string, Module>();
  const built = await compileModel(await modelFile(await scratch(), text), {
    maxLength: 256,
    onPass: (pass, module) => modules.set(pass.name, module),
  });
  const lines = text.split("\n");
  return { built, data: inspectData(built.compiled, modules, ({ line }) => lines[line - 1]) };
}

/** The page's data of a model, and the model's response to a unit impulse by the interpreter. */
async function fill(text: string): Promise<{ data: InspectData; impulse: readonly number[] }> {
  const { built, data } = await build(text);
  const u = { shape: [1, 256, 1], data: Float64Array.from({ length: 256 }, (_, i) => (i === 0 ? 1 : 0)) };
  const { outputs } = interpret(built.loaded.graph, valuesOf(built), new Map([["u", u]]), { systems: evaluateSystem });
  return { data, impulse: [...(outputs.get("y")?.data ?? [])] };
}

describe.each([
  ["diagonal", DIAGONAL, "layer", 4],
  ["dense", DENSE, "oscillator", 2],
])("a %s state space", (_, text, name, poles) => {
  test("has the interpreter's impulse response", async () => {
    const { data, impulse } = await fill(text);
    const values = data.systems[0]?.impulses[0]?.values ?? [];
    const scale = Math.max(...impulse.map(Math.abs));
    expect(values.length).toBeGreaterThan(63);
    values.slice(0, 256).forEach((value, i) => expect(Math.abs(value - (impulse[i] ?? NaN))).toBeLessThan(1e-12 * scale));
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

  test("shows the line of the user's source that a node comes from", async () => {
    const { nodes } = (await fill(TINY)).data;
    expect(nodes.find(({ op }) => op === "ssm")?.source).toBe('const y = gelu(s4d(x, { state: 4, name: "layer" }));');
  });

  test("has at every threshold the cheapest mode, and costs of every mode at every length", async () => {
    const { choices } = (await fill(TINY)).data;
    expect(choices.map(({ entry }) => entry)).toEqual(["whole sequence", "continue a stream"]);
    for (const { chosen, thresholds, modes } of choices) {
      const costOf = (wanted: string, at: number): number | undefined =>
        modes.find(({ mode }) => mode === wanted)?.costs.find(([length]) => length === at)?.[1];
      const least = (at: number): number => Math.min(...modes.map(({ mode }) => costOf(mode, at) ?? NaN));
      for (const { length, mode } of thresholds) expect(costOf(mode, length)).toBe(least(length));
      expect(costOf(chosen, 256)).toBe(least(256));
      expect(new Set(modes.map((mode) => mode.costs.length))).toEqual(new Set([9]));
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
    expect(new Set(memory.map(({ entry }) => entry))).toEqual(new Set(["convolution", "scan", "step"]));
    for (const { entry, buffers, dispatches: names } of memory) {
      expect(names).toEqual(dispatches.flatMap((dispatch) => (dispatch.entry === entry ? [dispatch.kernel] : [])));
      for (const { bytes, lives } of buffers) {
        expect(lives.length).toBeGreaterThan(0);
        // What shares a place fits it, and comes one after the other.
        lives.forEach((life, i) =>
          expect([life.bytes <= bytes, life.from <= life.to, life.from > (lives[i - 1]?.to ?? -1)]).toEqual([true, true, true]),
        );
      }
    }
  });

  test("lists a step with the choice of the next token as a program of a language model", async () => {
    const { dispatches, memory } = (await build(LANGUAGE)).data;
    const kernels = (entry: string): string[] => dispatches.flatMap((d) => (d.entry === entry ? [d.kernel] : []));
    expect(kernels("generate")).toEqual([...kernels("step"), "sample"]);
    const [step, generate] = ["step", "generate"].map((entry) => memory.find((plan) => plan.entry === entry));
    expect(generate?.dispatches).toEqual(kernels("generate"));
    const temporary = (plan: typeof step) => plan?.buffers.filter(({ kind }) => kind === "temp");
    expect(temporary(generate)).toEqual(temporary(step));
    expect(generate?.buffers.find(({ name }) => name === "logits")?.lives[0]?.to).toBe(kernels("step").length);
  });
});
