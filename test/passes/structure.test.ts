/** The passes init, structure and discretize on whole graphs: the meaning of a graph may not change. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { dense, model, sequence as channels, type BasisName } from "../../src/dsl/index.ts";
import { graphBuilder } from "../../src/ir/build.ts";
import { arg, call, constant, type Expr } from "../../src/ir/expr.ts";
import type { Constant, Graph, Init, SsmForm, SystemEntries, TensorType, ValueId } from "../../src/ir/graph.ts";
import { interpret } from "../../src/ir/interpret.ts";
import { complex } from "../../src/math/complex.ts";
import { type Matrix, matrix } from "../../src/math/matrix.ts";
import { type Random, random } from "../../src/math/random.ts";
import { discretize } from "../../src/passes/discretize.ts";
import { init as start } from "../../src/passes/init.ts";
import type { Module } from "../../src/passes/pass.ts";
import { structure } from "../../src/passes/structure.ts";
import { basisOf } from "../../src/ssm/bases.ts";
import { discretizeSystem } from "../../src/ssm/discretize.ts";
import { zoh } from "../../src/ssm/discretizations/zoh.ts";
import { evaluateSystem } from "../../src/ssm/evaluate.ts";
import { relativeError } from "../math/golden.ts";
import { normalMatrix, randomPoles, vector } from "../math/systems.ts";
import { diagonal, impulse, runChannel } from "../ssm/runs.ts";

const randomRows = (rows: number, cols: number, { normal }: Random): number[][] =>
  Array.from({ length: rows }, () => Array.from({ length: cols }, normal));
const sumOf = (count: number, f: (i: number) => number): number => Array.from({ length: count }, (_, i) => f(i)).reduce((a, b) => a + b, 0);

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
  const started = start.run({ graph, constants: new Map() }, log);
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
const column = (x: ArrayLike<number>): Expr[][] => n(Array.from(x, (v) => [v]));
const row = (x: ArrayLike<number>): Expr[][] => n([Array.from(x)]);
/** Entries of one input and one output from numbers. */
const entriesOf = (A: Matrix, B: ArrayLike<number>, C: ArrayLike<number>, D = 0.5): SystemEntries => ({
  A: n(Array.from({ length: A.rows }, (_, i) => Array.from(A.data.subarray(i * A.cols, (i + 1) * A.cols)))),
  B: column(B),
  C: row(C),
  D: n([[D]]),
});

