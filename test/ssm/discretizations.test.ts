/** Every discretization: golden values, both of its forms, its order, and what it does to poles. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { DiscreteSystem } from "../../src/ir/interpret.ts";
import { abs, complex, type Complex, complexAt, conj, exp, mul, scale, sub } from "../../src/math/complex.ts";
import { identity, type Matrix, matrix, matrixOf, multiply } from "../../src/math/matrix.ts";
import { random } from "../../src/math/random.ts";
import { solve } from "../../src/math/solve.ts";
import type { Discretization } from "../../src/ssm/discretization.ts";
import { discretizationNamed, discretizations } from "../../src/ssm/discretizations.ts";
import { generalizedBilinear } from "../../src/ssm/discretizations/generalized-bilinear.ts";
import { asynchronous } from "../../src/ssm/discretizations/async.ts";
import { dirac } from "../../src/ssm/discretizations/dirac.ts";
import { zoh } from "../../src/ssm/discretizations/zoh.ts";
import { discretizeSystem } from "../../src/ssm/discretize.ts";
import { flatten, goldenCases, type GoldenComplex, relativeError, toComplex } from "../math/golden.ts";
import { randomMatrix, vector } from "../math/systems.ts";
import { dplr, kernelOf, siso } from "./runs.ts";

const all: readonly Discretization[] = [...discretizations, generalizedBilinear(0.25)];
/** Poles of the left half plane, |lambda| from 1e-3 to 100. */
const poles = fc
  .record({
    size: fc.double({ min: -3, max: 2, noNaN: true }),
    angle: fc.double({ min: Math.PI / 2, max: (3 * Math.PI) / 2, noNaN: true }),
  })
  .map(({ size, angle }) => complex(-(10 ** size) * Math.abs(Math.cos(angle)), 10 ** size * Math.sin(angle)));
const steps = fc.double({ min: -4, max: 0, noNaN: true }).map((x) => 10 ** x);

interface GoldenStep {
  readonly dt: number;
  readonly method: string;
}
type Diagonal = GoldenStep & { Abar_diag: GoldenComplex; Bbar: GoldenComplex };
type Full = GoldenStep & { Abar_full: GoldenComplex<number[][]>; Bbar_full: GoldenComplex };
type Real = GoldenStep & { Abar: number[][]; Bbar: number[] };
type GoldenCase =
  | { kind: "diag"; lambda: GoldenComplex; B: GoldenComplex; results: Diagonal[] }
  | { kind: "dplr"; lambda: GoldenComplex; P: GoldenComplex<number[][]>; B: GoldenComplex; results: Full[] }
  | { kind: "dense-real"; A: number[][]; B: number[]; results: Real[] };

const golden = goldenCases<GoldenCase>("disc.json");
/** The golden names of methods. */
const named: Readonly<Record<string, string>> = {
  zoh: "zoh",
  bilinear: "bilinear",
  euler: "euler",
  backward_euler: "backward-euler",
  "gbt0.25": "gbt(0.25)",
  dirac: "dirac",
  async: "async",
};
const covered = <R extends GoldenStep>(results: readonly R[]): [R, Discretization][] =>
  results.flatMap((r) => (named[r.method] === undefined ? [] : [[r, discretizationNamed(named[r.method] ?? "")] as [R, Discretization]]));

interface Rows {
  readonly abar: readonly Complex[];
  readonly bbar: readonly Complex[];
}

