/** Canonical half-DPLR forms of bases and the starts of S4 and S4D: golden values, rebuilding, options. */
import { describe, expect, test } from "vitest";
import { abs, complex, conj, mul } from "../../src/math/complex.ts";
import { entry } from "../../src/math/matrix.ts";
import { random } from "../../src/math/random.ts";
import { basisOf } from "../../src/ssm/bases.ts";
import { diagonalPoles, dplrInit, dplrInits, type DplrOptions, type HalfDplr, nplr } from "../../src/ssm/nplr.ts";
import { flatten, goldenCases, type GoldenComplex, relativeError, toComplex } from "../math/golden.ts";

interface GoldenDplr {
  readonly measure: string;
  readonly N: number;
  readonly rank: number;
  readonly lambda: GoldenComplex;
  readonly P: GoldenComplex<number[][]>;
  readonly B: GoldenComplex;
  readonly V?: GoldenComplex<number[][]>;
}

const worst = (a: readonly number[], b: readonly number[]): number => Math.max(...b.map((x, i) => Math.abs(x - (a[i] ?? NaN))));

describe("golden half forms: poles to 1e-12 of the largest, B, P and V to 1e-11", () => {
  const cases = goldenCases<GoldenDplr>("dplr.json");
  test.each(cases.map((c) => [`${c.measure} N=${c.N}`, c] as const))("%s", (_name, c) => {
    const made = nplr(c.measure, c.N, c.rank);
    expect(relativeError(flatten(made.lambda), flatten(toComplex(c.lambda)))).toBeLessThan(1e-12);
    expect(worst(flatten(made.B), flatten(toComplex(c.B)))).toBeLessThan(1e-11);
    const P = c.P.re.flatMap((re, r) => flatten(toComplex({ re, im: c.P.im[r] ?? [] })));
    expect(worst(made.P.flatMap(flatten), P)).toBeLessThan(1e-11);
    c.V?.re.forEach((re, i) => {
      const row = flatten(toComplex({ re, im: c.V?.im[i] ?? [] }));
      expect(worst(flatten((made.V ?? []).map((v) => v[i] ?? complex(NaN))), row)).toBeLessThan(1e-11);
    });
  });
});

/** The largest entry of |2 Re(V Lambda V^*) - P P^T - A|, of the size of A: the real matrix rebuilt from half of its modes. */
function rebuildError(name: string, N: number, rank: number): number {
  const { A, lowRank } = basisOf(name, N);
  const { lambda, V = [] } = nplr(name, N, rank);
  let [error, size] = [0, 0];
  for (let i = 0; i < N; i++)
    for (let j = 0; j < N; j++) {
      const low = lowRank?.P.reduce((sum, p) => sum + (p[i] ?? NaN) * (p[j] ?? NaN), 0) ?? NaN;
      const normal = V.reduce((sum, v, n) => {
        const outer = mul(v[i] ?? complex(NaN), conj(v[j] ?? complex(NaN)));
        return sum + 2 * mul(lambda[n] ?? complex(NaN), outer).re;
      }, 0);
      error = Math.max(error, Math.abs(normal - low - entry(A, i, j)));
      size = Math.max(size, Math.abs(entry(A, i, j)));
    }
  return error / Math.max(size, 1e-300);
}

test.each([
  ["legs", 1],
  ["legsd", 0],
  ["legt", 2],
  ["lagt", 1],
  ["fourier", 1],
  ["fourier2", 1],
  ["foud", 0],
  ["fru", 0],
  ["fourier_complex", 2],
] as const)("%s is rebuilt from its half form to 1e-13, N to 64", (name, rank) => {
  for (const N of [2, 4, 10, 64]) expect(rebuildError(name, N, rank)).toBeLessThan(1e-13);
});

test("LegS at N = 64 and 256: the largest and smallest frequency of 50 digits, to 1e-13 of the largest; P = B / sqrt 2", () => {
  const { lambda, P, B } = nplr("legs", 64, 1);
  expect(Math.abs((lambda[0]?.im ?? NaN) + 1303.2738429811964)).toBeLessThan(1.3e-10);
  expect(Math.abs((lambda[31]?.im ?? NaN) + 0.2638569311131158)).toBeLessThan(1.3e-10);
  P[0]?.forEach((p, n) => expect(abs(complex(p.re - (B[n]?.re ?? NaN) * Math.SQRT1_2, p.im))).toBeLessThan(1e-11));
});

test("LagT has the eigenvalues i/2 cot((2j - 1) pi / 2N), N = 64 and 256", () => {
  for (const N of [64, 256]) {
    const { lambda } = nplr("lagt", N, 1);
    const want = Array.from({ length: N / 2 }, (_, j) => -0.5 / Math.tan(((2 * j + 1) * Math.PI) / (2 * N)));
    expect(
      relativeError(
        lambda.map((z) => z.im),
        want,
      ),
    ).toBeLessThan(1e-13);
  }
});

test("rows of P beyond the basis' rank are zero", () => {
  expect(
    nplr("legs", 8, 3)
      .P.slice(1)
      .flat()
      .every((p) => abs(p) === 0),
  ).toBe(true);
});

