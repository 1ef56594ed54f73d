/** How each output of the model is read back: the functions its coefficients belong to, and the past that it speaks of. Nothing of the page. */
import { legendre } from "../../src/math/special.ts";
import { basisOf } from "../../src/ssm/bases.ts";
import { legendreNorm } from "../../src/ssm/basis.ts";
import { FADE, STATES, WINDOW } from "./sizes.ts";

/** The outputs of the model. */
export const names = ["scaled", "legs", "legt", "fourier"] as const;
export type Name = (typeof names)[number];

/** One memory. Units: samples. */
export interface Memory {
  readonly title: string;
  readonly doc: string;
  /** How far back it speaks of the curve, after `count` samples. */
  readonly reach: (count: number) => number;
  /** How much an input of that age counts. */
  readonly measure: (age: number) => number;
  /** The weight of coefficient n in the value at that age, after `count` samples. */
  readonly weight: (n: number, age: number, count: number) => number;
}

/** The weights of a basis whose functions stay the same, at the middle of each sample's age. */
function weightsOf(basis: string, samplesAUnit: number): Memory["weight"] {
  const { weight } = basisOf(basis, STATES).functions ?? {};
  if (weight === undefined) throw new Error(`basis ${basis} has no weights`);
  const rows = new Map<number, Float64Array>();
  return (n, age) => {
    let row = rows.get(age);
    if (row === undefined) {
      row = Float64Array.from({ length: STATES }, (_, k) => weight(k, age / samplesAUnit, { window: 2, alpha: 0, beta: 1 }));
      rows.set(age, row);
    }
    return row[n] ?? 0;
  };
}

export const memories: Readonly<Record<Name, Memory>> = {
  scaled: {
    title: "LegS, scaled",
    doc: "the whole past, all of it alike",
    reach: (count) => count,
    measure: () => 1,
    weight: (n, age, count) => legendreNorm(n) * legendre(n, 1 - (2 * age) / count),
  },
  legs: {
    title: "LegS",
    doc: `the whole past, fading as e^-s, s in units of ${FADE} samples`,
    reach: (count) => count,
    measure: (age) => Math.exp(-age / FADE),
    weight: weightsOf("legs", FADE),
  },
  legt: {
    title: "LegT",
    doc: `a window of ${WINDOW} samples, in Legendre polynomials`,
    reach: (count) => Math.min(count, WINDOW),
    measure: () => 1,
    weight: weightsOf("legt", WINDOW / 2),
  },
  fourier: {
    title: "Fourier",
    doc: `a window of ${WINDOW} samples, in sines and cosines`,
    reach: (count) => Math.min(count, WINDOW),
    measure: () => 1,
    weight: weightsOf("fourier", WINDOW / 2),
  },
};

/** The curve as these coefficients have it after `count` samples: its last `reach` samples, oldest first. */
export function reconstruct({ reach, weight }: Memory, coefficients: ArrayLike<number>, count: number): Float64Array {
  const length = reach(count);
  return Float64Array.from({ length }, (_, i) => {
    let sum = 0;
    for (let n = 0; n < STATES; n++) sum += (coefficients[n] ?? 0) * weight(n, length - i - 0.5, count);
    return sum;
  });
}

/** The root of the mean squared error of what is remembered of `curve` after `count` samples, the past weighted as the memory does. */
export function errorOf(memory: Memory, remembered: Float64Array, curve: ArrayLike<number>, count: number): number {
  const from = count - remembered.length;
  let [sum, total] = [0, 0];
  remembered.forEach((value, i) => {
    const w = memory.measure(count - from - i - 0.5);
    sum += w * (value - (curve[from + i] ?? 0)) ** 2;
    total += w;
  });
  return Math.sqrt(sum / total);
}