/** Of a real system over (Re x, Im x): what it does to x and to its conjugate, [h 2h]. */
function realRows(made: DiscreteSystem, h: number): Rows {
  if (made.structure !== "dense") throw new Error("not dense");
  const at = (i: number, j: number): number => made.abar.data[i * 2 * h + j] ?? NaN;
  /** With e = (1, i): Abar acts on x as (X - i Y) / 2 and on conj(x) as (X + i Y) / 2. */
  const abar = Array.from({ length: 2 * h * h }, (_, n): Complex => {
    const [i, j] = [Math.floor(n / (2 * h)), n % (2 * h)];
    const [k, sign] = [j % h, j < h ? -1 : 1];
    const [X, Y] = [complex(at(i, k), at(h + i, k)), complex(at(i, h + k), at(h + i, h + k))];
    return scale(sub(X, mul(complex(0, -sign), Y)), 0.5);
  });
  return { abar, bbar: Array.from({ length: h }, (_, i) => complex(made.bbar.data[i] ?? NaN, made.bbar.data[h + i] ?? NaN)) };
}

/** Of diag(abar) - sum_r p_r Re(q_r x), the same. */
function lowRankRows(made: Extract<DiscreteSystem, { structure: "dplr" }>, h: number): Rows {
  const [, rank = 0] = made.p.shape;
  const abar = Array.from({ length: 2 * h * h }, (_, n): Complex => {
    const [i, j] = [Math.floor(n / (2 * h)), n % (2 * h)];
    let value = i === j ? complexAt(made.abar.data, i) : complex(0);
    for (let r = 0; r < rank; r++) {
      const q = complexAt(made.q.data, r * h + (j % h));
      value = sub(value, scale(mul(complexAt(made.p.data, r * h + i), j < h ? q : conj(q)), 0.5));
    }
    return value;
  });
  return { abar, bbar: Array.from({ length: h }, (_, i) => complexAt(made.bbar.data, i)) };
}

describe("golden steps, dt from 1e-4 to 1, to 1e-12", () => {
  test("diagonal", () => {
    let seen = 0;
    for (const c of golden) {
      if (c.kind !== "diag") continue;
      for (const [r, rule] of covered(c.results)) {
        const made = toComplex(c.lambda).map((z) => rule.scalar(z, r.dt));
        const B = toComplex(c.B);
        expect(relativeError(flatten(made.map((m) => m.abar)), flatten(toComplex(r.Abar_diag)))).toBeLessThan(1e-12);
        expect(relativeError(flatten(made.map((m, i) => mul(m.bbar, B[i] ?? complex(NaN)))), flatten(toComplex(r.Bbar)))).toBeLessThan(
          1e-12,
        );
        seen++;
      }
    }
    expect(seen).toBe(4 * 5 * 7);
  });

  test("dense real", () => {
    let seen = 0;
    for (const c of golden) {
      if (c.kind !== "dense-real") continue;
      const n = c.B.length;
      for (const [r, rule] of covered(c.results)) {
        const made = rule.dense(matrixOf(n, n, Float64Array.from(c.A.flat())), matrixOf(n, 1, Float64Array.from(c.B)), r.dt);
        expect(relativeError(made?.abar.data ?? [], r.Abar.flat())).toBeLessThan(1e-12);
        expect(relativeError(made?.bbar.data ?? [], r.Bbar)).toBeLessThan(1e-12);
        seen++;
      }
    }
    expect(seen).toBe(3 * 5 * 7);
  });

  test("diagonal plus low rank: the top half of the full matrix over the states and their conjugates", () => {
    let seen = 0;
    for (const c of golden) {
      if (c.kind !== "dplr") continue;
      const [lambda, B] = [toComplex(c.lambda), toComplex(c.B)];
      const h = lambda.length;
      const P = c.P.re.map((re, r) => toComplex({ re, im: c.P.im[r] ?? [] }));
      for (const [r, rule] of covered(c.results)) {
        const made = discretizeSystem(dplr(lambda, P, B, B, r.dt), rule);
        expect(made.structure).toBe(rule.alpha === undefined ? "dense" : "dplr");
        const got = made.structure === "dplr" ? lowRankRows(made, h) : realRows(made, h);
        const want = Array.from({ length: h }, (_, i) => toComplex({ re: r.Abar_full.re[i] ?? [], im: r.Abar_full.im[i] ?? [] })).flat();
        expect(relativeError(flatten(got.abar), flatten(want))).toBeLessThan(1e-12);
        expect(relativeError(flatten(got.bbar), flatten(toComplex(r.Bbar_full).slice(0, h)))).toBeLessThan(1e-12);
        seen++;
      }
    }
    expect(seen).toBe(3 * 5 * 7);
  });
});

