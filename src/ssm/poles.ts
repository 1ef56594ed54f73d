/** Poles of a system and what they say about it: which grow, and how fast. */
import type { DiscreteSystem } from "../ir/interpret.ts";
import { abs, type Complex, complex, complexAt, scale } from "../math/complex.ts";
import { addScaled, entry, frobenius, type Matrix, matrix, matrixOf, multiply, scaleMatrix, transpose } from "../math/matrix.ts";
import { eigenvalues } from "../math/schur.ts";
import { largestSymmetric } from "../math/symmetric.ts";
import { denseForm, type DenseSystem, type DiagonalSystem, type DplrSystem, type StateSystem, type MimoSystem } from "./system.ts";

/** A pole with Re > 0. */
export interface UnstablePole {
  readonly pole: Complex;
  /** The channel, or stored system, it is in. */
  readonly channel: number;
  /** Its step size. */
  readonly delta: number;
}

/** Rounding of a computed eigenvalue, relative to ||A||. */
const rounding = 1e-12;

/** |abar| above 1 by less than this is rounding: over 65536 steps it grows by less than 1e-4. */
const visibleGrowth = 1e-9;

/** The poles of a dense A that may grow; none where the symmetric part already says that every solution decays. */
function growing(A: Matrix): readonly Complex[] {
  const limit = rounding * frobenius(A);
  const lower = A.data.every((x, i) => x === 0 || i % A.cols <= Math.floor(i / A.cols));
  const upper = A.data.every((x, i) => x === 0 || i % A.cols >= Math.floor(i / A.cols));
  if (lower || upper) return Array.from({ length: A.rows }, (_, i) => complex(entry(A, i, i))).filter((p) => p.re > 0);
  if (largestSymmetric(scaleMatrix(addScaled(A, transpose(A)), 0.5)) <= limit) return [];
  return eigenvalues(A).filter((p) => p.re > limit);
}

/** Every pole with Re > 0, the fastest growing first. */
export function unstablePoles(system: StateSystem): readonly UnstablePole[] {
  return polesOf(system).toSorted((a, b) => b.pole.re * b.delta - a.pole.re * a.delta);
}

function polesOf(system: StateSystem): readonly UnstablePole[] {
  switch (system.structure) {
    case "diagonal":
    case "mimo":
      return diagonalPoles(system);
    case "dense":
      return densePoles(system);
    case "dplr":
      // A + A^* is at most the real part of the normal part: nothing grows unless that does.
      return diagonalPoles(system).length === 0 ? [] : densePoles(denseForm(system)).map((found) => perTime(found, system));
  }
}

/** A pole for steps of 1, in the system's own time where all states of the channel have one step size. */
function perTime(found: UnstablePole, { delta, states }: DplrSystem): UnstablePole {
  const own = delta.subarray(found.channel * states, (found.channel + 1) * states);
  const [step = 1] = own;
  return own.every((d) => d === step) ? { ...found, pole: scale(found.pole, 1 / step), delta: step } : found;
}

function diagonalPoles({ A, states, delta }: DiagonalSystem | DplrSystem | MimoSystem): readonly UnstablePole[] {
  const largest = A.reduce((worst, x) => Math.max(worst, Math.abs(x)), 0);
  return Array.from({ length: delta.length }, (_, i) => ({
    pole: complexAt(A, i),
    channel: Math.floor(i / states),
    delta: delta[i] ?? NaN,
  })).filter(({ pole }) => pole.re > rounding * largest);
}

function densePoles({ A, groups, states: n, delta }: DenseSystem): readonly UnstablePole[] {
  return Array.from({ length: groups }, (_, g) =>
    growing(matrixOf(n, n, A.slice(g * n * n, (g + 1) * n * n))).map((pole) => ({ pole, channel: g, delta: delta[g] ?? NaN })),
  ).flat();
}

/**
 * The largest |eigenvalue| of a discrete system where it exceeds 1, which makes it grow; undefined where nothing grows.
 * A contraction is recognised by its norm, so that eigenvalues are computed only where they decide.
 */
export function growth(system: DiscreteSystem): number | undefined {
  const [rows = 0, n = 0] = system.abar.shape;
  let largest = 0;
  if (system.structure === "diagonal") for (let i = 0; i < rows * n; i++) largest = Math.max(largest, abs(complexAt(system.abar.data, i)));
  else
    for (let g = 0; g < rows; g++) {
      const abar = system.structure === "dense" ? matrixOf(n, n, system.abar.data.slice(g * n * n, (g + 1) * n * n)) : realStep(system, g);
      if (largestSymmetric(multiply(transpose(abar), abar)) > 1) largest = Math.max(largest, ...eigenvalues(abar).map(abs));
    }
  return largest > 1 + visibleGrowth ? largest : undefined;
}

/** Abar of one channel of a discrete DPLR system, on (Re x, Im x). */
export function realStep({ abar, p, q }: Extract<DiscreteSystem, { structure: "dplr" }>, h: number): Matrix {
  const [, rank = 0, n = 0] = p.shape;
  return matrix(2 * n, 2 * n, (i, j) => {
    const own = complexAt(abar.data, h * n + (i % n));
    const [upper, left] = [i < n, j < n];
    let value = i % n !== j % n ? 0 : upper === left ? own.re : upper ? -own.im : own.im;
    for (let r = 0; r < rank; r++) {
      const [row, column] = [complexAt(p.data, (h * rank + r) * n + (i % n)), complexAt(q.data, (h * rank + r) * n + (j % n))];
      value -= (upper ? row.re : row.im) * (left ? column.re : -column.im);
    }
    return value;
  });
}

const short = (x: number): string => String(Number(x.toPrecision(4)));

/** `0.5 + 2i` */
export const formatPole = ({ re, im }: Complex): string =>
  im === 0 ? short(re) : `${short(re)} ${im < 0 ? "-" : "+"} ${short(Math.abs(im))}i`;

/** One sentence on the poles that grow; undefined where none does. Units: time constants in the model's time and in samples. */
export function describeUnstable(poles: readonly UnstablePole[]): string | undefined {
  const [worst] = poles;
  if (worst === undefined) return undefined;
  const time = 1 / worst.pole.re;
  const others = poles.length === 1 ? "" : ` (the fastest of ${poles.length})`;
  return `pole ${formatPole(worst.pole)} of channel ${worst.channel} is unstable${others}: its response grows by e every ${short(time)} units of time, ${short(time / worst.delta)} samples`;
}
