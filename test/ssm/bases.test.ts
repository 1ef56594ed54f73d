/** Bases: golden matrices, the structure they claim, their functions in closed form, and what they refuse. */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type BasisName, dense, hippo, model, sequence } from "../../src/dsl/index.ts";
import { evalExpr } from "../../src/ir/expr.ts";
import { add, complex, conj, exp, mul, scale } from "../../src/math/complex.ts";
import { expm } from "../../src/math/expm.ts";
import { entry, frobenius, matrix, matrixOf, multiply, scaleMatrix } from "../../src/math/matrix.ts";
import { random } from "../../src/math/random.ts";
import { chebyshev, gamma, laguerre, legendre } from "../../src/math/special.ts";
import { init } from "../../src/passes/init.ts";
import { bases, basisNamed, basisNames, basisOf, type PartialBasisOptions, type SizedBasis } from "../../src/ssm/bases.ts";
import type { Basis, BasisOptions } from "../../src/ssm/basis.ts";
import { zoh } from "../../src/ssm/discretizations/zoh.ts";
import { goldenCases, relativeError } from "../math/golden.ts";

interface GoldenBasis {
  readonly measure: string;
  readonly args: { readonly alpha?: number; readonly beta?: number };
  readonly N: number;
  readonly A: readonly (readonly number[])[];
  readonly B: readonly number[];
  readonly P?: readonly (readonly number[])[];
}

describe("golden matrices to 1e-12", () => {
  const cases = goldenCases<GoldenBasis>("hippo.json");
  test.each([...new Set(cases.map((c) => c.measure))])("%s", (measure) => {
    for (const { args, N, A, B, P = [] } of cases.filter((c) => c.measure === measure)) {
      const made = basisOf(measure, N, args);
      expect(relativeError(made.A.data, A.flat())).toBeLessThan(1e-12);
      expect(relativeError(made.B, B)).toBeLessThan(1e-12);
      P.forEach((row, r) => expect(relativeError(made.lowRank?.P[r] ?? new Float64Array(N), row)).toBeLessThan(1e-12));
    }
  });
});

test("gamma: factorials, and its reflection", () => {
  for (let n = 1, factorial = 1; n < 15; factorial *= n++) expect(Math.abs(gamma(n) / factorial - 1)).toBeLessThan(1e-14);
  for (const x of [0.01, 0.25, 0.5, 0.9])
    expect(Math.abs((gamma(x) * gamma(1 - x) * Math.sin(Math.PI * x)) / Math.PI - 1)).toBeLessThan(1e-14);
});

test("polynomials: T_n(cos a) = cos n a, P_n(1) = 1 and P_n(-1) = (-1)^n, L_n(0) = binom(n + alpha, n)", () => {
  for (let n = 0; n < 12; n++) {
    expect(chebyshev(n, Math.cos(0.3))).toBeCloseTo(Math.cos(0.3 * n), 13);
    expect(legendre(n, 1)).toBeCloseTo(1, 13);
    expect(legendre(n, -1)).toBeCloseTo(n % 2 === 0 ? 1 : -1, 13);
    expect(laguerre(n, 0, 0.5)).toBeCloseTo(gamma(n + 1.5) / gamma(1.5) / gamma(n + 1), 12);
  }
});

const rmsOf = (x: readonly number[]): number => Math.hypot(...x) / Math.sqrt(x.length);
const sizes = fc.integer({ min: 1, max: 6 }).map((n) => 2 * n);
const ages = fc.double({ min: 0, max: 1, noNaN: true });
/** A basis with options that it reads. */
const sized = (name: string, N: number, pick: number): SizedBasis => {
  const { reads } = basisNamed(name);
  const values: BasisOptions = { window: 0.5 + 2 * pick, alpha: 0.1 + 0.8 * pick, beta: 0.2 + pick };
  const given: PartialBasisOptions = Object.fromEntries(reads.map((key) => [key, values[key]]));
  return basisOf(name, N, given, random(5, name));
};
/** e^{sA} B */
const responses = ({ A, B }: SizedBasis, s: number): Float64Array => multiply(expm(scaleMatrix(A, s)), matrixOf(B.length, 1, B)).data;

const named = (list: readonly Basis[]): [string, Basis][] => list.map((b) => [b.name, b]);

