/** Poles of one channel before and after discretization, how long they remember, and the functions e^(tA) B that a state is made of. */
import type { DiscreteSystem } from "../ir/interpret.ts";
import { abs, type Complex, complex, complexAt, exp, mul, scale } from "../math/complex.ts";
import { expm } from "../math/expm.ts";
import { type Matrix, matrixOf, multiply, scaleMatrix } from "../math/matrix.ts";
import { eigenvalues } from "../math/schur.ts";
import type { Discretization } from "./discretization.ts";
import { realStep } from "./poles.ts";
import { type ContinuousSystem, denseForm, type DplrSystem } from "./system.ts";

/** A pole in continuous time, and the step size it is sampled with. */
export interface TimedPole {
  readonly pole: Complex;
  readonly delta: number;
}

/** How many systems are stored: one a channel, or one for all. */
export const storedSystems = (system: ContinuousSystem | DiscreteSystem): number =>
  "abar" in system ? (system.abar.shape[0] ?? 0) : system.structure === "dense" ? system.groups : system.channels;

/** Of a computed eigenvalue relative to the largest, and of the size of a pole on the unit circle. */
const rounding = 1e-13;

/** Eigenvalues, those that neither grow nor decay but for rounding on the imaginary axis. */
function computed(A: Matrix): readonly Complex[] {
  const poles = eigenvalues(A);
  const limit = rounding * Math.max(...poles.map(abs));
  return poles.map(({ re, im }) => complex(Math.abs(re) <= limit ? 0 : re, im));
}

/** The `h`-th of a tensor of `count` equal parts. */
const partOf = (data: Float64Array, h: number, size: number): Float64Array => data.subarray(h * size, (h + 1) * size);

/** One channel of a DPLR system as a real one on (Re x, Im x), in units of its own time: the mean of its steps stays outside. */
function realChannel(system: DplrSystem, h: number): { readonly A: Matrix; readonly B: Matrix; readonly delta: number } {
  const { states: n, rank } = system;
  const steps = partOf(system.delta, h, n);
  const mean = steps.reduce((sum, d) => sum + d / n, 0);
  const one = denseForm({
    ...system,
    channels: 1,
    A: partOf(system.A, h, 2 * n),
    P: partOf(system.P, h, 2 * rank * n),
    B: partOf(system.B, h, 2 * n),
    C: partOf(system.C, h, 2 * n),
    D: partOf(system.D, h, 1),
    delta: steps.map((d) => d / mean),
  });
  return { A: matrixOf(2 * n, 2 * n, one.A), B: matrixOf(2 * n, 1, one.B), delta: mean };
}

/** Of stored conjugate pairs one of each; of a dense or DPLR system all. Where a DPLR channel has several steps, in units of their mean. */
export function continuousPoles(system: ContinuousSystem, h: number): readonly TimedPole[] {
  const n = system.states;
  switch (system.structure) {
    case "diagonal":
      return Array.from({ length: n }, (_, i) => ({ pole: complexAt(system.A, h * n + i), delta: system.delta[h * n + i] ?? NaN }));
    case "dense":
      return computed(matrixOf(n, n, partOf(system.A, h, n * n))).map((pole) => ({ pole, delta: system.delta[h] ?? NaN }));
    case "dplr": {
      const { A, delta } = realChannel(system, h);
      return computed(A).map((pole) => ({ pole, delta }));
    }
  }
}

/** Where a rule takes continuous poles: an eigenvalue of A is one of Abar, as exactly as it is known. */
export const discretized = (poles: readonly TimedPole[], rule: Discretization): readonly Complex[] =>
  poles.map(({ pole, delta }) => rule.scalar(pole, delta).abar);

/** The poles of x_t = Abar x_{t-1}, as `continuousPoles` counts them; where A is known, `discretized` is better conditioned. */
export function discretePoles(system: DiscreteSystem, h: number): readonly Complex[] {
  const n = system.abar.shape[1] ?? 0;
  switch (system.structure) {
    case "diagonal":
      return Array.from({ length: n }, (_, i) => complexAt(system.abar.data, h * n + i));
    case "dense":
      return eigenvalues(matrixOf(n, n, partOf(system.abar.data, h, n * n)));
    case "dplr":
      return eigenvalues(realStep(system, h));
  }
}

/** The time in which a continuous pole decays by e; Infinity where it does not decay. Units: the model's time. */
export const timeConstant = ({ re }: Complex): number => (re < 0 ? -1 / re : Infinity);

/** The samples in which a discrete pole decays by e; Infinity where it does not decay. */
export const memory = (z: Complex): number => (abs(z) < 1 - rounding ? -1 / Math.log(abs(z)) : Infinity);

