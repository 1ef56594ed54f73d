/** Structure found in dense systems: it is there, it is exact, and what is not there is refused with its reason. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { dense, mat, model, sequence, ssm, type DenseOptions, type Discretization, type Structure } from "../../src/dsl/index.ts";
import type { Constant } from "../../src/ir/graph.ts";
import { interpret } from "../../src/ir/interpret.ts";
import { complex } from "../../src/math/complex.ts";
import { generalEigen } from "../../src/math/eigen.ts";
import { normalPlusLowRank, rebuildResidual } from "../../src/math/low-rank.ts";
import { addScaled, entry, frobenius, type Matrix, matrix } from "../../src/math/matrix.ts";
import { type Random, random } from "../../src/math/random.ts";
import { scalingOf } from "../../src/math/scaling.ts";
import { init } from "../../src/passes/init.ts";
import { structure } from "../../src/passes/structure.ts";
import { basisOf } from "../../src/ssm/bases.ts";
import { discretizationNamed } from "../../src/ssm/discretizations.ts";
import { evaluateSystem } from "../../src/ssm/evaluate.ts";
import { findStructure, type StructureChoice, type Structured } from "../../src/ssm/structure.ts";
import type { DenseSystem } from "../../src/ssm/system.ts";
import { goldenCases, type GoldenComplex, relativeError, toComplex } from "../math/golden.ts";
import { normalMatrix, randomMatrix, randomPoles, vector } from "../math/systems.ts";
import { expectMeaning, expectOnDevice } from "../models/golden.ts";
import { kernelOf, realForm, siso } from "./runs.ts";

const seeds = fc.integer({ min: 0, max: 1e9 });
const find = (system: DenseSystem, choice: StructureChoice, rule: string): Structured =>
  findStructure(system, Math.max(1, system.groups), { choice, name: "cell", rule: discretizationNamed(rule) });

/** A with random B, C and D. */
const systemOf = (A: Matrix, { normal }: Random, delta = 0.1): DenseSystem =>
  siso(A, vector(A.rows, normal), vector(A.rows, normal), normal(), delta);

/** M - P P^T with P of `rank` random rows. */
function less(M: Matrix, rank: number, { normal }: Random): Matrix {
  const P = Array.from({ length: rank }, () => vector(M.rows, normal));
  return matrix(M.rows, M.rows, (i, j) => P.reduce((sum, p) => sum - (p[i] ?? NaN) * (p[j] ?? NaN), entry(M, i, j)));
}

/** Whether the kernels of both are the same, relative to their scale. */
function sameKernel(system: DenseSystem, found: Structured, rule: string, tolerance: number): void {
  const discretization = discretizationNamed(rule);
  expect(relativeError(kernelOf(found.system, discretization, 40), kernelOf(system, discretization, 40))).toBeLessThan(tolerance);
}

