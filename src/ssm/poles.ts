/** Poles of a system and what they say about it: which grow, and how fast. */
import type { DiscreteSystem } from "../ir/interpret.ts";
import { abs, type Complex, complex, complexAt } from "../math/complex.ts";
import { addScaled, entry, frobenius, type Matrix, matrixOf, multiply, scaleMatrix, transpose } from "../math/matrix.ts";
import { largestSymmetric } from "../math/normal.ts";
import { eigenvalues } from "../math/schur.ts";
import type { ContinuousSystem } from "./system.ts";

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
export function unstablePoles(system: ContinuousSystem): readonly UnstablePole[] {
  const { states: n, delta } = system;
  const found: UnstablePole[] = [];
  if (system.structure === "diagonal") {
    const largest = system.A.reduce((worst, x) => Math.max(worst, Math.abs(x)), 0);
    for (let i = 0; i < system.channels * n; i++) {
      const pole = complexAt(system.A, i);
      if (pole.re > rounding * largest) found.push({ pole, channel: Math.floor(i / n), delta: delta[i] ?? NaN });
    }
  } else
    for (let g = 0; g < system.groups; g++)
      for (const pole of growing(matrixOf(n, n, system.A.slice(g * n * n, (g + 1) * n * n))))
        found.push({ pole, channel: g, delta: delta[g] ?? NaN });
  return found.sort((a, b) => b.pole.re * b.delta - a.pole.re * a.delta);
}

/**
 * The largest |eigenvalue| of a discrete system where it exceeds 1, which makes it grow; undefined where nothing grows.
 * A contraction is recognised by its norm, so that eigenvalues are computed only where they decide.
 */
export function growth(system: DiscreteSystem): number | undefined {
  const [rows = 0, n = 0] = system.abar.shape;
  const { data } = system.abar;
  let largest = 0;
  if (system.structure === "diagonal") for (let i = 0; i < rows * n; i++) largest = Math.max(largest, abs(complexAt(data, i)));
  else
    for (let g = 0; g < rows; g++) {
      const abar = matrixOf(n, n, data.slice(g * n * n, (g + 1) * n * n));
      if (largestSymmetric(multiply(transpose(abar), abar)) > 1) largest = Math.max(largest, ...eigenvalues(abar).map(abs));
    }
  return largest > 1 + visibleGrowth ? largest : undefined;
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
