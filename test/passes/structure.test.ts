/** The passes init, structure and discretize on whole graphs: the meaning of a graph may not change. */
import { expect, test } from "vitest";
import { graphBuilder } from "../../src/ir/build.ts";
import { arg, call, constant, type Expr } from "../../src/ir/expr.ts";
import type { Constant, Graph, Init, SsmForm, SystemEntries, TensorType, ValueId } from "../../src/ir/graph.ts";
import { interpret } from "../../src/ir/interpret.ts";
import { random } from "../../src/math/random.ts";
import { discretize } from "../../src/passes/discretize.ts";
import { init } from "../../src/passes/init.ts";
import type { Module } from "../../src/passes/pass.ts";
import { structure } from "../../src/passes/structure.ts";
import { evaluateSystem } from "../../src/ssm/evaluate.ts";
import { relativeError } from "../math/golden.ts";

const sequence = (H: number): TensorType => ({
  dtype: "f32",
  dims: [
    { name: "B", size: "B" },
    { name: "L", size: "L" },
    { name: "H", size: H },
  ],
});

function inputs(H: number, L = 24, B = 2): Map<string, Constant> {
  const { normal } = random(7, "u");
  return new Map([["u", { shape: [B, L, H], data: Float64Array.from({ length: B * L * H }, normal) }]]);
}

function s4dGraph(H: number, N: number, options: Record<string, string | number>, discretization = "zoh"): Graph {
  const g = graphBuilder("g");
  const u = g.input("u", sequence(H));
  const half = { name: "N", size: N / 2 };
  const h = { name: "H", size: H };
  const from = (param: string): Init => ({ kind: "family", family: "s4d", param, options });
  const args = [
    u,
    g.param("layers.0.kernel.C", [h, half, { name: "c", size: 2 }], from("C")),
    g.param("layers.0.kernel.log_dt", [h], from("log_dt")),
    g.param("layers.0.kernel.log_A_real", [h, half], from("log_A_real")),
    g.param("layers.0.kernel.A_imag", [h, half], from("A_imag")),
    g.param("layers.0.D", [h], from("D")),
  ];
  return g.finish([{ name: "y", value: g.ssm({ stage: "family", family: "s4d", discretization, state: N, options }, args) }]);
}

function denseGraph(
  H: number,
  entries: SystemEntries,
  params: readonly (readonly number[])[],
  options: Partial<Extract<SsmForm, { stage: "family" }>> = {},
): Graph {
  const g = graphBuilder("g");
  const u = g.input("u", sequence(H));
  const ids: ValueId[] = params.map((values, i) =>
    g.param(`cell.p${i}`, values.length === 1 ? [] : [{ name: "H", size: values.length }], { kind: "values", values }),
  );
  const form: SsmForm = {
    stage: "family",
    family: "dense",
    discretization: "zoh",
    state: entries.A.length,
    options: { delta: 0.1 },
    entries,
    ...options,
  };
  return g.finish([{ name: "y", value: g.ssm(form, [u, ...ids]) }]);
}

function context(): { seed: number; notes: string[]; warnings: string[]; note: (m: string) => void; warn: (m: string) => void } {
  const notes: string[] = [];
  const warnings: string[] = [];
  return { seed: 1, notes, warnings, note: (m) => notes.push(m), warn: (m) => warnings.push(m) };
}

/** Runs the three passes, checks that each keeps the meaning, and gives what they made and said. */
function through(graph: Graph, H: number): { module: Module; notes: string[]; warnings: string[]; kind: string } {
  const log = context();
  const started = init.run({ graph, constants: new Map() }, log);
  const structured = structure.run(started, log);
  const module = discretize.run(structured, log);
  const run = (m: Module): Float64Array =>
    interpret(m.graph, m.constants, inputs(H), { systems: evaluateSystem }).outputs.get("y")?.data ?? new Float64Array();
  const last = module.graph.nodes.find((n) => n.op === "ssm");
  const kind = last?.op === "ssm" && last.form.stage === "discrete" ? last.form.structure : "none";
  const want = run(module);
  expect(want.length).toBeGreaterThan(0);
  expect(relativeError(run(structured), want)).toBeLessThan(1e-13);
  if (graph.nodes.at(-1)?.type.dims.at(-1)?.size === H) expect(relativeError(run(started), want)).toBeLessThan(1e-12);
  return { module, ...log, kind };
}

const n = (rows: readonly (readonly (number | Expr)[])[]): Expr[][] =>
  rows.map((row) => row.map((x) => (typeof x === "number" ? constant(x) : x)));
const column = (...x: number[]): Expr[][] => n(x.map((v) => [v]));

test("an s4d keeps its meaning from family to discrete, and its constants are named by its layer", () => {
  for (const rule of ["zoh", "bilinear", "euler", "backward-euler"]) {
    const { module, kind } = through(s4dGraph(3, 8, { init: "legs", dt_min: 0.001, dt_max: 0.01 }, rule), 3);
    expect(kind).toBe("diagonal");
    const names = module.graph.nodes.flatMap((node) => (node.op === "param" ? [node.name] : []));
    expect(names).toEqual(["layers.0:abar", "layers.0:gain", "layers.0:d"]);
    expect(module.constants.get("layers.0:abar")?.shape).toEqual([3, 4, 2]);
  }
});

test("a rotation with decay is normal: one pole of the pair is stored", () => {
  const A = n([
    [-0.5, call("neg", arg(0))],
    [arg(0), -0.5],
  ]);
  const { module, kind, notes } = through(denseGraph(2, { A, B: column(1, 2), C: n([[1, -1]]), D: n([[0.5]]) }, [[3]]), 2);
  expect(kind).toBe("diagonal");
  expect(module.constants.get("cell:abar")?.shape).toEqual([2, 1, 2]);
  expect(notes.join()).toMatch(/A is normal, 1 states/);
});

test("a damped spring in phase variables is not normal and stays dense, one system a channel", () => {
  const A = n([
    [0, 1],
    [call("neg", call("mul", arg(0), arg(0))), call("mul", constant(-2), arg(0))],
  ]);
  const { module, kind } = through(denseGraph(3, { A, B: column(0, 1), C: n([[1, 0]]), D: n([[0]]) }, [[1, 2, 3]]), 3);
  expect(kind).toBe("dense");
  expect(module.constants.get("cell:abar")?.shape).toEqual([3, 2, 2]);
});
