/** Laws of systems of normal plus low rank in float64, on random ones: invariants that hold whatever the parameters are. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Constant, SsmForm } from "../../src/ir/graph.ts";
import { abs, complex, type Complex, complexAt, mul } from "../../src/math/complex.ts";
import { addScaled, identity, matrixOf, multiply, oneNorm, transpose } from "../../src/math/matrix.ts";
import { random } from "../../src/math/random.ts";
import { solve } from "../../src/math/solve.ts";
import { discretizationNamed } from "../../src/ssm/discretizations.ts";
import { discretizeSystem } from "../../src/ssm/discretize.ts";
import { familySystem } from "../../src/ssm/evaluate.ts";
import { type ContinuousSystem, denseForm } from "../../src/ssm/system.ts";
import { relativeError } from "../math/golden.ts";
import { diagonal, dplr, impulse, kernelOf, runChannel, runDplr } from "./runs.ts";

const length = 60;
const rules = fc.constantFrom("bilinear", "backward-euler", "gbt(0.75)", "zoh").map((name) => discretizationNamed(name));
const bilinear = discretizationNamed("bilinear");

/** The parts of a random stable system; |lambda| up to 30. */
interface Parts {
  readonly A: readonly Complex[];
  readonly P: readonly (readonly Complex[])[];
  readonly B: readonly Complex[];
  readonly C: readonly Complex[];
  readonly delta: number;
  readonly seed: number;
}
const systems: fc.Arbitrary<Parts> = fc
  .record({
    seed: fc.nat(1e9),
    states: fc.integer({ min: 1, max: 8 }),
    rank: fc.integer({ min: 0, max: 3 }),
    octaves: fc.integer({ min: -8, max: 0 }),
  })
  .map(({ seed, states, rank, octaves }) => {
    const g = random(seed, "dplr");
    const vector = (): Complex[] => Array.from({ length: states }, () => complex(g.normal(), g.normal()));
    const A = Array.from({ length: states }, () => complex(-2 * g.uniform(), 30 * (2 * g.uniform() - 1)));
    return { A, P: Array.from({ length: rank }, vector), B: vector(), C: vector(), delta: 2 ** octaves, seed };
  });
const built = ({ A, P, B, C, delta }: Parts): ContinuousSystem => dplr(A, P, B, C, delta);
const apart = (a: ContinuousSystem, b: ContinuousSystem, rule = bilinear): number =>
  relativeError(kernelOf(a, rule, length), kernelOf(b, rule, length));

describe("the kernel is the same", () => {
  test("with another phase of every stored state", () =>
    fc.assert(
      fc.property(systems, rules, (s, rule) => {
        const g = random(s.seed, "phase");
        const phases = s.A.map(() => 2 * Math.PI * g.uniform());
        const turned = (row: readonly Complex[], sign: number): Complex[] =>
          row.map((z, i) => mul(z, complex(Math.cos(phases[i] ?? NaN), sign * Math.sin(phases[i] ?? NaN))));
        const other = { ...s, P: s.P.map((p) => turned(p, 1)), B: turned(s.B, 1), C: turned(s.C, -1) };
        expect(apart(built(other), built(s), rule)).toBeLessThan(1e-11);
      }),
      { numRuns: 40 },
    ));

  test("with the states in another order", () =>
    fc.assert(
      fc.property(systems, rules, (s, rule) => {
        const reversed = { ...s, A: s.A.toReversed(), P: s.P.map((p) => p.toReversed()), B: s.B.toReversed(), C: s.C.toReversed() };
        expect(apart(built(reversed), built(s), rule)).toBeLessThan(1e-11);
      }),
      { numRuns: 40 },
    ));

  test("with rows of zeros more in P; with no other rows it is that of a diagonal system", () =>
    fc.assert(
      fc.property(systems, rules, (s, rule) => {
        const zeros = s.A.map(() => complex(0));
        expect(apart(built({ ...s, P: [zeros, ...s.P, zeros] }), built(s), rule)).toBeLessThan(1e-11);
        expect(apart(built({ ...s, P: [zeros] }), diagonal(s.A, s.B, s.C, s.delta), rule)).toBeLessThan(1e-12);
      }),
      { numRuns: 40 },
    ));

  test("as that of the dense system it stands for", () =>
    fc.assert(
      fc.property(systems, rules, (s, rule) => {
        const system = dplr(s.A, s.P, s.B, s.C, s.delta);
        expect(apart(system, denseForm(system), rule)).toBeLessThan(1e-11);
      }),
      { numRuns: 40 },
    ));
});