describe("has matrices of its size at every even N, and is in the documentation with its timescale", () => {
  test.each(named(bases))("%s", (name, basis) => {
    for (const N of [1, 2, 8]) {
      const { A, B } = basisOf(name, N, {}, random(1, name));
      expect([A.rows, A.cols, B.length]).toEqual([N, N, N]);
      expect([...A.data, ...B].every(Number.isFinite)).toBe(true);
    }
    const page = readFileSync(new URL("../../docs/bases.md", import.meta.url), "utf8");
    expect(page).toContain(`| \`${name}\` |`);
    expect(page).toContain(basis.timescale);
  });
});

describe("A + P P^T is a multiple of I plus a skew matrix, to rounding", () => {
  test.each(named(bases.filter((b) => b.lowRank !== undefined)))("%s", (name) => {
    fc.assert(
      fc.property(sizes, ages, (N, pick) => {
        const { A, lowRank } = sized(name, N, pick);
        const rows = lowRank?.P ?? [];
        const twice = matrix(
          N,
          N,
          (i, j) =>
            entry(A, i, j) +
            entry(A, j, i) -
            (i === j ? 2 * (lowRank?.shift ?? NaN) : 0) +
            2 * rows.reduce((sum, p) => sum + (p[i] ?? NaN) * (p[j] ?? NaN), 0),
        );
        expect(frobenius(twice)).toBeLessThanOrEqual(2e-15 * frobenius(A));
      }),
    );
  });
});

describe("e^{sA} B is its functions, at every age", () => {
  test.each(named(bases.filter((b) => b.functions?.exact === true)))("%s", (name, basis) => {
    fc.assert(
      fc.property(sizes, ages, ages, (N, pick, age) => {
        const made = sized(name, N, pick);
        const s = age * (basis.memory === "window" ? made.options.window : 6);
        const want = Array.from(made.B, (_, n) => made.functions?.kernel?.(n, s, made.options) ?? NaN);
        // The finite series of chebt's nilpotent A cancels: its rounding is that of the sum of absolute values.
        const { A, B } = made;
        const absolute = responses({ ...made, A: { ...A, data: A.data.map(Math.abs) }, B: B.map(Math.abs) }, s);
        const cancelled = name === "chebt" ? Math.max(...absolute) / Math.max(...want.map(Math.abs)) : 0;
        expect(relativeError(responses(made, s), want)).toBeLessThan(Math.max(1e-13, 1e-15 * cancelled));
      }),
    );
  });
});

test.each([
  ["legt", 5],
  ["lmu", 5],
  ["fourier", 9],
  ["fourier2", 9],
] as const)("%s: e^{sA} B tends to its functions inside the window and to nothing outside, in the mean", (name, first) => {
  /** Of the first functions, the mean distance on [0.1, 0.9] of the window, and the mean size on [1.2, 2] of it, relative to the functions. */
  const errors = (N: number): readonly [inside: number, outside: number] => {
    const made = basisOf(name, N, { window: 3 });
    const kernel = made.functions?.kernel ?? expect.fail("no functions");
    const ages = Array.from({ length: 17 }, (_, i) => 0.1 + 0.05 * i);
    const rms = (points: readonly number[], wanted: boolean): number =>
      Math.hypot(
        ...points.flatMap((s) => {
          const x = responses(made, 3 * s);
          return Array.from({ length: first }, (_, n) => (x[n] ?? NaN) - (wanted ? kernel(n, 3 * s, made.options) : 0));
        }),
      ) / Math.sqrt(points.length);
    const size = rmsOf(ages.flatMap((s) => Array.from({ length: first }, (_, n) => kernel(n, 3 * s, made.options)))) * Math.sqrt(first);
    expect(kernel(1, 3.1, made.options)).toBe(0);
    return [
      rms(ages, true) / size,
      rms(
        ages.map((a) => a + 1.1),
        false,
      ) / size,
    ];
  };
  const [coarse, fine] = [errors(16), errors(64)];
  expect(Math.max(...fine)).toBeLessThan(0.15);
  expect(fine[0]).toBeLessThan(0.75 * coarse[0]);
  expect(fine[1]).toBeLessThan(0.75 * coarse[1]);
});

