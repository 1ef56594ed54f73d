/** Discrete systems by the recurrence alone, in float64: kernels, sequences, and dense forms of the golden complex systems. */
import type { DiscreteSystem } from "../../src/ir/interpret.ts";
import { add, type Complex, complexArray, complexAt, conj, mul, scale, sub } from "../../src/math/complex.ts";
import { type Matrix, matrix } from "../../src/math/matrix.ts";
import { type Discretization } from "../../src/ssm/discretization.ts";
import { discretizeSystem } from "../../src/ssm/discretize.ts";
import type { ContinuousSystem, DenseSystem, DiagonalSystem, DplrSystem } from "../../src/ssm/system.ts";

/** Output of one channel for an input, from a zero state. */
export function runChannel(system: DiscreteSystem, channel: number, u: readonly number[]): number[] {
  const n = system.abar.shape[1] ?? 0;
  if (system.structure === "diagonal") return runDiagonal(system, channel, n, u);
  if (system.structure === "dplr") return runDplr(system, channel, u).y;
  const g = system.abar.shape[0] === 1 ? 0 : channel;
  const { abar, bbar, c, d } = system;
  let x = new Float64Array(n);
  return u.map((input) => {
    x = x.map((_, i) => x.reduce((sum, v, j) => sum + (abar.data[(g * n + i) * n + j] ?? NaN) * v, (bbar.data[g * n + i] ?? NaN) * input));
    return x.reduce((sum, v, i) => sum + (c.data[g * n + i] ?? NaN) * v, (d.data[g] ?? NaN) * input);
  });
}

function runDiagonal(
  { abar, gain, d }: Extract<DiscreteSystem, { structure: "diagonal" }>,
  h: number,
  n: number,
  u: readonly number[],
): number[] {
  const x = new Float64Array(2 * n);
  const at = (data: Float64Array, i: number): number => data[i] ?? NaN;
  return u.map((input) => {
    let y = at(d.data, h) * input;
    for (let i = 0; i < n; i++) {
      const p = 2 * (h * n + i);
      const [re, im] = [at(x, 2 * i), at(x, 2 * i + 1)];
      x[2 * i] = at(abar.data, p) * re - at(abar.data, p + 1) * im + input;
      x[2 * i + 1] = at(abar.data, p) * im + at(abar.data, p + 1) * re;
      y += at(gain.data, p) * at(x, 2 * i) - at(gain.data, p + 1) * at(x, 2 * i + 1);
    }
    return y;
  });
}

/** Output and last state of one channel, from a state `[N c]` (zero where absent). */
export function runDplr(
  { abar, p, q, bbar, c, d }: Extract<DiscreteSystem, { structure: "dplr" }>,
  h: number,
  u: readonly number[],
  from?: Float64Array,
): { y: number[]; state: Float64Array } {
  const [, R = 0, n = 0] = p.shape;
  let x: Float64Array = from?.slice() ?? new Float64Array(2 * n);
  const at = (data: Float64Array, i: number): Complex => complexAt(data, h * n + i);
  const row = (data: Float64Array, r: number, i: number): Complex => complexAt(data, (h * R + r) * n + i);
  const y = u.map((input) => {
    const before = x;
    const read = Array.from({ length: R }, (_, r) => sumOf(n, (i) => mul(row(q.data, r, i), complexAt(before, i)).re));
    x = complexArray(n, (i) =>
      read.reduce(
        (next, s, r) => sub(next, scale(row(p.data, r, i), s)),
        add(mul(at(abar.data, i), complexAt(before, i)), scale(at(bbar.data, i), input)),
      ),
    );
    return sumOf(n, (i) => mul(at(c.data, i), complexAt(x, i)).re) + (d.data[h] ?? NaN) * input;
  });
  return { y, state: x };
}

const sumOf = (n: number, f: (i: number) => number): number => Array.from({ length: n }, (_, i) => f(i)).reduce((a, b) => a + b, 0);

export const impulse = (L: number): number[] => Array.from({ length: L }, (_, i) => (i === 0 ? 1 : 0));

/** The convolution kernel of a channel, D included. */
export const kernelOf = (system: ContinuousSystem, rule: Discretization, L: number, channel = 0): number[] =>
  runChannel(discretizeSystem(system, rule), channel, impulse(L));

/** A dense system of one input and one output. */
export const siso = (A: Matrix, B: ArrayLike<number>, C: ArrayLike<number>, D: number, delta: number): DenseSystem => ({
  structure: "dense",
  groups: 1,
  states: A.rows,
  inputs: 1,
  outputs: 1,
  A: A.data,
  B: Float64Array.from(B),
  C: Float64Array.from(C),
  D: Float64Array.of(D),
  delta: Float64Array.of(delta),
});

/** A diagonal system of one channel. */
export const diagonal = (
  A: readonly Complex[],
  B: readonly Complex[],
  C: readonly Complex[],
  delta: number,
  pairs = true,
): DiagonalSystem => {
  const pack = (z: readonly Complex[]): Float64Array => complexArray(z.length, (i) => z[i] ?? { re: NaN, im: NaN });
  return {
    structure: "diagonal",
    channels: 1,
    states: A.length,
    pairs,
    A: pack(A),
    B: pack(B),
    C: pack(C),
    D: Float64Array.of(0),
    delta: new Float64Array(A.length).fill(delta),
  };
};

/** A system of normal plus low rank, of one channel. */
export const dplr = (
  A: readonly Complex[],
  P: readonly (readonly Complex[])[],
  B: readonly Complex[],
  C: readonly Complex[],
  delta: number,
): DplrSystem => {
  const pack = (z: readonly Complex[]): Float64Array => complexArray(z.length, (i) => z[i] ?? { re: NaN, im: NaN });
  return {
    structure: "dplr",
    channels: 1,
    states: A.length,
    rank: P.length,
    A: pack(A),
    P: pack(P.flat()),
    B: pack(B),
    C: pack(C),
    D: Float64Array.of(0),
    delta: new Float64Array(A.length).fill(delta),
  };
};

/**
 * The real dense form of x' = diag(lambda) x - sum_r P_r (P_r^* x) + B u over x and its conjugate, on the state
 * (Re x, Im x); y = 2 Re(C x).
 */
export function realForm(
  lambda: readonly Complex[],
  P: readonly (readonly Complex[])[],
  B: readonly Complex[],
  C: readonly Complex[],
): { A: Matrix; B: number[]; C: number[] } {
  const h = lambda.length;
  const part = (z: Complex, i: number): number => (i < h ? z.re : z.im);
  const zero = { re: 0, im: 0 };
  const A = matrix(2 * h, 2 * h, (i, j) => {
    /** Column j: the derivative of x where x is the unit vector or i times it. */
    const unit = j < h ? { re: 1, im: 0 } : { re: 0, im: 1 };
    const own = i % h === j % h ? part(mul(lambda[i % h] ?? zero, unit), i) : 0;
    const low = P.reduce((sum, row) => sum + part(row[i % h] ?? zero, i) * 2 * mul(conj(row[j % h] ?? zero), unit).re, 0);
    return own - low;
  });
  return { A, B: [...B.map((b) => b.re), ...B.map((b) => b.im)], C: [...C.map((c) => 2 * c.re), ...C.map((c) => -2 * c.im)] };
}
