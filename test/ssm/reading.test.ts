/** What `recurve inspect` reads off a system: transfer functions, basis functions, poles, time constants. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { DiscreteSystem } from "../../src/ir/interpret.ts";
import { abs, add, type Complex, complex, complexArray, mul, sub } from "../../src/math/complex.ts";
import { expm } from "../../src/math/expm.ts";
import { matrixOf, multiply, scaleMatrix } from "../../src/math/matrix.ts";
import { random, type Random } from "../../src/math/random.ts";
import { bases, basisOf } from "../../src/ssm/bases.ts";
import { discretizationNamed } from "../../src/ssm/discretizations.ts";
import { discretizeSystem } from "../../src/ssm/discretize.ts";
import { impulseResponses, kernelTransfer, onCircle, telling, transferFunction } from "../../src/ssm/response.ts";
import { type ContinuousSystem, denseForm, type DenseSystem, type DiagonalSystem, type DplrSystem } from "../../src/ssm/system.ts";
import {
  basisFunctions,
  continuousPoles,
  discretePoles,
  discretized,
  memory,
  spreadOf,
  storedSystems,
  tellingDuration,
  timeConstant,
} from "../../src/ssm/timescales.ts";

const H = 2;

function normals({ normal }: Random, count: number): Float64Array {
  return Float64Array.from({ length: count }, normal);
}

/** Decays by e in 4 to 40 samples. */
function diagonal(seed: number, n: number): DiagonalSystem {
  const source = random(seed, "system");
  return {
    structure: "diagonal",
    channels: H,
    states: n,
    pairs: true,
    A: complexArray(H * n, () => complex(-0.5 - source.uniform(), 20 * source.uniform())),
    B: normals(source, 2 * H * n),
    C: normals(source, 2 * H * n),
    D: normals(source, H),
    delta: new Float64Array(H * n).fill(0.02 + 0.1 * source.uniform()),
  };
}

function dplr(seed: number, n: number, rank: number): DplrSystem {
  const source = random(seed, "rank");
  return { ...diagonal(seed, n), structure: "dplr", rank, P: normals(source, 2 * H * rank * n).map((x) => x / 2) };
}

function basisSystem(name: string, N: number): DenseSystem {
  const { A, B } = basisOf(name, N);
  const ones = new Float64Array(N).fill(1);
  return {
    structure: "dense",
    groups: 1,
    states: N,
    inputs: 1,
    outputs: 1,
    A: A.data,
    B,
    C: ones,
    D: Float64Array.of(0.5),
    delta: Float64Array.of(0.05),
  };
}

const step = (system: ContinuousSystem, rule: string): DiscreteSystem => discretizeSystem(system, discretizationNamed(rule));

/** H(e^(2 pi i f)) from the impulse response, which has decayed. */
const fromKernel = (kernel: Float64Array, f: number): Complex =>
  kernel.reduce((sum, k, t) => add(sum, mul(complex(k), onCircle(-((f * t) % 1)))), complex(0));

const systems = fc.record({
  kind: fc.constantFrom("diagonal", "dense", "dplr", "legs"),
  rule: fc.constantFrom("bilinear", "zoh", "backward-euler"),
  n: fc.integer({ min: 1, max: 8 }),
  rank: fc.integer({ min: 0, max: 3 }),
  seed: fc.nat(1e6),
});

describe("transferFunction", () => {
  test("is the Fourier transform of the whole impulse response, at every frequency, for every structure", () => {
    fc.assert(
      fc.property(systems, fc.double({ min: 0, max: 0.5, noNaN: true }), ({ kind, rule, n, rank, seed }, f) => {
        const made = {
          diagonal: diagonal(seed, n),
          dplr: dplr(seed, n, rank),
          dense: denseForm(dplr(seed, n, rank)),
          legs: basisSystem("legs", n),
        };
        const system = step(made[kind], rule);
        const h = storedSystems(system) - 1;
        const [kernel = new Float64Array()] = impulseResponses(system, [h], 4000);
        const scale = kernel.reduce((sum, k) => sum + Math.abs(k), 0);
        expect(abs(sub(transferFunction(system, h)(onCircle(f)), fromKernel(kernel, f)))).toBeLessThan(1e-11 * scale);
      }),
      { numRuns: 60 },
    );
  });

  test("of a causal kernel is its polynomial in 1/z", () => {
    const taps = Float64Array.of(1, -0.5, 0.25, 2);
    for (const f of [0, 0.1, 0.37, 0.5]) expect(abs(sub(kernelTransfer(taps)(onCircle(f)), fromKernel(taps, f)))).toBeLessThan(1e-14);
  });

  test("a resonance between two frequencies of the grid is not missed", () => {
    const pole = mul(complex(1 - 1e-7), onCircle(0.01234567));
    const frequencies = telling([pole]);
    expect([...frequencies]).toEqual([...frequencies].toSorted((a, b) => a - b));
    const system: DiscreteSystem = {
      structure: "diagonal",
      abar: { shape: [1, 1, 2], data: Float64Array.of(pole.re, pole.im) },
      gain: { shape: [1, 1, 2], data: Float64Array.of(2, 0) },
      d: { shape: [1], data: Float64Array.of(0) },
    };
    const peak = Math.max(...[...frequencies].map((f) => abs(transferFunction(system, 0)(onCircle(f)))));
    expect(Math.abs(peak * 1e-7 - 1)).toBeLessThan(1e-5);
  });
});