test("whatever the cuts, a sequence in pieces is the sequence", () =>
  fc.assert(
    fc.property(systems, fc.array(fc.integer({ min: 0, max: length }), { maxLength: 4 }), (s, cuts) => {
      const system = discretizeSystem(dplr(s.A, s.P, s.B, s.C, s.delta), bilinear);
      if (system.structure !== "dplr") throw new Error("not O(N R)");
      const g = random(s.seed, "u");
      const u = Array.from({ length }, g.normal);
      const whole = runDplr(system, 0, u);
      const places = [0, ...cuts.toSorted((a, b) => a - b), length];
      let state: Float64Array | undefined;
      const y = places.slice(1).flatMap((end, i) => {
        const piece = runDplr(system, 0, u.slice(places[i], end), state);
        state = piece.state;
        return piece.y;
      });
      expect(y).toEqual(whole.y);
      expect(state).toEqual(whole.state);
    }),
    { numRuns: 40 },
  ));

test("a rule that keeps stability lets no state grow: Lambda - P P^* is a contraction", () =>
  fc.assert(
    fc.property(systems, fc.constantFrom("bilinear", "backward-euler", "gbt(0.75)"), (s, rule) => {
      const system = discretizeSystem(dplr(s.A, s.P, s.B, s.C, s.delta), discretizationNamed(rule));
      if (system.structure !== "dplr") throw new Error("not O(N R)");
      const g = random(s.seed, "state");
      let state: Float64Array = Float64Array.from({ length: 2 * s.A.length }, g.normal);
      for (let t = 0; t < length; t++) {
        const next = runDplr(system, 0, [0], state).state;
        expect(Math.hypot(...next)).toBeLessThanOrEqual(Math.hypot(...state) * (1 + 1e-14));
        state = next;
      }
    }),
    { numRuns: 40 },
  ));

type FamilyForm = Extract<SsmForm, { stage: "family" }>;
const form = (state: number, options: FamilyForm["options"] = {}): FamilyForm => ({
  stage: "family",
  family: "s4",
  discretization: "bilinear",
  state,
  options: { real_transform: "none", dt_transform: "none", ...options },
});
const tensor = (data: ArrayLike<number>, ...shape: number[]): Constant => ({ shape, data: Float64Array.from(data) });
const flat = (...rows: readonly (readonly Complex[])[]): number[] => rows.flat().flatMap(({ re, im }) => [re, im]);

/** The arguments of an s4 node: S systems of one size, one row of C and one step size a feature. */
function operands(stored: readonly Parts[], C: readonly (readonly Complex[])[], deltas: readonly number[], lengthOfC = 0): Constant[] {
  const [S, G, n, R] = [stored.length, C.length, stored[0]?.A.length ?? 0, stored[0]?.P.length ?? 0];
  const rows = (f: (s: Parts) => readonly Complex[]): (readonly Complex[])[] => stored.map(f);
  return [
    tensor(
      rows((s) => s.A).flatMap((a) => a.map(({ re }) => -re)),
      S,
      n,
    ),
    tensor(
      rows((s) => s.A).flatMap((a) => a.map(({ im }) => -im)),
      S,
      n,
    ),
    tensor(flat(...rows((s) => s.B)), 1, S, n, 2),
    tensor(flat(...C), 1, G, n, 2),
    tensor(flat(...Array.from({ length: R }, (_, r) => rows((s) => s.P[r] ?? [])).flat()), R, S, n, 2),
    tensor(deltas, G, 1),
    tensor([lengthOfC]),
    tensor(new Float64Array(G), 1, G),
  ];
}