describe("s4d", () => {
  test("keeps its meaning from family to discrete, and its constants are named by its layer", () => {
    for (const rule of ["zoh", "bilinear", "euler", "backward-euler", "gbt(0.3)"]) {
      const { module, kind } = through(s4dGraph(3, 8, { init: "legs", dt_min: 0.001, dt_max: 0.01 }, rule), 3);
      expect(kind).toBe("diagonal");
      const names = module.graph.nodes.flatMap((node) => (node.op === "param" ? [node.name] : []));
      expect(names).toEqual(["layers.0:abar", "layers.0:gain", "layers.0:d"]);
      expect(module.constants.get("layers.0:abar")?.shape).toEqual([3, 4, 2]);
    }
  });

  test("storing one of each conjugate pair is the full complex system, exactly", () => {
    const { constants } = through(s4dGraph(2, 6, { init: "inv" }), 2).module;
    const graph = s4dGraph(2, 6, { init: "inv" });
    const started = start.run({ graph, constants: new Map() }, context());
    const [C, , decay, imag, D] = graph.nodes.flatMap((node) =>
      node.op === "param" ? [started.constants.get(node.name)?.data ?? new Float64Array()] : [],
    );
    const dt = started.constants.get("layers.0.kernel.log_dt")?.data ?? new Float64Array();
    /** All six states of channel 0 by themselves: lambda and C, then their conjugates. */
    const full = [1, -1].flatMap((sign) =>
      [0, 1, 2].map((i) => ({
        lambda: complex(-Math.exp(decay?.[i] ?? NaN), sign * (imag?.[i] ?? NaN)),
        C: complex(C?.[2 * i] ?? NaN, sign * (C?.[2 * i + 1] ?? NaN)),
      })),
    );
    const whole = diagonal(
      full.map((s) => s.lambda),
      full.map(() => complex(1)),
      full.map((s) => s.C),
      Math.exp(dt[0] ?? NaN),
      false,
    );
    const want = runChannel(discretizeSystem({ ...whole, D: Float64Array.of(D?.[0] ?? NaN) }, zoh), 0, impulse(60));
    const part = (role: string): Constant => constants.get(`layers.0:${role}`) ?? { shape: [], data: new Float64Array() };
    const got = runChannel({ structure: "diagonal", abar: part("abar"), gain: part("gain"), d: part("d") }, 0, impulse(60));
    expect(relativeError(got, want)).toBeLessThan(1e-14);
  });

  test("two nodes on the same parameters share their constants; with another rule they have their own", () => {
    const twice = (second: string): string[] => {
      const g = s4dGraph(2, 4, {});
      const node = g.nodes.at(-1);
      if (node?.op !== "ssm" || node.form.stage !== "family") throw new Error("no family node");
      const nodes = [
        ...g.nodes,
        { ...node, form: { ...node.form, discretization: second }, args: [g.nodes.length - 1, ...node.args.slice(1)] },
      ];
      const { module } = through({ ...g, nodes, outputs: [{ name: "y", value: nodes.length - 1 }] }, 2);
      return module.graph.nodes.flatMap((p) => (p.op === "param" ? [p.name] : []));
    };
    expect(twice("zoh")).toEqual(["layers.0:abar", "layers.0:gain", "layers.0:d"]);
    expect(twice("bilinear").sort()).toEqual([
      "layers.0#2:abar",
      "layers.0#2:d",
      "layers.0#2:gain",
      "layers.0:abar",
      "layers.0:d",
      "layers.0:gain",
    ]);
  });
});

describe("windows out of range", () => {
  const warned = (
    init: string,
    state: number,
    delta: number,
    maxLength?: number,
    options: Readonly<Record<string, number>> = {},
  ): string[] => {
    const { graph } = model("m", { u: channels(1) }, ({ u }) => ({
      y: dense(u, { state, init: init as BasisName, delta: [delta, delta], name: "cell", ...options }),
    }));
    const log = { ...context(), maxLength };
    structure.run(start.run({ graph, constants: new Map() }, log), log);
    return log.warnings;
  };

  test("a window of fewer than 2 samples, or of over 100 times the longest sequence, is warned about with its samples", () => {
    expect(warned("legt", 8, 1.5)).toEqual([
      expect.stringMatching(/cell: legt .* window of 2 units of time, 1.33 samples at step size 1.5/),
    ]);
    expect(warned("fourier", 8, 0.5, 100, { window: 0.5 })).toEqual([expect.stringMatching(/1 samples at step size 0.5/)]);
    expect(warned("lmu", 8, 1e-5, 100)).toEqual([
      expect.stringMatching(/100000 samples .* more than 100 times the longest sequence of 100/),
    ]);
  });

  test("what is in range, has no window, or is no longer the basis, is not", () => {
    expect(warned("legt", 8, 0.01, 100)).toEqual([]);
    expect(warned("legt", 8, 1e-5)).toEqual([]);
    expect(warned("legs", 8, 3, 100)).toEqual([]);
  });
});