/** (T A T^-1, T B, C T^-1) */
function turn(A: Matrix, B: Float64Array, C: Float64Array, T: Matrix): { A: Matrix; B: Float64Array; C: Float64Array } {
  const inverse = solve(T, identity(T.rows)) ?? T;
  const column = matrixOf(B.length, 1, B);
  return { A: multiply(multiply(T, A), inverse), B: multiply(T, column).data, C: multiply(matrixOf(1, C.length, C), inverse).data };
}

describe.each(all.map((rule) => [rule.name, rule] as const))("%s", (_name, rule) => {
  test("its dense form on a rotation block is its scalar form on the pole", () => {
    fc.assert(
      fc.property(poles, steps, (lambda, delta) => {
        const { abar, bbar } = rule.scalar(lambda, delta);
        const made = rule.dense(
          matrix(2, 2, (i, j) => (i === j ? lambda.re : i < j ? -lambda.im : lambda.im)),
          matrixOf(2, 1, Float64Array.of(1, 0)),
          delta,
        );
        const size = Math.max(1, abs(scale(lambda, delta)));
        expect(relativeError(made?.abar.data ?? [], [abar.re, -abar.im, abar.im, abar.re])).toBeLessThan(1e-13 * size);
        expect(relativeError(made?.bbar.data ?? [], [bbar.re, bbar.im])).toBeLessThan(1e-13 * size);
      }),
    );
  });

  test(`approximates e^(lambda delta) to order ${rule.order}, and the integral of its input, held or an impulse, to the same`, () => {
    fc.assert(
      fc.property(poles, (pole) => {
        const lambda = scale(pole, 1 / abs(pole));
        const at = (delta: number): [number, number] => {
          const { abar, bbar } = rule.scalar(lambda, delta);
          const input = rule.events === true ? rule.scalar(lambda, 1).bbar : zoh.scalar(lambda, delta).bbar;
          return [abs(sub(abar, exp(scale(lambda, delta)))), abs(sub(bbar, input)) / delta];
        };
        const [coarse, fine] = [at(0.02), at(0.01)];
        if (rule.order === Infinity) expect(Math.max(...coarse, ...fine)).toBeLessThan(1e-15);
        else {
          expect(Math.abs(Math.log2(coarse[0] / fine[0]) - (rule.order + 1))).toBeLessThan(0.1);
          expect(Math.abs(Math.log2(coarse[1] / fine[1]) - rule.order)).toBeLessThan(0.1);
        }
      }),
    );
  });

  test("another basis of the state leaves the kernel unchanged", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1e9 }), fc.integer({ min: 1, max: 6 }), steps, (seed, n, delta) => {
        const g = random(seed, "similar");
        const A = matrix(n, n, (i, j) => g.normal() / n - (i === j ? 1.5 : 0));
        const [B, C] = [vector(n, g.normal), vector(n, g.normal)];
        const R = randomMatrix(n, g);
        const turned = turn(
          A,
          B,
          C,
          matrix(n, n, (i, j) => (i === j ? 1 : (0.3 * (R.data[i * n + j] ?? 0)) / n)),
        );
        expect(
          relativeError(kernelOf(siso(turned.A, turned.B, turned.C, 0.5, delta), rule, 40), kernelOf(siso(A, B, C, 0.5, delta), rule, 40)),
        ).toBeLessThan(1e-11);
      }),
      { numRuns: 30 },
    );
  });
});

