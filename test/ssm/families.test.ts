/** Every family: golden kernels, sequences and initializations, and what it refuses. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Constant, SsmForm } from "../../src/ir/graph.ts";
import { complex, type Complex, complexArray, mul } from "../../src/math/complex.ts";
import { random } from "../../src/math/random.ts";
import { discretizationNamed } from "../../src/ssm/discretizations.ts";
import { familySystem as systemOf } from "../../src/ssm/evaluate.ts";
import { paramDims } from "../../src/ssm/family.ts";
import { families, familyNamed } from "../../src/ssm/families.ts";
import { discretizeSystem } from "../../src/ssm/discretize.ts";
import type { StateSystem } from "../../src/ssm/system.ts";
import { goldenCases, type GoldenComplex, relativeError, toComplex } from "../math/golden.ts";
import { impulse, realForm, runChannel } from "./runs.ts";

/** Of a family that has a state. */
function familySystem(...args: Parameters<typeof systemOf>): StateSystem {
  const system = systemOf(...args);
  if (system.structure === "fir") throw new Error("a finite response has no A");
  return system;
}

type FamilyForm = Extract<SsmForm, { stage: "family" }>;
const form = (family: string, state: number, options: FamilyForm["options"] = {}, more: Partial<FamilyForm> = {}): FamilyForm => ({
  stage: "family",
  family,
  discretization: "zoh",
  state,
  options,
  ...more,
});
const tensor = (data: ArrayLike<number>, ...shape: number[]): Constant => ({ shape, data: Float64Array.from(data) });

/** The arguments of an s4d node with one channel for each row of C; its B = 1 moves the golden B into C. */
function s4dOperands(
  lambda: readonly Complex[],
  B: readonly Complex[],
  C: readonly (readonly Complex[])[],
  D: readonly number[],
  dt: number,
): Constant[] {
  const [H, n] = [C.length, lambda.length];
  const rows = (f: (z: Complex) => number): number[] => C.flatMap(() => lambda.map(f));
  const gains = C.flatMap((row) => row.map((c, i) => mul(c, B[i] ?? complex(NaN))));
  return [
    tensor(
      complexArray(H * n, (i) => gains[i] ?? complex(NaN)),
      H,
      n,
      2,
    ),
    tensor(new Float64Array(H).fill(Math.log(dt)), H),
    tensor(
      rows((z) => Math.log(-z.re)),
      H,
      n,
    ),
    tensor(
      rows((z) => z.im),
      H,
      n,
    ),
    tensor(D, H),
  ];
}

/** The arguments of a dense node that runs the same complex system in real form; one row of C, M = P = 1. */
function denseOperands(
  lambda: readonly Complex[],
  P: readonly (readonly Complex[])[],
  B: readonly Complex[],
  C: readonly Complex[],
  D: number,
  dt: number,
): Constant[] {
  const { A, B: b, C: c } = realForm(lambda, P, B, C);
  const n = A.rows;
  return [tensor(A.data, n, n), tensor(b, n, 1), tensor(c, 1, n), tensor([D], 1, 1), tensor([dt])];
}

function run(family: FamilyForm, rule: string, operands: readonly Constant[], channels: number, u: readonly number[]): number[][] {
  const continuous = familySystem(family, operands, { channels });
  if (continuous.structure === "mimo") throw new Error("its channels are not independent");
  const system = discretizeSystem(continuous, discretizationNamed(rule));
  return Array.from({ length: channels }, (_, h) => runChannel(system, h, u));
}

const lowRank = (P: GoldenComplex<number[][]>): Complex[][] => P.re.map((re, r) => toComplex({ re, im: P.im[r] ?? [] }));

interface Kernels {
  kind: "dplr" | "diag";
  init: string;
  N: number;
  lambda: GoldenComplex;
  P: GoldenComplex<number[][]>;
  B: GoldenComplex;
  C: GoldenComplex;
  results: { dt: number; method: string; K: number[] }[];
}