describe("normal plus low rank in a random orthogonal basis", () => {
  test("of rank 0 to 3, all poles decaying alike: found, with as many states and rows, and the same kernel", () => {
    fc.assert(
      fc.property(seeds, fc.nat(3), fc.integer({ min: 0, max: 4 }), fc.boolean(), (seed, rank, more, odd) => {
        const g = random(seed, "alike");
        const pairs = 2 * rank + 2 + more;
        const decay = -Math.exp(g.normal());
        const poles = Array.from({ length: pairs }, () => complex(decay, Math.exp(1.5 * g.normal())));
        const A = less(normalMatrix(odd ? [...poles, complex(decay)] : poles, g), rank, g);
        const system = systemOf(A, g);
        const found = find(system, "auto", "bilinear");
        expect(found.system.structure).toBe(rank === 0 ? "diagonal" : "dplr");
        if (found.system.structure === "dplr") expect([found.system.rank, found.system.states]).toEqual([rank, pairs + (odd ? 1 : 0)]);
        sameKernel(system, found, "bilinear", 1e-11);
      }),
    );
  });

  test("of rank 0 to 3, poles of any decay, real ones among them: found, and the same kernel", () => {
    fc.assert(
      fc.property(seeds, fc.nat(3), fc.nat(3), fc.nat(2), (seed, rank, more, reals) => {
        const g = random(seed, "general");
        const pairs = 3 * rank + 2 + more;
        const system = systemOf(less(normalMatrix(randomPoles(pairs, reals, g), g), rank, g), g);
        const found = find(system, "auto", "gbt(0.7)");
        expect(found.system.structure, found.note).toBe(rank === 0 ? "diagonal" : "dplr");
        if (found.system.structure === "dplr") expect([found.system.rank, found.system.states]).toEqual([rank, pairs + reals]);
        sameKernel(system, found, "gbt(0.7)", 1e-10);
      }),
    );
  });

  test("frequencies closer together than the skew part of A can tell apart", () => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 1, max: 2 }), fc.integer({ min: 3, max: 5 }), (seed, rank, digits) => {
        const g = random(seed, "close");
        const poles = Array.from({ length: 4 * rank + 4 }, (_, i) =>
          complex(-Math.exp(g.normal()), 1 + Math.floor(i / 2) + (i % 2) * 10 ** -digits),
        );
        const A = less(normalMatrix(poles, g), rank, g);
        const found = normalPlusLowRank(A, 3);
        expect(typeof found === "string" ? found : found.P.length).toBe(rank);
        expect(typeof found === "string" ? NaN : found.residual).toBeLessThan(1e-12);
      }),
      { numRuns: 40 },
    );
  });

  test("with an error of 1e-9 it is refused, not rounded", () => {
    const g = random(4, "near");
    const A = less(normalMatrix(randomPoles(8, 0, g), g), 1, g);
    const noise = randomMatrix(16, g);
    const system = systemOf(addScaled(A, noise, (1e-9 * frobenius(A)) / frobenius(noise)), g);
    expect(find(systemOf(A, g), "auto", "bilinear").system.structure).toBe("dplr");
    expect(find(system, "auto", "bilinear").system.structure).toBe("dense");
  });

  test("a low-rank part that feeds the state is indefinite, and refused", () => {
    const g = random(5, "feeds");
    const p = vector(12, g.normal);
    const M = normalMatrix(
      Array.from({ length: 6 }, () => complex(-1, g.normal())),
      g,
    );
    const A = matrix(12, 12, (i, j) => entry(M, i, j) + 0.01 * (p[i] ?? NaN) * (p[j] ?? NaN));
    expect(find(systemOf(A, g), "auto", "bilinear").note).toMatch(/indefinite.*stays dense/);
    expect(() => find(systemOf(A, g), "dplr", "bilinear")).toThrowError(/not made dplr.*indefinite/);
    const general = normalMatrix(randomPoles(6, 0, g), g);
    const B = matrix(12, 12, (i, j) => entry(general, i, j) + (p[i] ?? NaN) * (p[j] ?? NaN));
    expect(find(systemOf(B, g), "auto", "bilinear").note).toMatch(/indefinite.*stays dense/);
  });
});

/** D A D^-1 with factors d, and the condition of D. */
const rescaled = (A: Matrix, d: Float64Array): Matrix => matrix(A.rows, A.cols, (i, j) => (entry(A, i, j) * (d[i] ?? NaN)) / (d[j] ?? NaN));
const factors = (n: number, range: number, { uniform }: Random): Float64Array => vector(n, () => Math.exp(range * (uniform() - 0.5)));

