/**
 * What the parameters of a published S4 layer mean, as rows of channels.
 *
 * S systems of poles, B and P are shared by G features in turn: feature g has those of row g mod S. Each feature has P
 * outputs (the layer's `channels`) with rows of C and D of their own; channel p G + g is output p of feature g. Where C has
 * twice as many rows (Q = 2 P), the second half belongs to the same systems running backwards in time.
 */
import { CompileError, type Loc } from "../ir/error.ts";
import { complex, type Complex, complexArray, complexAt } from "../math/complex.ts";
import type { Sizes, Values } from "./family.ts";
import type { PairOptions, StorageOptions } from "./s4-parameters.ts";
import { transformNamed } from "./transforms.ts";

/** Which stored rows a channel has. */
export interface S4Rows {
  readonly channels: number;
  readonly states: number;
  /** The feature of a channel: its row of step sizes. */
  readonly feature: (h: number) => number;
  /** The stored system of a channel: its row of poles, B and P. */
  readonly system: (h: number) => number;
  /** Its row of C. */
  readonly output: (h: number) => number;
}

/**
 * The rows of `H` channels.
 * Throws: CompileError `ssm-shape`, `ssm-length`.
 */
export function s4Rows(sizes: Sizes, states: number, { direction, l_max }: StorageOptions, loc?: Loc): S4Rows {
  checkLength("l_max", l_max, loc);
  const { H, G = 1, S = 1, P = 1, Q = 1, T = 1, M = 1 } = sizes;
  const fail = (message: string, fix: string): never => {
    throw new CompileError({ code: "ssm-shape", message, fix, loc });
  };
  if (P * G !== H)
    fail(
      `${G} features of ${P} outputs each make ${P * G} channels, not ${H}`,
      "give it the input once for each of its channels, side by side",
    );
  if (G % S !== 0) fail(`${S} systems cannot be shared by ${G} features in turn`, "let the number of systems divide that of the features");
  if (Q !== P && Q !== 2 * P) fail(`C has ${Q} rows for ${P} outputs`, `give ${P}, or ${2 * P} for both directions`);
  if (direction === "backward" && Q === P) fail("C has no rows for a system that runs backwards", `give ${2 * P} rows`);
  if (T !== 1 && T !== states) fail(`${T} step sizes for ${states} states`, "give one a feature, or one for each of its states");
  if (M !== 1) fail(`B has ${M} inputs`, "an S4 layer's systems have one input");
  const first = direction === "backward" ? P * G : 0;
  return {
    channels: H,
    states,
    feature: (h) => h % G,
    system: (h) => (h % G) % S,
    output: (h) => first + h,
  };
}

/** Throws: CompileError `ssm-length` where it is no number of steps. */
export function checkLength(what: string, length: number, loc?: Loc): void {
  if (Number.isSafeInteger(length) && length >= 0) return;
  throw new CompileError({
    code: "ssm-length",
    message: `${what} is ${length}`,
    fix: "give a whole number of steps, or 0 for none",
    loc,
  });
}

/** Step sizes. Shapes: `[H N]`. */
export function stepSizes({ channels, states, feature }: S4Rows, stored: Values, options: StorageOptions): Float64Array {
  const { value } = transformNamed(options.dt_transform);
  const each = stored.shape.at(-1) ?? 1;
  return Float64Array.from({ length: channels * states }, (_, i) => {
    const x = stored.at(feature(Math.floor(i / states)) * each + (each === 1 ? 0 : i % states));
    return value(options.dt_fast ? Math.sinh(x) : x);
  });
}

/** The skip connections; a system that runs backwards has none. Shapes: `[H]`. */
export const skips = ({ channels }: S4Rows, stored: Values, { direction }: StorageOptions): Float64Array =>
  direction === "backward" ? new Float64Array(channels) : Float64Array.from({ length: channels }, (_, h) => stored.at(h));

/** The interleaved array `[H N c]` of stored rows. */
const rowsOf = ({ channels, states }: S4Rows, stored: Float64Array, row: (h: number) => number): Float64Array =>
  complexArray(channels * states, (i) => complexAt(stored, row(Math.floor(i / states)) * states + (i % states)));

/** What every system of conjugate pairs has. Shapes: A, B, C `[H N c]`, D `[H]`, delta `[H N]`. */
export interface PairValues {
  readonly channels: number;
  readonly states: number;
  readonly A: Float64Array;
  readonly B: Float64Array;
  readonly C: Float64Array;
  readonly D: Float64Array;
  readonly delta: Float64Array;
}

/** A, B, C, D and step size of conjugate pairs; C is zero where the band limit says so. */
export function pairValues(
  rows: S4Rows,
  stored: Readonly<Record<"A_real" | "A_imag" | "B" | "C" | "D" | "inv_dt", Values>>,
  options: PairOptions,
): PairValues {
  const { channels, states, system } = rows;
  const [real, imag] = [transformNamed(options.real_transform), transformNamed(options.imag_transform)];
  const pole = (h: number, n: number): Complex => {
    const i = system(h) * states + n;
    return complex(-real.value(stored.A_real.at(i)), -imag.value(stored.A_imag.at(i)));
  };
  const A = complexArray(channels * states, (i) => pole(Math.floor(i / states), i % states));
  const delta = stepSizes(rows, stored.inv_dt, options);
  const C = rowsOf(rows, stored.C.data, rows.output);
  const read = (i: number): boolean =>
    options.bandlimit === 0 || ((delta[i] ?? NaN) * Math.abs(complexAt(A, i).im)) / (2 * Math.PI) < options.bandlimit / 2;
  return {
    channels,
    states,
    A,
    B: rowsOf(rows, stored.B.data, system),
    C: complexArray(channels * states, (i) => (read(i) ? complexAt(C, i) : complex(0))),
    D: skips(rows, stored.D, options),
    delta,
  };
}

/** The low-rank vectors of every channel. Shapes: stored `[R S N c]`, the result `[H R N c]`. */
export function lowRankValues({ channels, states, system }: S4Rows, stored: Values): Float64Array {
  const [rank = 0, systems = 0] = stored.shape;
  return complexArray(channels * rank * states, (i) => {
    const [h, r, n] = [Math.floor(i / (rank * states)), Math.floor(i / states) % rank, i % states];
    return complexAt(stored.data, (r * systems + system(h)) * states + n);
  });
}