describe("golden kernels to 1e-11 of their scale", () => {
  const cases = ["kernels.json", "kernels_n32.json"].flatMap((file) => goldenCases<Kernels>(file));
  test.each(cases.map((c) => [`${c.kind} ${c.init} N=${c.N}`, c] as const))("%s", (_name, c) => {
    const [lambda, B, C] = [toComplex(c.lambda), toComplex(c.B), toComplex(c.C)];
    expect(c.results.length).toBeGreaterThan(0);
    for (const { dt, method, K } of c.results) {
      if (c.kind === "diag") {
        const [y] = run(form("s4d", c.N), method, s4dOperands(lambda, B, [C], [0], dt), 1, impulse(K.length));
        expect(relativeError(y ?? [], K)).toBeLessThan(1e-11);
      }
      const [y] = run(form("dense", c.N), method, denseOperands(lambda, lowRank(c.P), B, C, 0, dt), 1, impulse(K.length));
      expect(relativeError(y ?? [], K)).toBeLessThan(1e-11);
    }
  });
});

interface Sequences {
  kind: "dplr" | "diag";
  init: string;
  N: number;
  lambda: GoldenComplex;
  P: GoldenComplex<number[][]>;
  B: GoldenComplex;
  C: GoldenComplex<number[][]>;
  D: number[];
  u: number[];
  results: { dt: number; method: string; y_zero: number[][] }[];
}

describe("golden sequences of two channels with skip, to 1e-11 of their scale", () => {
  const cases = goldenCases<Sequences>("seq.json");
  test.each(cases.map((c) => [`${c.kind} ${c.init} N=${c.N}`, c] as const))("%s", (_name, c) => {
    const [lambda, B, C] = [toComplex(c.lambda), toComplex(c.B), lowRank(c.C)];
    for (const { dt, method, y_zero: want } of c.results) {
      const got =
        c.kind === "diag"
          ? run(form("s4d", c.N), method, s4dOperands(lambda, B, C, c.D, dt), 2, c.u)
          : C.flatMap((row, p) => run(form("dense", c.N), method, denseOperands(lambda, lowRank(c.P), B, row, c.D[p] ?? NaN, dt), 1, c.u));
      expect(relativeError(got.flat(), want.flat())).toBeLessThan(1e-11);
    }
  });
});

test("golden long kernels, L to 4096, of S4D to 1e-12 and dense of 64 states to 1e-12 of their scale", () => {
  const folder = new URL("../../../shared/golden/s4/", import.meta.url);
  const bytes = readFileSync(new URL("kernels_long.safetensors", folder));
  const size = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString("utf8", 8, 8 + size)) as Record<string, { data_offsets: [number, number] }>;
  const load = (name: string): Float64Array => {
    const [from, to] = header[name]?.data_offsets ?? [0, 0];
    return new Float64Array(Uint8Array.from(bytes.subarray(8 + size + from, 8 + size + to)).buffer);
  };
  const pack = (data: Float64Array): Complex[] =>
    Array.from({ length: data.length / 2 }, (_, i) => complex(data[2 * i] ?? NaN, data[2 * i + 1]));
  const rowsOf = (z: readonly Complex[], n: number): Complex[][] =>
    Array.from({ length: z.length / n }, (_, r) => z.slice(r * n, (r + 1) * n));
  const { cases } = JSON.parse(readFileSync(new URL("kernels_long.json", folder), "utf8")) as {
    cases: Record<string, { kind: string; N: number; dt: number; method: string; L: number }>;
  };
  const worst: number[] = [];
  for (const [i, c] of Object.entries(cases)) {
    const [lambda, B, C, K] = [pack(load(`${i}.lambda`)), pack(load(`${i}.B`)), pack(load(`${i}.C`)), load(`${i}.K`)];
    const [y] =
      c.kind === "diag"
        ? run(form("s4d", c.N), c.method, s4dOperands(lambda, B, [C], [0], c.dt), 1, impulse(c.L))
        : run(form("dense", c.N), c.method, denseOperands(lambda, rowsOf(pack(load(`${i}.P`)), c.N / 2), B, C, 0, c.dt), 1, impulse(c.L));
    worst.push(relativeError(y ?? [], K));
  }
  expect(worst.length).toBe(7);
  for (const error of worst) expect(error).toBeLessThan(1e-12);
});

test("golden S4D initializations to 1e-12", () => {
  const cases = goldenCases<{ kind: string; N: number; lambda: GoldenComplex }>("s4d_init.json");
  const s4d = familyNamed("s4d");
  for (const { kind, N, lambda } of cases) {
    const make = (param: string): Float64Array => s4d.initialize(param, [2, N / 2], { init: kind }, random(1, param));
    const twice = (x: readonly number[]): number[] => [...x, ...x];
    expect(relativeError(make("log_A_real").map(Math.exp), twice(lambda.re.map((x) => -x)))).toBeLessThan(1e-12);
    // The reference keeps the conjugates with Im < 0, the minimal implementation those with Im > 0.
    expect(relativeError(make("A_imag"), twice(lambda.im.map((x) => -x)))).toBeLessThan(1e-12);
  }
});