describe("normal plus low rank behind a diagonal scaling", () => {
  test("of rank 0 to 3, all poles decaying alike: found, with as many states and rows, and the same kernel", () => {
    fc.assert(
      fc.property(seeds, fc.nat(3), fc.integer({ min: 0, max: 4 }), fc.boolean(), (seed, rank, more, odd) => {
        const g = random(seed, "scaled");
        const pairs = 2 * rank + 2 + more;
        const decay = -Math.exp(g.normal());
        const poles = Array.from({ length: pairs }, () => complex(decay, Math.exp(1.5 * g.normal())));
        const M = normalMatrix(odd ? [...poles, complex(decay)] : poles, g);
        const A = less(M, rank, g);
        const system = systemOf(rescaled(A, factors(A.rows, 4, g)), g);
        const found = find(system, "auto", "bilinear");
        expect(found.system.structure, found.note).toBe(rank === 0 ? "diagonal" : "dplr");
        if (found.system.structure === "dplr") expect([found.system.rank, found.system.states]).toEqual([rank, pairs + (odd ? 1 : 0)]);
        expect(found.note).toMatch(
          /^D\^-1 A D is normal.*\|\| = \d\.\de-1[3-9] \|\|D\^-1 A D\|\|.*; D is diagonal, cond\(D\) = \d\.\de\+[01]$/,
        );
        sameKernel(system, found, "bilinear", 1e-11);
      }),
      { numRuns: 40 },
    );
  });

  // The search has no proof that it ends at the scaling there is; of 2,352 random matrices it missed 13.
  test("of rank 0 to 3, poles of any decay: 36 of 40 at least are found, and have the same kernel", () => {
    const of = fc.sample(seeds, 40).map((seed, i) => {
      const g = random(seed, "scaled general");
      const rank = i % 4;
      const A = less(normalMatrix(randomPoles(3 * rank + 2 + (i % 3), i % 3, g), g), rank, g);
      const system = systemOf(rescaled(A, factors(A.rows, 4, g)), g);
      const found = find(system, "auto", "gbt(0.7)");
      if (found.system.structure !== "dense") sameKernel(system, found, "gbt(0.7)", 1e-10);
      return found.system.structure === (rank === 0 ? "diagonal" : "dplr");
    });
    expect(of.filter((found) => found).length).toBeGreaterThanOrEqual(36);
  });

  test("a scaling that would cost accuracy is refused, and said", () => {
    const g = random(13, "far");
    const A = less(
      normalMatrix(
        Array.from({ length: 6 }, () => complex(-1, Math.exp(g.normal()))),
        g,
      ),
      1,
      g,
    );
    const far = systemOf(
      rescaled(
        A,
        vector(12, () => 10 ** (3 * g.uniform())),
      ),
      g,
    );
    expect(find(far, "auto", "bilinear").system).toBe(far);
    expect(find(far, "auto", "bilinear").note).toMatch(
      /scaling after which D\^-1 A D is normal plus rank 1 would cost accuracy.*cond\(D\) = \d\.\de\+2, where at most 100 is safe; stays dense/,
    );
    expect(() => find(far, "dplr", "bilinear")).toThrowError(
      expect.objectContaining({ code: "structure-refused", message: expect.stringMatching(/cond\(D\)/) }),
    );
  });

  test.each([
    ["lmu", {}, 2, 2e-14],
    ["glagt", { alpha: 0.5 }, 1, 5e-15],
    ["glagt", { alpha: 0.9, beta: 0.3 }, 1, 5e-15],
  ] as const)("%s %o at N = 64: normal plus rank %i, rebuilt to %f of ||A||", (name, options, rank, limit) => {
    const { A } = basisOf(name, 64, options);
    const { d, scaled, condition } = scalingOf(A, rank) ?? { d: [], scaled: A, condition: NaN };
    const found = normalPlusLowRank(scaled, 3);
    if (typeof found === "string") throw new Error(found);
    expect(found.P.length).toBe(rank);
    expect(rebuildResidual(scaled, found.modes, found.P)).toBeLessThan(limit);
    // The same error in the coordinates of A.
    const rebuilt = matrix(64, 64, (i, j) => {
      const normal = found.modes.reduce((sum, { lambda, vector: v, paired }) => {
        const [x, y] = [v[i] ?? complex(NaN), v[j] ?? complex(NaN)];
        const [re, im] = [x.re * y.re + x.im * y.im, x.im * y.re - x.re * y.im];
        return sum + (paired ? 2 : 1) * (lambda.re * re - lambda.im * im);
      }, 0);
      return ((d[i] ?? NaN) / (d[j] ?? NaN)) * found.P.reduce((sum, p) => sum - (p[i] ?? NaN) * (p[j] ?? NaN), normal);
    });
    expect(frobenius(addScaled(rebuilt, A, -1)) / frobenius(A)).toBeLessThan(limit);
    // The LMU is LegT with state n times sqrt(2n + 1); last places of d that change nothing are not found.
    if (name === "lmu") d.forEach((x, n) => expect(x / (d[0] ?? NaN) / Math.sqrt(2 * n + 1)).toBeCloseTo(1, 8));
    expect(condition).toBeLessThan(12);
  });

  test("a spring without damping is a rotation behind a scaling", () => {
    const g = random(14, "spring");
    const system = systemOf(
      matrix(2, 2, (i, j) => [0, 1, -9, 0][2 * i + j] ?? NaN),
      g,
    );
    const found = find(system, "auto", "zoh");
    expect(found.system).toMatchObject({ structure: "diagonal", states: 1, pairs: true });
    expect(found.note).toMatch(/cond\(D\) = 3\.0e\+0/);
    sameKernel(system, found, "zoh", 1e-13);
  });

  test("a defective matrix is none, whatever its scaling", () => {
    const jordan = systemOf(
      matrix(9, 9, (i, j) => (i === j ? -1 : j === i + 1 ? 1 : 0)),
      random(15, "jordan"),
    );
    expect(find(jordan, "auto", "bilinear").system).toBe(jordan);
  });
});

