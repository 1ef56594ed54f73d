/** Packs the numbers of a matrix into the words of a format, and back. Which weights are packed, `passes/quantize.ts` decides. */
import { formatOf, type Packed, type PackingError, type WeightFormat, wordsOfRow } from "../ir/packed.ts";
import { fromHalf, SMALLEST_HALF, toHalf } from "./half.ts";

/** What is lost where a scale is too small for a half: more than a format does to any numbers it suits. */
const MOST_LOST: Readonly<Record<WeightFormat, number>> = { f16: 0.002, q8: 0.05, q4: 0.3 };

/**
 * The matrix `[rows inner]` in a format, and its values then; undefined where the format has no place for them: numbers
 * that are not finite, beyond halves, or so small that their scales would be lost.
 */
export function pack(
  format: WeightFormat,
  rows: number,
  inner: number,
  data: Float64Array,
): { readonly packed: Packed; readonly data: Float64Array } | undefined {
  const { words, scales } = wordsOfRow(format, inner);
  const packed = {
    format,
    words: new Uint32Array(rows * words),
    ...(scales > 0 ? { scales: new Uint32Array(rows * scales) } : {}),
  };
  const fill = scales > 0 ? fillScaled : fillHalves;
  for (let row = 0; row < rows; row++) if (!fill(packed, row, data.subarray(row * inner, (row + 1) * inner))) return undefined;
  const rounded = unpack(packed, rows, inner);
  const error = packingError(data, rounded);
  return error.rms <= MOST_LOST[format] ? { packed: { ...packed, error }, data: rounded } : undefined;
}

/** The values of a packed matrix `[rows inner]`, exactly. */
export function unpack({ format, words, scales }: Packed, rows: number, inner: number): Float64Array {
  const { perWord, scaled } = formatOf(format);
  const each = wordsOfRow(format, inner);
  const bits = 32 / perWord;
  const mask = 2 ** bits - 1;
  const data = new Float64Array(rows * inner);
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < inner; i++) {
      const code = ((words[row * each.words + Math.floor(i / perWord)] ?? 0) >>> ((i % perWord) * bits)) & mask;
      data[row * inner + i] =
        scaled === undefined || scales === undefined
          ? fromHalf(code)
          : (code - scaled.zero) * fromHalf(halfAt(scales, row * each.scales, Math.floor(i / scaled.group)));
    }
  }
  return data;
}

const halfAt = (words: Uint32Array, first: number, index: number): number =>
  ((words[first + (index >> 1)] ?? 0) >>> (16 * (index & 1))) & 0xffff;

/** Adds the bits of number `index` to the words from `first` on. */
function put(words: Uint32Array, first: number, index: number, perWord: number, bits: number): void {
  const at = first + Math.floor(index / perWord);
  words[at] = ((words[at] ?? 0) | (bits << ((index % perWord) * (32 / perWord)))) >>> 0;
}

type Words = Pick<Packed, "format" | "words" | "scales">;

/** Fills one row; says whether every number has a half. */
function fillHalves({ words }: Words, row: number, values: Float64Array): boolean {
  const first = row * Math.ceil(values.length / 2);
  return values.every((value, i) => {
    const half = toHalf(value);
    if (half !== undefined) put(words, first, i, 2, half);
    return half !== undefined;
  });
}

/** Fills one row with codes and scales; says whether every scale has a half. */
function fillScaled({ format, words, scales }: Words, row: number, values: Float64Array): boolean {
  const { perWord, scaled } = formatOf(format);
  if (scaled === undefined || scales === undefined) return false;
  const { group, zero } = scaled;
  const each = wordsOfRow(format, values.length);
  for (let g = 0; g * group < values.length; g++) {
    const own = values.subarray(g * group, (g + 1) * group);
    const half = bestScale(own, zero);
    if (half === undefined) return false;
    put(scales, row * each.scales, g, 2, half);
    const scale = fromHalf(half);
    own.forEach((value, i) => put(words, row * each.words, g * group + i, perWord, zero + codeOf(value, scale, zero)));
  }
  return true;
}

/** The nearest of the whole numbers -zero .. zero - 1 times `scale`. */
const codeOf = (value: number, scale: number, zero: number): number =>
  scale === 0 ? 0 : Math.max(-zero, Math.min(zero - 1, Math.round(value / scale)));

/** Where the largest number of a group is put, as parts of the lowest code. */
const STARTS = [1, 0.92] as const;

/**
 * The scale, as a half, of the least square error among a few: those that put the largest number, whatever its sign, at
 * the lowest code or a little beyond it, and the best for the codes they give, by least squares.
 */
function bestScale(values: Float64Array, zero: number): number | undefined {
  const extreme = values.reduce((most, value) => (Math.abs(value) > Math.abs(most) ? value : most), 0);
  if (!values.every(Number.isFinite)) return undefined;
  let best: number | undefined;
  let least = Infinity;
  for (const start of STARTS) {
    let scale = (-extreme * start) / zero;
    for (let fit = 0; fit < 2; fit++) {
      const half = toHalf(Math.abs(scale) < SMALLEST_HALF ? SMALLEST_HALF : scale);
      if (half === undefined) break;
      const { error, refitted } = judge(values, fromHalf(half), zero);
      if (error < least) [best, least] = [half, error];
      scale = refitted;
    }
  }
  return best;
}

/** The square error of a scale, and the scale that suits its codes best. */
function judge(values: Float64Array, scale: number, zero: number): { readonly error: number; readonly refitted: number } {
  let [error, along, square] = [0, 0, 0];
  for (const value of values) {
    const code = codeOf(value, scale, zero);
    error += (value - code * scale) ** 2;
    along += code * value;
    square += code * code;
  }
  return { error, refitted: square === 0 ? 0 : along / square };
}

/** How far values are from what they were. */
export function packingError(before: Float64Array, after: Float64Array): PackingError {
  let [square, size, most, largest] = [0, 0, 0, 0];
  before.forEach((value, i) => {
    const difference = Math.abs((after[i] ?? NaN) - value);
    square += difference ** 2;
    size += value ** 2;
    most = Math.max(most, difference);
    largest = Math.max(largest, Math.abs(value));
  });
  const over = (a: number, b: number): number => (a === 0 ? 0 : a / b);
  return { rms: Math.sqrt(over(square, size)), max: over(most, largest), norm: Math.sqrt(size) };
}