describe("starts of S4D", () => {
  const cases = goldenCases<{ kind: string; N: number; lambda: GoldenComplex }>("s4d_init.json");
  test.each(cases.map((c) => [`${c.kind} N=${c.N}`, c] as const))("%s to 1e-12", (_name, { kind, N, lambda }) => {
    expect(relativeError(flatten(diagonalPoles(kind, N, random(1, kind))), flatten(toComplex(lambda)))).toBeLessThan(1e-12);
  });

  test("scales multiply the parts, random parts have their ranges, `random` is log-normal", () => {
    const poles = (rule: string, options: DplrOptions = {}): HalfDplr["lambda"] => diagonalPoles(rule, 64, random(2, rule), options);
    expect(poles("lin", { realScale: 2, imagScale: 0.5 })[3]).toEqual(complex(-1, -1.5 * Math.PI));
    const drawn = poles("real", { realRandom: true, imagRandom: true });
    expect(drawn.every((z) => z.re <= 0 && z.re > -32 && z.im <= 0 && z.im > -32)).toBe(true);
    expect(Math.min(...drawn.map((z) => z.re))).toBeLessThan(-16);
    expect(poles("lin", { realRandom: true }).every((z) => z.re <= 0 && z.re > -1)).toBe(true);
    expect(new Set(poles("random").map((z) => z.im)).size).toBe(32);
  });
});

describe("starts of S4", () => {
  const start = (name: string, options: DplrOptions = {}, rank = 1): HalfDplr => dplrInit(name, 16, rank, options, random(3, name));

  test("diag-X has P = 0, dplr-X a complex normal P of the scale asked for", () => {
    expect(
      start("diag-inv")
        .P.flat()
        .every((p) => abs(p) === 0),
    ).toBe(true);
    const wide = dplrInit("dplr-lin", 2000, 2, { scaleP: 3 }, random(4, "P")).P.flat();
    expect(wide.length).toBe(2000);
    expect(Math.sqrt(wide.reduce((sum, p) => sum + abs(p) ** 2, 0) / wide.length)).toBeCloseTo(3, 0);
    expect(start("dplr-lin").lambda).toEqual(start("diag-lin").lambda);
  });

  test("B: constant, alternating, around the unit circle, LegS, scaled, clipped, normalized", () => {
    const B = (name: string, options: DplrOptions = {}): HalfDplr["B"] => start(name, options).B;
    expect(B("diag-lin").every((b) => b.re === 1 && b.im === 0)).toBe(true);
    expect(B("diag-lin", { B: "alternating" }).map((b) => b.re)).toEqual([1, -1, 1, -1, 1, -1, 1, -1]);
    expect(
      abs(complex((B("diag-lin", { B: "unit-cw" })[4]?.re ?? NaN) - 0, (B("diag-lin", { B: "unit-cw" })[4]?.im ?? NaN) + 1)),
    ).toBeLessThan(1e-15);
    expect(B("diag-lin", { B: "unit-ccw" })[4]?.im).toBeCloseTo(1, 15);
    expect(B("diag-legs")).toEqual(start("legs").B);
    expect(B("diag-legs", { B: "constant", scaleB: 2 }).every((b) => b.re === 2)).toBe(true);
    expect(Math.max(...B("legs", { clipB: 2 }).map(abs))).toBeLessThanOrEqual(2 * (1 + 1e-15));
    expect(Math.max(...B("legs").map(abs))).toBeGreaterThan(3);
    const { lambda, B: unit } = start("diag-inv", { normalize: true, B: "random" });
    expect(unit.reduce((sum, b, n) => sum + 2 * (abs(b) / abs(lambda[n] ?? complex(NaN))) ** 2, 0)).toBeCloseTo(1, 13);
  });

  test("composite names divide the systems in their order", () => {
    const of = (name: string, count: number): readonly HalfDplr[] => dplrInits(name, 8, count, 2, {}, random(6, name));
    const [legs, fourier] = [dplrInit("legs", 8, 2, {}, random(0, "")), dplrInit("fourier", 8, 2, {}, random(0, ""))];
    const [inv, lin] = [dplrInit("diag-inv", 8, 2, {}, random(0, "")), dplrInit("diag-lin", 8, 2, {}, random(0, ""))];
    expect(of("hippo", 4)).toEqual([legs, legs, fourier, fourier]);
    expect(of("diag", 2)).toEqual([inv, lin]);
    expect(of("all", 4)).toEqual([legs, fourier, inv, lin]);
    expect(of("legs", 3)).toEqual([legs, legs, legs]);
    expect(() => of("all", 6)).toThrowError(/6 systems cannot be divided/);
  });

  test("refusals: odd N, a rank below the basis', a basis without a low-rank form, unknown names", () => {
    const code = (name: string, N: number, rank: number, message: RegExp): void =>
      expect(() => dplrInit(name, N, rank, {}, random(1, ""))).toThrowError(message);
    code("legs", 7, 1, /cannot be odd/);
    code("legt", 8, 1, /rank 2, not 1/);
    code("lmu", 8, 3, /not known as normal plus low rank/);
    code("diag-tustin", 8, 1, /no rule "tustin"/);
    code("hippos", 8, 1, /no basis "hippos"/);
  });
});