test("random dense matrices are not mistaken for anything, of any size", () => {
  fc.assert(
    fc.property(seeds, fc.integer({ min: 3, max: 40 }), (seed, n) => {
      const g = random(seed, "dense");
      const A = addScaled(
        randomMatrix(n, g),
        matrix(n, n, (i, j) => (i === j ? 1 : 0)),
        -2 * Math.sqrt(n),
      );
      const { system, note } = find(systemOf(A, g), "auto", "bilinear");
      expect(system.structure).toBe("dense");
      expect(note).toMatch(/not normal.*stays dense/);
    }),
    { numRuns: 40 },
  );
});

describe("bases", () => {
  test.each([
    ["legs", 1, 8],
    ["legt", 2, 8],
    ["lagt", 1, 8],
    ["tlagt", 1, 8],
    ["fourier", 1, 8],
    ["fourier_decay", 1, 8],
    ["fourier_complex", 2, 8],
  ] as const)("%s is normal plus rank %i by bilinear, stays dense by zoh, and says why", (name, rank, states) => {
    const g = random(6, name);
    const system = systemOf(basisOf(name, 16).A, g, 0.02);
    const found = find(system, "auto", "bilinear");
    // The two poles at 0 of Fourier are one pair.
    expect(found.system).toMatchObject({ structure: "dplr", rank, states });
    expect(found.note).toMatch(/normal plus rank .* \|\|V \(Lambda - P P\*\) V\* - A\|\| = \d\.\de-1[4-9]/);
    sameKernel(system, found, "bilinear", 1e-12);
    const held = find(system, "auto", "zoh");
    expect(held.system).toBe(system);
    expect(held.note).toMatch(new RegExp(`not normal.*but A is normal plus rank ${rank}, which zoh does not keep`));
  });

  test.each([64, 256])("legs, legt and fourier at N = %i are rebuilt to 1e-13", (n) => {
    for (const name of ["legs", "legt", "fourier"]) {
      const found = normalPlusLowRank(basisOf(name, n).A, 2);
      expect(typeof found === "string" ? found : found.residual).toBeLessThan(1e-13);
    }
  });

  test("legs and legt are never diagonalised, asked for or not; the message has their cond(V)", () => {
    for (const [name, condition] of [
      ["legs", /cond\(V\) = 7\.7e\+4/],
      ["legt", /cond\(V\) = 2\.8e\+3/],
    ] as const) {
      const system = systemOf(basisOf(name, 8).A, random(7, name));
      expect(find(system, "auto", "zoh").system.structure).toBe("dense");
      expect(() => find(system, "diagonal", "zoh")).toThrowError(
        expect.objectContaining({ code: "structure-refused", message: expect.stringMatching(condition) }),
      );
    }
    for (const n of [16, 64])
      for (const name of ["legs", "legt"])
        expect(() => find(systemOf(basisOf(name, n).A, random(8, name)), "diagonal", "zoh")).toThrowError(/cost accuracy/);
  });

  test("fourier has well-conditioned eigenvectors: cond 41 at N = 64, diagonal where asked for", () => {
    const { A } = basisOf("fourier", 64);
    expect(Math.round(generalEigen(A).condition)).toBe(41);
    const system = systemOf(A, random(9, "fourier"), 0.01);
    const found = find(system, "diagonal", "zoh");
    expect(found.system.structure).toBe("diagonal");
    expect(found.note).toMatch(/not orthogonal.*cond\(V\) = 4\.1e\+1/);
    sameKernel(system, found, "zoh", 1e-12);
  });
});