/** Some components of x(t) = e^(tA) B at equally spaced times; of complex states the real part. */
export interface BasisCurves {
  /** The last time; the first is 0. Units: the model's time. */
  readonly duration: number;
  readonly states: readonly { readonly state: number; readonly values: Float64Array }[];
}

/** Where the drawn functions would turn more often than this, the time is cut. */
const mostTurns = 24;

/** Long enough for the slowest pole to decay by e^4, or to turn four times where none decays; short enough to see the fastest turn. */
export function tellingDuration(poles: readonly Complex[], fastest: readonly Complex[] = []): number {
  const rates = poles.map(({ re }) => Math.abs(re)).filter((rate) => rate > 0);
  const turns = poles.map(({ im }) => Math.abs(im) / (2 * Math.PI)).filter((rate) => rate > 0);
  const decay = rates.length > 0 ? 4 / Math.min(...rates) : turns.length > 0 ? 4 / Math.min(...turns) : 1;
  return Math.min(decay, ...fastest.map(({ im }) => (im === 0 ? Infinity : (mostTurns * 2 * Math.PI) / Math.abs(im))));
}

/**
 * What the first `count` states of a channel do after a unit impulse, before discretization: in the order of the states,
 * or of complex ones by frequency, the slowest first.
 */
export function basisFunctions(system: ContinuousSystem, h: number, count: number, points: number): BasisCurves {
  const n = system.states;
  if (system.structure === "diagonal") {
    const [A, B] = [partOf(system.A, h, 2 * n), partOf(system.B, h, 2 * n)];
    const shown = bySpeed(A).slice(0, count);
    const poles = shown.map((i) => complexAt(A, i));
    const duration = tellingDuration(poles, poles);
    const value = (i: number, t: number): number => mul(exp(scale(complexAt(A, i), t)), complexAt(B, i)).re;
    return { duration, states: shown.map((state) => ({ state, values: sampled(points, duration, (t) => value(state, t)) })) };
  }
  const real =
    system.structure === "dplr"
      ? realChannel(system, h)
      : { A: matrixOf(n, n, partOf(system.A, h, n * n)), B: matrixOf(n, 1, partOf(system.B, h, n)) };
  const shown = (system.structure === "dplr" ? bySpeed(partOf(system.A, h, 2 * n)) : Array.from({ length: n }, (_, i) => i)).slice(
    0,
    count,
  );
  const duration = tellingDuration(computed(real.A));
  const step = expm(scaleMatrix(real.A, duration / (points - 1)));
  const states = shown.map((state) => ({ state, values: new Float64Array(points) }));
  let x = real.B;
  for (let k = 0; k < points; k++) {
    for (const { state, values } of states) values[k] = x.data[state] ?? NaN;
    x = multiply(step, x);
  }
  return { duration, states };
}

/** The indices of interleaved poles, the slowest turning first. */
const bySpeed = (A: Float64Array): readonly number[] =>
  Array.from({ length: A.length / 2 }, (_, i) => i).toSorted(
    (i, j) => Math.abs(complexAt(A, i).im) - Math.abs(complexAt(A, j).im) || i - j,
  );

const sampled = (points: number, duration: number, f: (t: number) => number): Float64Array =>
  Float64Array.from({ length: points }, (_, k) => f((duration * k) / (points - 1)));

/** How many values there are of each size, in equal steps of the logarithm. */
export interface Spread {
  /** log10 of the lower end of the first bin. */
  readonly start: number;
  /** Bins of one decade. */
  readonly perDecade: number;
  readonly counts: readonly number[];
  /** Values that are infinite. */
  readonly endless: number;
  readonly median: number;
  readonly largest: number;
}

/** Undefined where no value is positive and finite. Zeros count with the smallest others. */
export function spreadOf(values: readonly number[], perDecade = 5): Spread | undefined {
  const finite = values.filter((v) => v < Infinity).toSorted((a, b) => a - b);
  const positive = finite.filter((v) => v > 0);
  const [smallest, largest] = [positive[0], positive.at(-1)];
  if (smallest === undefined || largest === undefined) return undefined;
  // The smallest that is within twelve decades of the largest: a pole at rounding error from zero would stretch the axis.
  const low = Math.floor(Math.log10(Math.max(smallest, largest * 1e-12)) * perDecade);
  const counts = Array.from({ length: Math.floor(Math.log10(largest) * perDecade) - low + 1 }, () => 0);
  for (const v of finite) {
    const bin = Math.max(0, Math.floor(Math.log10(Math.max(v, largest * 1e-12)) * perDecade) - low);
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  const median = values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
  return { start: low / perDecade, perDecade, counts, endless: values.length - finite.length, median, largest };
}