/** The state after a smooth input has come in for a long time, and the reconstruction of the input at an age. */
function reconstruct(made: SizedBasis, u: (t: number) => number, time: number, steps: number): (s: number) => number {
  const { A, B, functions, options } = made;
  const delta = time / steps;
  // The mean of both ends of each step: the hold is then right to second order.
  const step = zoh.dense(A, matrixOf(B.length, 1, B), delta) ?? expect.fail("zoh exists");
  let x = matrixOf(B.length, 1, new Float64Array(B.length));
  for (let k = 0; k < steps; k++) {
    const held = (u(k * delta) + u((k + 1) * delta)) / 2;
    const next = multiply(step.abar, x).data;
    x = matrixOf(
      B.length,
      1,
      next.map((v, i) => v + (step.bbar.data[i] ?? NaN) * held),
    );
  }
  return (s) => x.data.reduce((sum, v, n) => sum + v * (functions?.weight?.(n, s, options) ?? NaN), 0);
}

describe("the past is reconstructed from the state", () => {
  /** Sets in smoothly, so that no jump lies in the past. */
  const wave = (t: number): number => (Math.sin(0.6 * t) + 0.4 * Math.cos(t + 1)) * Math.sin((Math.PI * Math.min(t, 6)) / 12) ** 4;
  const time = 12;
  test.each([
    ["legs", 12, {}, 2],
    ["legt", 4, { window: 3 }, 3],
    ["lmu", 4, { window: 3 }, 3],
    ["lagt", 20, {}, 4],
    ["tlagt", 20, { beta: 0.5 }, 4],
    ["glagt", 20, { alpha: 0.3, beta: 0.5 }, 4],
    ["fourier", 32, { window: 3 }, 2.5],
    ["fourier2", 32, { window: 3 }, 2.5],
  ] as const)("%s: N = %i leaves some error, twice as many states much less", (name, N, options, oldest) => {
    const error = (states: number): number => {
      const at = reconstruct(basisOf(name, states, options), wave, time, 1200);
      const ages = Array.from({ length: 20 }, (_, i) => (0.2 + 0.04 * i) * oldest);
      return Math.hypot(...ages.map((s) => at(s) - wave(time - s))) / Math.sqrt(20);
    };
    const [coarse, fine] = [error(N), error(2 * N)];
    expect(coarse).toBeLessThan(0.3);
    expect(fine).toBeLessThan(0.65 * coarse);
  });
});

test("legt and lmu are one memory: x_lmu = (-1)^n r_n x_legt", () => {
  const [a, b] = [basisOf("legt", 7, { window: 3 }), basisOf("lmu", 7, { window: 3 })];
  for (const s of [0.1, 1, 2.5]) {
    const [x, y] = [responses(a, s), responses(b, s)];
    y.forEach((v, n) => expect(v).toBeCloseTo((n % 2 === 0 ? 1 : -1) * Math.sqrt(2 * n + 1) * (x[n] ?? NaN), 12));
  }
});

test("fourier_complex is x' = (diag(2 pi i n) - 1 1^T) x / window + u / window, real and imaginary parts side by side", () => {
  const [N, window] = [8, 3];
  const { A, B } = basisOf("fourier_complex", N, { window });
  const { normal } = random(1, "x");
  const x = Array.from({ length: N }, normal);
  const [re, im] = [0, 1].map((part) => x.filter((_, n) => n % 2 === part).reduce((a, b) => a + b, 0));
  const want = x.map((_, n) => {
    const turn = 2 * Math.PI * Math.floor(n / 2);
    const [own, sum] = n % 2 === 0 ? [-turn * (x[n + 1] ?? NaN), re] : [turn * (x[n - 1] ?? NaN), im];
    return (own - (sum ?? NaN)) / window;
  });
  expect(relativeError(multiply(A, matrixOf(N, 1, Float64Array.from(x))).data, want)).toBeLessThan(1e-14);
  expect([...B]).toEqual(Array.from({ length: N }, (_, n) => (n % 2 === 0 ? 1 / window : 0)));
});