describe("poles", () => {
  const stays = discretizations.filter((d) => d.name !== "euler");
  test.each(stays.map((rule) => [rule.name, rule] as const))("%s keeps a stable pole stable", (_name, rule) => {
    fc.assert(
      fc.property(poles, steps, (lambda, delta) => {
        expect(abs(rule.scalar(lambda, delta).abar)).toBeLessThanOrEqual(1 + 1e-15);
      }),
    );
  });

  test("zoh over two steps is zoh over a step of twice the size, for a held input too", () => {
    fc.assert(
      fc.property(poles, steps, (lambda, delta) => {
        const [one, two] = [zoh.scalar(lambda, delta), zoh.scalar(lambda, 2 * delta)];
        const size = Math.max(1, abs(scale(lambda, delta)));
        expect(abs(sub(mul(one.abar, one.abar), two.abar))).toBeLessThan(1e-15 * size);
        expect(abs(sub(mul(one.bbar, complex(1 + one.abar.re, one.abar.im)), two.bbar))).toBeLessThan(1e-14 * delta);
      }),
    );
  });
});

describe("events", () => {
  test("dirac lets an event in whole; async holds it for one step, and for a width as zoh does", () => {
    fc.assert(
      fc.property(poles, steps, steps, (lambda, delta, width) => {
        expect(dirac.scalar(lambda, delta).bbar).toEqual(complex(1));
        const rule = discretizationNamed(`async(${width})`);
        const made = rule.scalar(lambda, delta);
        const unit = zoh.scalar(scale(lambda, width), 1);
        expect(abs(sub(made.bbar, scale(unit.bbar, width)))).toBeLessThan(1e-15 * width);
        expect(abs(sub(made.abar, exp(scale(lambda, width * delta))))).toBeLessThan(1e-14 * Math.max(1, abs(lambda)));
        expect(rule.scalar(lambda, 1)).toEqual(zoh.scalar(lambda, width));
      }),
    );
  });

  test("a system of normal plus low rank, with step sizes of its own for each state, has the same events at every step size", () => {
    const g = random(8, "events");
    const pack = (n: number): Float64Array => vector(2 * n, g.normal);
    const A = vector(6, g.normal).map((x, i) => (i % 2 === 0 ? -Math.abs(x) : x));
    const system = {
      structure: "dplr",
      channels: 1,
      states: 3,
      rank: 1,
      A,
      P: pack(3),
      B: pack(3),
      C: pack(3),
      D: vector(1, g.normal),
    } as const;
    for (const rule of [dirac, asynchronous(0.3)]) {
      const at = (delta: readonly number[]): ReturnType<typeof discretizeSystem> =>
        discretizeSystem({ ...system, delta: Float64Array.from(delta) }, rule);
      const [unit, slow, uneven] = [at([1, 1, 1]), at([2, 2, 2]), at([0.1, 1, 3])];
      if (unit.structure !== "dense" || slow.structure !== "dense" || uneven.structure !== "dense") throw new Error("no dense form");
      expect(slow.bbar.data).toEqual(unit.bbar.data);
      expect(uneven.bbar.data).toEqual(unit.bbar.data);
      const [one, two] = [unit, slow].map((s) => matrixOf(6, 6, s.abar.data));
      expect(relativeError(two?.data ?? [], multiply(one ?? identity(6), one ?? identity(6)).data)).toBeLessThan(1e-13);
    }
  });
});

test("a name that is no discretization is refused with those that are", () => {
  expect(() => discretizationNamed("tustin")).toThrowError(
    expect.objectContaining({ code: "unknown-discretization", fix: expect.stringContaining("bilinear") }),
  );
  for (const name of ["gbt(2)", "async(0)", "async(x)"])
    expect(() => discretizationNamed(name)).toThrowError(expect.objectContaining({ code: "unknown-discretization" }));
  expect(discretizationNamed("gbt(0.25)").scalar(complex(-1), 1).abar.re).toBeCloseTo(0.25 / 1.25, 15);
});