describe("poles", () => {
  test("a rule takes the continuous poles to the eigenvalues of the discrete step", () => {
    fc.assert(
      fc.property(systems, ({ kind, rule, n, rank, seed }) => {
        const system = kind === "diagonal" ? diagonal(seed, n) : kind === "dense" ? denseForm(dplr(seed, n, rank)) : dplr(seed, n, rank);
        const mapped = discretized(continuousPoles(system, 1), discretizationNamed(rule));
        const found = discretePoles(step(system, rule), 1);
        expect(found).toHaveLength(mapped.length);
        for (const z of mapped) expect(Math.min(...found.map((other) => abs(sub(z, other))))).toBeLessThan(1e-7);
      }),
      { numRuns: 40 },
    );
  });

  test("of LegS are -1 .. -N, however sensitive they are", () => {
    const re = continuousPoles(basisSystem("legs", 64), 0).map(({ pole }) => pole.re);
    expect(re.toSorted((a, b) => b - a)).toEqual(Array.from({ length: 64 }, (_, n) => -1 - n));
  });

  test("that only turn are on the imaginary axis, although rounding moves them", () => {
    const turning = denseForm({ ...dplr(7, 6, 0), A: complexArray(12, (i) => complex(0, 1 + i)) });
    expect(continuousPoles(turning, 1).map(({ pole }) => pole.re)).toEqual(Array.from({ length: 12 }, () => 0));
  });

  test("a DPLR channel whose states have steps of their own has the poles of its scaled matrix", () => {
    const system = dplr(5, 3, 1);
    const uneven = { ...system, delta: system.delta.map((d, i) => d * (1 + (i % 3))) };
    const mapped = discretized(continuousPoles(uneven, 1), discretizationNamed("bilinear"));
    const found = discretePoles(step(uneven, "bilinear"), 1);
    for (const z of mapped) expect(Math.min(...found.map((other) => abs(sub(z, other))))).toBeLessThan(1e-10);
  });

  test("decay by e in their time constant, in time and in samples", () => {
    expect(timeConstant(complex(-0.25, 3))).toBe(4);
    expect(timeConstant(complex(0.1))).toBe(Infinity);
    expect(memory(mul(complex(Math.exp(-1 / 12)), onCircle(0.2)))).toBeCloseTo(12, 10);
    expect(memory(onCircle(0.3))).toBe(Infinity);
    expect(memory(complex(0))).toBeCloseTo(0, 10);
  });
});

describe("basisFunctions", () => {
  const exact = bases.filter(({ functions }) => functions?.exact === true && functions.kernel !== undefined).map(({ name }) => name);

  test.each(exact)("of %s are those it is defined by", (name) => {
    const { functions, options } = basisOf(name, 16);
    const { duration, states } = basisFunctions(basisSystem(name, 16), 0, 6, 200);
    expect(states.map(({ state }) => state)).toEqual([0, 1, 2, 3, 4, 5]);
    for (const { state, values } of states) {
      const wanted = Array.from(values, (_, k) => functions?.kernel?.(state, (duration * k) / 199, options) ?? NaN);
      const scale = Math.max(...wanted.map(Math.abs));
      values.forEach((value, k) => expect(Math.abs(value - (wanted[k] ?? NaN))).toBeLessThanOrEqual(1e-10 * scale));
    }
  });

  test("of LegS, whose slowest pole is -1, reach over four units of time", () => {
    expect(basisFunctions(basisSystem("legs", 16), 0, 1, 2).duration).toBe(4);
  });

  test("of diagonal and DPLR systems are the real parts of e^(tA) B, the slowest turning first", () => {
    for (const rank of [0, 1, 2]) {
      const system = dplr(rank, 5, rank);
      const { duration, states } = basisFunctions(system, 1, 3, 100);
      const whole = denseForm({ ...system, delta: new Float64Array(10).fill(1) });
      const x = multiply(expm(scaleMatrix(matrixOf(10, 10, whole.A.slice(100)), (duration * 60) / 99)), matrixOf(10, 1, whole.B.slice(10)));
      for (const { state, values } of states) expect(values[60]).toBeCloseTo(x.data[state] ?? NaN, 11);
      const speeds = states.map(({ state }) => Math.abs(system.A[2 * (5 + state) + 1] ?? NaN));
      expect(speeds).toEqual(speeds.toSorted((a, b) => a - b));
    }
    const one = diagonal(3, 1);
    const { duration, states } = basisFunctions(one, 0, 6, 11);
    const [a, b] = [complex(one.A[0] ?? NaN, one.A[1] ?? NaN), complex(one.B[0] ?? NaN, one.B[1] ?? NaN)];
    const t = duration / 10;
    const wanted = Math.exp(a.re * t) * (Math.cos(a.im * t) * b.re - Math.sin(a.im * t) * b.im);
    expect(states[0]?.values[1]).toBeCloseTo(wanted, 12);
  });

  test("are drawn until the slowest has decayed, but not through hundreds of turns", () => {
    expect(tellingDuration([complex(-2), complex(-0.5, 3)])).toBe(8);
    expect(tellingDuration([complex(0, 2)])).toBeCloseTo(4 * Math.PI, 12);
    expect(tellingDuration([complex(0)])).toBe(1);
    expect(tellingDuration([complex(-0.5)], [complex(-0.5, 1000)])).toBeCloseTo((48 * Math.PI) / 1000, 12);
  });
});

describe("spreadOf", () => {
  test("counts every finite value in its bin, and the endless apart", () => {
    const values = [0.5, 1, 1.5, 9, 100, Infinity, 0];
    const spread = spreadOf(values, 1);
    expect(spread).toEqual({ start: -1, perDecade: 1, counts: [2, 3, 0, 1], endless: 1, median: 1.5, largest: 100 });
    expect(spreadOf([Infinity, Infinity])).toBeUndefined();
  });
});