interface Kernels {
  readonly kind: "dplr" | "diag";
  readonly init: string;
  readonly N: number;
  readonly lambda: GoldenComplex;
  readonly P: GoldenComplex<number[][]>;
  readonly B: GoldenComplex;
  readonly C: GoldenComplex;
  readonly results: readonly { dt: number; method: string; K: number[] }[];
}

describe("golden kernels of normal plus low rank, their matrices given as dense real ones, to 1e-11 of their scale", () => {
  const cases = ["kernels.json", "kernels_n32.json"].flatMap((file) => goldenCases<Kernels>(file)).filter((c) => c.kind === "dplr");
  test.each(cases.map((c) => [`${c.init} N=${c.N}`, c] as const))("%s", (_name, c) => {
    const P = c.P.re.map((re, r) => toComplex({ re, im: c.P.im[r] ?? [] }));
    const { A, B, C } = realForm(toComplex(c.lambda), P, toComplex(c.B), toComplex(c.C));
    for (const { dt, method, K } of c.results) {
      const { system } = find(siso(A, B, C, 0, dt), method === "bilinear" ? "dplr" : "auto", method);
      expect(system.structure).toBe(method === "bilinear" ? "dplr" : "dense");
      expect(relativeError(kernelOf(system, discretizationNamed(method), K.length), K)).toBeLessThan(1e-11);
    }
  });
});

describe("a form that is asked for", () => {
  const g = random(10, "asked");
  const normal = systemOf(normalMatrix(randomPoles(3, 1, g), g), g);

  test("dense stays dense, even where A is normal", () => {
    expect(find(normal, "dense", "zoh")).toEqual({ system: normal, note: "A stays dense, as asked" });
  });

  test("dplr of a normal matrix has a row of zeros, and its kernel", () => {
    const found = find(normal, "dplr", "bilinear");
    expect(found.system).toMatchObject({ structure: "dplr", rank: 1, states: 4 });
    sameKernel(normal, found, "bilinear", 1e-12);
  });

  test("dplr is given where it does not pay, and refused where the rule or the matrix does not have it", () => {
    const small = systemOf(basisOf("legs", 4).A, g);
    expect(find(small, "auto", "bilinear").system.structure).toBe("dense");
    sameKernel(small, find(small, "dplr", "bilinear"), "bilinear", 1e-12);
    expect(() => find(small, "dplr", "zoh")).toThrowError(expect.objectContaining({ code: "structure-refused" }));
    expect(() => find(systemOf(randomMatrix(9, g), g), "dplr", "bilinear")).toThrowError(/no low-rank part|indefinite|too few/);
  });

  test("diagonal is given by eigenvectors that are not orthogonal but well conditioned, real and complex ones", () => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 1, max: 5 }), fc.nat(3), (seed, pairs, reals) => {
        const h = random(seed, "similar");
        const M = normalMatrix(randomPoles(pairs, reals, h), h);
        const E = randomMatrix(M.rows, h);
        const system = systemOf(addScaled(M, E, (0.01 * frobenius(M)) / frobenius(E)), h);
        const { condition } = generalEigen(matrix(M.rows, M.rows, (i, j) => system.A[i * M.rows + j] ?? NaN));
        if (condition > 100) expect(() => find(system, "diagonal", "zoh")).toThrowError(/cost accuracy/);
        else sameKernel(system, find(system, "diagonal", "zoh"), "zoh", 1e-11);
      }),
      { numRuns: 40 },
    );
  });

  test("a defective matrix has no eigenvectors", () => {
    const jordan = matrix(3, 3, (i, j) => (i === j ? -1 : j === i + 1 ? 1 : 0));
    expect(() => find(systemOf(jordan, g), "diagonal", "zoh")).toThrowError(/not made diagonal/);
  });
});

