/** Reads the golden data beside the checkout; absent data fails the test that asks. */
import { readFileSync } from "node:fs";
import type { Complex } from "../../src/math/complex.ts";

/** Complex arrays of the golden files, of any depth. */
export interface GoldenComplex<T = readonly number[]> {
  readonly re: T;
  readonly im: T;
}

const folder = new URL("../../../shared/golden/s4/", import.meta.url);

/** A golden file's `cases`. */
export function goldenCases<T>(file: string): readonly T[] {
  const { cases } = JSON.parse(readFileSync(new URL(file, folder), "utf8")) as { cases: readonly T[] };
  if (cases.length === 0) throw new Error(`${file} has no cases`);
  return cases;
}

export const toComplex = (z: GoldenComplex): Complex[] => z.re.map((re, i) => ({ re, im: z.im[i] ?? NaN }));

/** The largest difference relative to the largest value expected. */
export function relativeError(got: ArrayLike<number>, want: ArrayLike<number>): number {
  if (got.length !== want.length) return Infinity;
  let [worst, scale] = [0, 0];
  for (let i = 0; i < want.length; i++) {
    const error = Math.abs((got[i] ?? NaN) - (want[i] ?? NaN));
    worst = Number.isNaN(error) ? Infinity : Math.max(worst, error);
    scale = Math.max(scale, Math.abs(want[i] ?? 0));
  }
  return scale === 0 ? worst : worst / scale;
}

/** Re and im parts behind each other, for `relativeError`. */
export const flatten = (z: readonly Complex[]): number[] => z.flatMap(({ re, im }) => [re, im]);