describe("dense", () => {
  test("a rotation with decay is normal: one pole of the pair is stored", () => {
    const A = n([
      [-0.5, call("neg", arg(0))],
      [arg(0), -0.5],
    ]);
    const { module, kind, notes } = through(denseGraph(2, { A, B: column([1, 2]), C: row([1, -1]), D: n([[0.5]]) }, [[3]]), 2);
    expect(kind).toBe("diagonal");
    expect(module.constants.get("cell:abar")?.shape).toEqual([2, 1, 2]);
    expect(notes.join()).toMatch(/A is normal, 1 states/);
  });

  test("a random normal matrix is recognised and keeps its meaning; real poles count once, complex ones twice", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 1e9 }),
        fc.integer({ min: 0, max: 6 }),
        fc.integer({ min: 0, max: 4 }),
        fc.constantFrom("zoh", "bilinear"),
        (seed, pairs, reals, rule) => {
          if (pairs + reals === 0) return;
          const g = random(seed, "normal");
          const A = normalMatrix(randomPoles(pairs, reals, g), g);
          const entries = entriesOf(A, vector(A.rows, g.normal), vector(A.rows, g.normal));
          const { module, kind } = through(denseGraph(2, entries, [], { discretization: rule }), 2);
          expect(kind).toBe("diagonal");
          const abar = [...module.constants].find(([name]) => name.endsWith(":abar"))?.[1];
          expect(abar?.shape).toEqual([2, pairs + reals, 2]);
        },
      ),
      { numRuns: 40 },
    );
  });

  // From 3 states on: of two, half of all matrices are symmetric behind a scaling, those whose entries off the diagonal agree in sign.
  test("a random dense matrix is not mistaken for one, and keeps its meaning", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1e9 }), fc.integer({ min: 3, max: 12 }), (seed, states) => {
        const g = random(seed, "dense");
        const A = matrix(states, states, (i, j) => g.normal() / states - (i === j ? 2 : 0));
        const { kind, notes } = through(denseGraph(2, entriesOf(A, vector(states, g.normal), vector(states, g.normal)), []), 2);
        expect(kind).toBe("dense");
        expect(notes.join()).toMatch(/not normal/);
      }),
      { numRuns: 30 },
    );
  });

  test("a normal matrix with an error of 1e-9 is refused, not rounded", () => {
    const g = random(9, "near");
    const A = normalMatrix(randomPoles(3, 1, g), g);
    A.data[1] = (A.data[1] ?? 0) + 1e-9;
    expect(through(denseGraph(1, entriesOf(A, vector(7, g.normal), vector(7, g.normal)), []), 1).kind).toBe("dense");
  });

  test("LegS is never diagonalised", () => {
    const { A, B } = basisOf("legs", 16);
    const { kind, warnings } = through(denseGraph(1, entriesOf(A, B, B), []), 1);
    expect(kind).toBe("dense");
    expect(warnings).toEqual([]);
  });

  test("a diagonal matrix is its own poles, without a residual", () => {
    const { module, kind, notes } = through(
      denseGraph(
        2,
        entriesOf(
          matrix(3, 3, (i, j) => (i === j ? -1 - i : 0)),
          [1, 2, 3],
          [1, 1, -1],
        ),
        [],
      ),
      2,
    );
    expect(kind).toBe("diagonal");
    expect(notes.join()).toMatch(/A is diagonal, 3 states a channel, real poles/);
    const abar = [...module.constants].find(([name]) => name.endsWith(":abar"))?.[1].data ?? new Float64Array();
    expect(relativeError(abar.slice(0, 6), [Math.exp(-0.1), 0, Math.exp(-0.2), 0, Math.exp(-0.3), 0])).toBeLessThan(1e-15);
  });

  test("a damped spring in phase variables is not normal and stays dense, one system a channel", () => {
    const A = n([
      [0, 1],
      [call("neg", call("mul", arg(0), arg(0))), call("mul", constant(-2), arg(0))],
    ]);
    const { module, kind } = through(denseGraph(3, { A, B: column([0, 1]), C: row([1, 0]), D: n([[0]]) }, [[1, 2, 3]]), 3);
    expect(kind).toBe("dense");
    expect(module.constants.get("cell:abar")?.shape).toEqual([3, 2, 2]);
  });

  test("channels with different numbers of real poles are padded with a pole that nothing reads", () => {
    // [[-1, -w], [w, -1]] has a pair for w = 2 and, at w = 0, two real poles.
    const A = n([
      [-1, call("neg", arg(0))],
      [arg(0), -1],
    ]);
    const { module, kind } = through(denseGraph(2, { A, B: column([1, 2]), C: row([3, 1]), D: n([[0]]) }, [[2, 0]]), 2);
    expect(kind).toBe("diagonal");
    expect(module.constants.get("cell:abar")?.shape).toEqual([2, 2, 2]);
  });

  test("a step size that is a formula of parameters is evaluated", () => {
    const g = graphBuilder("g");
    const u = g.input("u", sequence(1));
    const stored = g.param("cell.log_delta", [], { kind: "constant", value: Math.log(0.05) });
    const delta = g.map(call("exp", arg(0)), [stored]);
    const form: SsmForm = {
      stage: "family",
      family: "dense",
      discretization: "zoh",
      state: 1,
      options: {},
      entries: entriesOf(
        matrix(1, 1, () => -2),
        [1],
        [1],
      ),
    };
    const { module } = through(g.finish([{ name: "y", value: g.ssm(form, [u, delta]) }]), 1);
    expect(module.constants.get("cell:abar")?.data[0]).toBeCloseTo(Math.exp(-0.1), 14);
  });

  test("a step size of each channel makes each a system of its own, though they share their matrices", () => {
    const g = graphBuilder("g");
    const u = g.input("u", sequence(2));
    const delta = g.param("cell.delta", [{ name: "H", size: 2 }], { kind: "values", values: [0.1, 0.2] });
    const form: SsmForm = {
      stage: "family",
      family: "dense",
      discretization: "zoh",
      state: 1,
      options: {},
      entries: entriesOf(
        matrix(1, 1, () => -2),
        [1],
        [1],
      ),
    };
    const { module } = through(g.finish([{ name: "y", value: g.ssm(form, [u, delta]) }]), 2);
    expect(relativeError(module.constants.get("cell:abar")?.data ?? [], [Math.exp(-0.2), 0, Math.exp(-0.4), 0])).toBeLessThan(1e-15);
  });

  test("several inputs and outputs: every output is the sum of its systems over the inputs, group by group", () => {
    const g = random(21, "mimo");
    const [N, M, P, copies] = [3, 2, 4, 2];
    const A = matrix(N, N, (i, j) => g.normal() / N - (i === j ? 2 : 0));
    const [B, C, D] = [randomRows(N, M, g), randomRows(P, N, g), randomRows(P, M, g)];
    const entries = { A: entriesOf(A, [0, 0, 0], [0, 0, 0]).A, B: n(B), C: n(C), D: n(D) };
    const graph = denseGraph(copies * M, entries, []);
    expect(graph.nodes.at(-1)?.type.dims.at(-1)?.size).toBe(copies * P);
    const { module } = through(graph, copies * M);
    const u = inputs(copies * M);
    const got = interpret(module.graph, module.constants, u).outputs.get("y");
    const step = zoh.dense(
      A,
      matrix(N, M, (i, j) => B[i]?.[j] ?? NaN),
      0.1,
    );
    const want: number[] = [];
    for (let b = 0; b < 2; b++) {
      const x = Array.from({ length: copies }, () => new Float64Array(N));
      for (let t = 0; t < 24; t++)
        for (const [k, state] of x.entries()) {
          const input = Array.from({ length: M }, (_, m) => u.get("u")?.data[((b * 24 + t) * copies + k) * M + m] ?? NaN);
          const next = state.map(
            (_, i) =>
              sumOf(N, (j) => (step?.abar.data[i * N + j] ?? NaN) * (state[j] ?? NaN)) +
              sumOf(M, (m) => (step?.bbar.data[i * M + m] ?? NaN) * (input[m] ?? NaN)),
          );
          state.set(next);
          for (let p = 0; p < P; p++)
            want.push(sumOf(N, (j) => (C[p]?.[j] ?? NaN) * (state[j] ?? NaN)) + sumOf(M, (m) => (D[p]?.[m] ?? NaN) * (input[m] ?? NaN)));
        }
    }
    expect(relativeError(got?.data ?? [], want)).toBeLessThan(1e-13);
  });
});