describe.each(families.map((f) => [f.name, f] as const))("family %s", (name, family) => {
  const sizes = { H: 4, N: 4, M: 1, P: 1, Q: 1, G: 4, R: 2, S: 4, T: 1 } as const;
  const operands = (options: FamilyForm["options"], seed = 1): Constant[] =>
    [...paramDims(family, sizes)].map(([param, dims]) => {
      const shape = dims.map((d) => Number(d.size));
      return { shape, data: family.initialize(param, shape, options, random(seed, param)) };
    });
  const inits = family.options["init"]?.choices ?? [];

  test.each(inits.length === 0 ? ["its one initialization"] : inits)(
    "starts from %s with finite numbers of its own declared shapes",
    (init) => {
      const options: FamilyForm["options"] = inits.length === 0 ? {} : { init };
      const system = systemOf(form(name, 4, options), operands(options), { channels: 4 });
      expect(system.structure).toBe(family.structure);
      const steps = system.structure === "fir" ? [] : [...system.delta];
      for (const data of system.structure === "fir" ? [system.kernel] : [system.A, system.B, system.C, system.D, system.delta]) {
        expect(data.length).toBeGreaterThan(0);
        expect(data.every(Number.isFinite)).toBe(true);
      }
      if ("dt_min" in family.options) expect(steps.every((d) => d >= 0.001 && d <= 0.1)).toBe(true);
    },
  );

  test("the same seed gives the same numbers, another others", () => {
    expect(operands({})).toEqual(operands({}));
    expect(operands({}, 2)).not.toEqual(operands({}));
  });

  test("refuses an argument of another shape, too few, an unknown option, an option out of its choices", () => {
    const good = operands({});
    const fails = (code: string, bad: readonly Constant[], options: FamilyForm["options"] = {}): void =>
      expect(() => familySystem(form(name, 4, options), bad, { channels: 4 })).toThrowError(expect.objectContaining({ code }));
    fails(
      "ssm-shape",
      good.map((c, i) => (i === 0 ? tensor([1, 2, 3, 4, 5], 5) : c)),
    );
    fails("ssm-shape", good.slice(0, Math.min(2, good.length - 1)));
    fails("ssm-option", good, { inti: "lin" });
    if (inits.length > 0) fails("ssm-option", good, { init: "nowhere" });
    const [[number] = []] = Object.entries(family.options).filter(([, { default: start }]) => typeof start === "number");
    fails("ssm-option", good, { [number ?? ""]: "small" });
  });
});

test("shift: K_l = sum_n B_n C_{n+l}, D on the present; C may be [1 H N]", () => {
  const [B, D] = [tensor([1, 0, 0, 2, 1, 0.5], 2, 3), tensor([10, 20], 2)];
  for (const C of [tensor([1, 2, 3, 4, 5, 6], 2, 3), tensor([1, 2, 3, 4, 5, 6], 1, 2, 3)]) {
    const system = systemOf(form("shift", 3), [B, C, D], { channels: 2 });
    expect(system).toEqual({ structure: "fir", channels: 2, taps: 3, kernel: Float64Array.of(11, 2, 3, 8 + 5 + 3 + 20, 16, 12) });
  }
});

test("s4d takes a step size per state, and refuses an odd state", () => {
  const operands = s4dOperands([complex(-1, 2), complex(-0.5, 1)], [complex(1), complex(1)], [[complex(1), complex(1)]], [0], 0.1);
  const untied = operands.map((c, i) => (i === 1 ? tensor([Math.log(0.1), Math.log(0.2)], 1, 2) : c));
  const system = familySystem(form("s4d", 4), untied, { channels: 1 });
  expect(relativeError(system.delta, [0.1, 0.2])).toBeLessThan(1e-15);
  expect(() => familySystem(form("s4d", 3), operands, { channels: 1 })).toThrowError(expect.objectContaining({ code: "ssm-state-odd" }));
});

test("a name that is no family is refused with those that are", () => {
  expect(() => familyNamed("s9")).toThrowError(expect.objectContaining({ code: "unknown-family", fix: expect.stringContaining("s4d") }));
});