describe("in a model, in every mode of the device", () => {
  const of = (discretize: Discretization, options: Omit<DenseOptions, "state" | "name">, form: string, states: number): void =>
    test(`dense ${options.init ?? "legs"}, ${discretize}: ${form}`, async () => {
      const { graph } = model("m", { u: sequence(2) }, ({ u }) => ({ y: dense(u, { state: 16, name: "", discretize, ...options }) }));
      const context = { seed: 3, note: () => undefined, warn: (message: string) => expect.fail(message) };
      const started = init.run({ graph, constants: new Map() }, context);
      const u: Constant = { shape: [2, 60, 2], data: vector(240, random(12, "u").normal) };
      const inputs = new Map([["u", u]]);
      const { outputs } = interpret(started.graph, started.constants, inputs, { systems: evaluateSystem });
      const node = structure.run(started, context).graph.nodes.find((n) => n.op === "ssm");
      expect(node?.op === "ssm" ? node.form : undefined).toMatchObject({ stage: "continuous", structure: form, state: states });
      const c = { graph, constants: started.constants, inputs, outputs };
      expectMeaning(c, 1e-11);
      await expectOnDevice(c, 1e-5, form === "diagonal" ? ["convolution", "scan", "recurrence"] : ["convolution", "recurrence"]);
    });
  of("bilinear", { init: "legs" }, "dplr", 8);
  of("bilinear", { init: "legt", window: 3 }, "dplr", 8);
  of("backward-euler", { init: "fourier" }, "dplr", 8);
  of("bilinear", { init: "lmu" }, "dplr", 8);
  of("gbt(0.7)", { init: "glagt", alpha: 0.5, beta: 0.3 }, "dplr", 8);
  of("bilinear", { init: "legs", structure: "dense" }, "dense", 16);
  of("zoh", { init: "fourier", structure: "diagonal" }, "diagonal", 9);
});

test("an ssm of one's own matrices has the form it asks for, and says where it cannot", () => {
  const spring = (form: Structure | undefined, damping: number): Structured["system"]["structure"] => {
    const spec = { state: 2, delta: 0.1, ...(form === undefined ? {} : { structure: form }) };
    const layer = ssm("spring", spec, () => ({
      A: mat([
        [0, 1],
        [-4, -damping],
      ]),
      B: mat([[0], [1]]),
      C: mat([[1, 0]]),
    }));
    const { graph } = model("m", { u: sequence(1) }, ({ u }) => ({ y: layer(u) }));
    const context = { seed: 1, note: () => undefined, warn: (message: string) => expect.fail(message) };
    const node = structure.run({ graph, constants: new Map() }, context).graph.nodes.find((n) => n.op === "ssm");
    if (node?.op !== "ssm" || node.form.stage !== "continuous") throw new Error("no system");
    return node.form.structure;
  };
  expect(spring(undefined, 1)).toBe("dense");
  expect(spring("diagonal", 1)).toBe("diagonal");
  expect(spring("dense", 1)).toBe("dense");
  // Critically damped: both poles at -2, one eigenvector.
  expect(() => spring("diagonal", 4)).toThrowError(
    expect.objectContaining({
      code: "structure-refused",
      message: expect.stringMatching(/not made diagonal.*cond\(V\)/),
    }),
  );
});

test("groups with matrices of their own: ranks and numbers of states are padded, each keeps its kernel", () => {
  const g = random(11, "groups");
  const poles = (pairs: number, reals: number): Matrix =>
    normalMatrix([...randomPoles(pairs, 0, g), ...Array.from({ length: reals }, () => complex(-0.4))], g);
  const matrices = [less(poles(8, 0), 1, g), less(poles(7, 2), 2, g), poles(8, 0), less(poles(8, 0), 1, g)];
  const singles = matrices.map((A) => systemOf(A, g));
  const join = (key: "A" | "B" | "C" | "D" | "delta"): Float64Array => Float64Array.from(singles.flatMap((s) => [...s[key]]));
  const [first] = singles;
  if (first === undefined) throw new Error("no systems");
  const all: DenseSystem = { ...first, groups: 4, A: join("A"), B: join("B"), C: join("C"), D: join("D"), delta: join("delta") };
  const found = find(all, "auto", "bilinear");
  expect(found.system).toMatchObject({ structure: "dplr", rank: 2, channels: 4 });
  const rule = discretizationNamed("bilinear");
  singles.forEach((s, h) => expect(relativeError(kernelOf(found.system, rule, 40, h), kernelOf(s, rule, 40))).toBeLessThan(1e-10));
});
