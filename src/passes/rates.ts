/**
 * Sizes of slower sequences. A schedule writes sizes over `d` as if its node's rate were the model's own; here such a source
 * becomes one over the model's `d`; kernels read `dimsAtRate`.
 */
import { fftPoints } from "../runtime/plan.ts";

/** What the sizes of the model are in a sequence of one step for every `rate`. */
function slower(rate: number): Readonly<Record<string, string>> {
  const most = `Math.max(d.M/${rate},1)`;
  const M = fftPoints(rate) === rate ? most : `2**Math.ceil(Math.log2(${most}))`;
  return { L: `(d.L/${rate})`, pos: `Math.floor(d.pos/${rate})`, M };
}

/** The source, its lengths in steps of the model. */
export function atRate<S extends number | string>(source: S, rate: number): S | string {
  if (rate === 1 || typeof source === "number") return source;
  const sizes = slower(rate);
  return source.replaceAll(/\bd\.([LM]|pos)\b/g, (whole, name: string) => sizes[name] ?? whole);
}

/** The dims of such a sequence, as source over those of the model. */
export function dimsAtRate(rate: number): string {
  if (rate === 1) return "d";
  const sizes = Object.entries(slower(rate)).map(([name, size]) => `${name}:${size}`);
  return `{...d,${sizes.join(",")}}`;
}

/** The longest slower sequence of executions of `maxLength` steps, rounded up to what their FFT needs. */
export const lengthAtRate = (maxLength: number, rate: number): number => (rate === 1 ? maxLength : fftPoints(fftPoints(maxLength) / rate));

/** The least number of steps that holds whole blocks of every rate. */
export const periodOf = (rates: readonly number[]): number => rates.reduce((a, b) => (a * b) / commonDivisor(a, b), 1);

const commonDivisor = (a: number, b: number): number => (b === 0 ? a : commonDivisor(b, a % b));