test("C (I - Abar^m) in the place of C gives the same kernel, whatever m, and at another rate", () =>
  fc.assert(
    fc.property(systems, fc.integer({ min: 1, max: 100 }), fc.constantFrom(0.5, 1, 3), (s, m, rate) => {
      const system = dplr(s.A, s.P, s.B, s.C, s.delta);
      const { A, B, C, states } = denseForm(system);
      const abar = bilinear.dense(matrixOf(states, states, A), matrixOf(states, 1, B), 1)?.abar ?? identity(states);
      let power = identity(states);
      for (let i = 0; i < m; i++) power = multiply(power, abar);
      const ends = addScaled(identity(states), power, -1);
      const row = multiply(matrixOf(1, states, C), ends).data;
      const n = s.A.length;
      const tilde = Array.from({ length: n }, (_, i) => complex((row[i] ?? NaN) / 2, -(row[n + i] ?? NaN) / 2));
      const inverse = solve(transpose(ends), identity(states)) ?? identity(states);
      const context = { channels: 1, rate };
      const got = kernelOf(familySystem(form(2 * n), operands([s], [tilde], [s.delta], m), context) as ContinuousSystem, bilinear, length);
      const want = kernelOf(familySystem(form(2 * n), operands([s], [s.C], [s.delta]), context) as ContinuousSystem, bilinear, length);
      // Rounding in C~ and in Abar^m comes back magnified by the inverse.
      const condition = oneNorm(inverse) * Math.max(1, oneNorm(ends));
      const size = oneNorm(matrixOf(2 * n, 1, Float64Array.from(flat(s.C)))) * oneNorm(matrixOf(2 * n, 1, Float64Array.from(flat(s.B))));
      const largest = Math.max(...want.map(Math.abs));
      expect(relativeError(got, want) * largest).toBeLessThan(1e-14 * (1 + m) * condition * Math.max(size, largest));
    }),
    { numRuns: 40 },
  ));

test("feature g has the poles, B and P of system g mod S; C and the step size are its own", () =>
  fc.assert(
    fc.property(fc.nat(1e9), fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 }), (seed, S, turns) => {
      const g = random(seed, "shared");
      const vector = (): Complex[] => Array.from({ length: 3 }, () => complex(g.normal(), g.normal()));
      const make = (): Parts => ({
        A: vector().map(({ re, im }) => complex(-Math.abs(re), im)),
        P: [vector()],
        B: vector(),
        C: [],
        delta: 0,
        seed,
      });
      const [stored, C] = [Array.from({ length: S }, make), Array.from({ length: S * turns }, vector)];
      const deltas = C.map(() => 0.01 + g.uniform());
      const shared = familySystem(form(6), operands(stored, C, deltas), { channels: S * turns }) as ContinuousSystem;
      C.forEach((row, h) => {
        const own = dplr(stored[h % S]?.A ?? [], stored[h % S]?.P ?? [], stored[h % S]?.B ?? [], row, deltas[h] ?? NaN);
        expect(runChannel(discretizeSystem(shared, bilinear), h, impulse(20))).toEqual(
          runChannel(discretizeSystem(own, bilinear), 0, impulse(20)),
        );
      });
    }),
    { numRuns: 30 },
  ));

test("a rate r is step sizes times r", () =>
  fc.assert(
    fc.property(systems, fc.double({ min: 0.1, max: 10, noNaN: true }), (s, rate) => {
      const at = (delta: number, more: { rate?: number }): number[] =>
        kernelOf(
          familySystem(form(2 * s.A.length), operands([s], [s.C], [delta]), { channels: 1, ...more }) as ContinuousSystem,
          bilinear,
          length,
        );
      expect(at(s.delta, { rate })).toEqual(at(s.delta * rate, {}));
    }),
    { numRuns: 30 },
  ));

test("no pole of the discrete system leaves the unit disc", () =>
  fc.assert(
    fc.property(systems, (s) => {
      const system = discretizeSystem(diagonal(s.A, s.B, s.C, s.delta), bilinear);
      if (system.structure !== "diagonal") throw new Error("not diagonal");
      s.A.forEach((_, i) => expect(abs(complexAt(system.abar.data, i))).toBeLessThanOrEqual(1 + 1e-15));
    }),
    { numRuns: 30 },
  ));