describe("fru of any frequencies", () => {
  const frequencies = [0.5, 0, 2.25];
  test("is the sums of the published unit, which turns its inputs, seen from a frame that turns with them", () => {
    const [window, L] = [10, 30];
    const made = basisOf("fru", 6, { window, frequencies });
    const { normal } = random(2, "u");
    const u = Array.from({ length: L }, normal);
    // Impulses at whole times: x = e^A x + B u. The unit: z_f = sum_t e^(2 pi i f t / window) u_t / window.
    let x = new Float64Array(6);
    const step = expm(made.A);
    u.forEach((v) => (x = multiply(step, matrixOf(6, 1, x)).data.map((y, n) => y + (made.B[n] ?? NaN) * v)));
    frequencies.forEach((f, m) => {
      const z = u.reduce((sum, v, t) => add(sum, scale(exp(complex(0, (2 * Math.PI * f * t) / window)), v / window)), complex(0));
      const seen = scale(mul(exp(complex(0, (2 * Math.PI * f * (L - 1)) / window)), conj(z)), f === 0 ? 1 : Math.SQRT2);
      expect(Math.abs((x[2 * m] ?? NaN) - seen.re)).toBeLessThan(1e-13);
      expect(Math.abs((x[2 * m + 1] ?? NaN) - seen.im)).toBeLessThan(1e-13);
    });
  });

  test("has waves of those as its functions", () => {
    const made = basisOf("fru", 6, { window: 3, frequencies });
    for (const s of [0, 0.7, 5]) {
      const want = Array.from(made.B, (_, n) => made.functions?.kernel?.(n, s, made.options) ?? NaN);
      expect(relativeError(responses(made, s), want)).toBeLessThan(1e-13);
    }
  });

  test("comes through `hippo` and `dense`", () => {
    const { graph } = model("m", { u: sequence(1) }, ({ u }) => {
      const x = hippo(u, { basis: "fru", state: 6, delta: 0.1, window: 3, frequencies });
      return { x, y: dense(u, { state: 6, init: "fru", window: 3, frequencies, name: "layer" }) };
    });
    const { constants } = init.run({ graph, constants: new Map() }, { seed: 1, note: () => {}, warn: () => {} });
    const { A } = basisOf("fru", 6, { window: 3, frequencies });
    expect(constants.get("layer.A")?.data).toEqual(A.data);
    const entries = graph.nodes.flatMap((n) =>
      n.op === "ssm" && n.form.stage === "family" && n.form.entries !== undefined ? n.form.entries.A : [],
    );
    expect(entries.flat().map((e) => evalExpr(e, []))).toEqual([...A.data]);
  });
});

test("the names that `dense` takes are those of the table", () => {
  const all: Readonly<Record<BasisName, true>> = {
    legs: true,
    legsd: true,
    legt: true,
    lmu: true,
    lagt: true,
    tlagt: true,
    glagt: true,
    fourier: true,
    fout: true,
    fourier2: true,
    fourier_decay: true,
    fourier_complex: true,
    foud: true,
    fourier_diag: true,
    fru: true,
    chebt: true,
    random: true,
    diagonal: true,
    rotation: true,
  };
  expect(Object.keys(all).sort()).toEqual([...basisNames].sort());
});

describe("refusals", () => {
  test.each([
    ["hippo", 4, {}, "ssm-option", /no basis/],
    ["legs", 4, { window: 2 }, "ssm-option", /has no window/],
    ["lagt", 4, { alpha: 0.5 }, "ssm-option", /has no alpha/],
    ["legt", 4, { window: -1 }, "ssm-option", /window of -1/],
    ["glagt", 4, { alpha: 1 }, "ssm-option", /alpha of 1/],
    ["lagt", 4, { beta: -2 }, "ssm-option", /beta of -2/],
    ["fourier", 5, {}, "ssm-state-odd", /cannot be odd/],
    ["fourier", 4, { frequencies: [0, 1] }, "ssm-option", /no frequencies/],
    ["fru", 4, { frequencies: [1] }, "ssm-option", /frequencies 1 for 4 states/],
    ["fru", 2, { frequencies: [Number.NaN] }, "ssm-option", /frequencies NaN/],
  ] as const)("%s, N = %i, %o", (name, N, options, code, message) => {
    expect(() => basisOf(name, N, options)).toThrowError(expect.objectContaining({ code, message: expect.stringMatching(message) }));
  });
});
