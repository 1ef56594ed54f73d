/**
 * Weights of fewer bits than a float32: what the words of a matrix hold. Data and meaning only: `weights/packing.ts` makes
 * them, `passes/schedules/weight.ts` reads them on the device.
 */

/** What a weight that is no float32 is stored as. */
export type WeightFormat = "f16" | "q8" | "q4";

interface FormatDef {
  /** Numbers in a word of 32 bits, the first in the lowest bits. */
  readonly perWord: number;
  /** Of formats with scales: neighbouring numbers that share one, and the code of 0. */
  readonly scaled?: { readonly group: number; readonly zero: number };
}

/** `f16` holds halves; a number of the others is (code - zero) times the scale of its group, a half. */
export const formats = {
  f16: { perWord: 2 },
  q8: { perWord: 4, scaled: { group: 64, zero: 128 } },
  q4: { perWord: 8, scaled: { group: 32, zero: 8 } },
} as const satisfies Readonly<Record<WeightFormat, FormatDef>>;

/** The table's entry, as any format has it. */
export const formatOf = (format: WeightFormat): FormatDef => formats[format];

/** A matrix `[rows inner]`, packed along its rows. */
export interface Packed {
  readonly format: WeightFormat;
  /** `[rows ceil(inner / perWord)]`; what a row does not fill is 0. */
  readonly words: Uint32Array<ArrayBuffer>;
  /** Of formats with scales: halves, two a word, `[rows ceil(groups / 2)]`. */
  readonly scales?: Uint32Array<ArrayBuffer> | undefined;
  /** What packing changed; where that is known. */
  readonly error?: PackingError | undefined;
}

/** Differences of a tensor from what it was. */
export interface PackingError {
  /** Root of the mean square, over that of the values. */
  readonly rms: number;
  /** The largest, over the largest value. */
  readonly max: number;
  /** Root of the sum of the squares of the values: the weight of this error among others. */
  readonly norm: number;
}

/** Words a row takes: of its numbers, of its scales. */
export function wordsOfRow(format: WeightFormat, inner: number): { readonly words: number; readonly scales: number } {
  const { perWord, scaled } = formatOf(format);
  return { words: Math.ceil(inner / perWord), scales: scaled === undefined ? 0 : Math.ceil(Math.ceil(inner / scaled.group) / 2) };
}