describe("warnings and refusals", () => {
  test("an unstable pole is named with its time constant; the build goes on", () => {
    const A = matrix(2, 2, (i, j) => (i === j ? 0.25 : i < j ? -3 : 3));
    expect(through(denseGraph(2, entriesOf(A, [1, 0], [1, 0]), []), 2).warnings).toEqual([
      expect.stringMatching(/pole 0\.25 [-+] 3i .* unstable.*every 4 units of time, 40 samples/),
    ]);
    const jordan = matrix(2, 2, (i, j) => (i === j ? 0.5 : i < j ? 1 : 0));
    expect(through(denseGraph(1, entriesOf(jordan, [1, 0], [1, 0]), []), 1).warnings.join()).toMatch(/pole 0\.5 of channel 0/);
    const full = matrix(
      2,
      2,
      (i, j) =>
        [
          [1, 2],
          [3, 4],
        ][i]?.[j] ?? 0,
    );
    expect(through(denseGraph(1, entriesOf(full, [1, 0], [1, 0]), []), 1).warnings.join()).toMatch(/pole 5\.372/);
  });

  test("a step too large for Euler is warned about", () => {
    const A = matrix(1, 1, () => -30);
    expect(through(denseGraph(1, entriesOf(A, [1], [1]), [], { discretization: "euler" }), 1).warnings.join()).toMatch(
      /euler makes a stable pole unstable \(\|abar\| = 2/,
    );
  });

  test("a dense system that Euler makes grow is warned about, and one that it does not is not", () => {
    const spring = matrix(
      2,
      2,
      (i, j) =>
        [
          [0, 1],
          [-100, -1],
        ][i]?.[j] ?? 0,
    );
    const euler = { discretization: "euler" };
    expect(through(denseGraph(1, entriesOf(spring, [0, 1], [1, 0]), [], euler), 1).warnings.join()).toMatch(
      /euler makes a stable pole unstable \(\|abar\| = 1\.378/,
    );
    expect(through(denseGraph(1, entriesOf(spring, [0, 1], [1, 0]), []), 1).warnings).toEqual([]);
    const { A, B } = basisOf("legs", 8);
    expect(through(denseGraph(1, entriesOf(A, B, B), [], euler), 1).warnings).toEqual([]);
  });

  const refuses = (graph: Graph, code: string, pass = discretize): void =>
    expect(() => {
      const structured = structure.run(start.run({ graph, constants: new Map() }, context()), context());
      pass.run(structured, context());
    }).toThrowError(expect.objectContaining({ code }));
  const one = entriesOf(
    matrix(1, 1, () => -1),
    [1],
    [1],
  );

  test("step sizes, entries and rules that make no system are refused by code", () => {
    refuses(denseGraph(1, one, [], { options: { delta: -0.1 } }), "ssm-delta");
    refuses(denseGraph(1, { ...one, A: n([[call("div", constant(1), arg(0))]]) }, [[0]]), "ssm-not-finite");
    refuses(denseGraph(1, { ...one, A: n([[arg(3)]]) }, [[0]]), "ssm-shape");
    refuses(denseGraph(1, one, [], { discretization: "tustin" }), "unknown-discretization");
    refuses(
      denseGraph(
        1,
        entriesOf(
          matrix(1, 1, () => 20),
          [1],
          [1],
        ),
        [],
        { discretization: "bilinear" },
      ),
      "singular-step",
    );
    refuses(
      denseGraph(
        1,
        entriesOf(
          matrix(1, 1, () => 1e5),
          [1],
          [1],
        ),
        [],
      ),
      "singular-step",
    );
    refuses(denseGraph(1, one, [], { family: "s9" }), "unknown-family");
    // I - delta A / 2 is singular at A = 20, delta = 0.1; off the diagonal, so that A is not normal.
    refuses(
      denseGraph(
        1,
        entriesOf(
          matrix(2, 2, (i, j) => (i === j ? 20 : j > i ? 1 : 0)),
          [1, 1],
          [1, 1],
        ),
        [],
        { discretization: "bilinear" },
      ),
      "singular-step",
    );
  });

  test("a parameter computed from an input is refused", () => {
    const g = graphBuilder("g");
    const u = g.input("u", sequence(1));
    const form: SsmForm = { stage: "family", family: "dense", discretization: "zoh", state: 1, options: {}, entries: one };
    refuses(g.finish([{ name: "y", value: g.ssm(form, [u, u]) }]), "ssm-operand");
  });
});
