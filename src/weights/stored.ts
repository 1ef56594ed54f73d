/**
 * How the files of a bundle hold parameters that kernels read: names, formats, the order of words, and the way back. Of a
 * weight `w`: `w` or, its words in the order of columns, `w.transposed`; packed, `.f16`, `.q8` or `.q4` after it, and its
 * scales `.scales`; in pieces, `.part1`, `.part2`, .. before that, of a product of two parts `.part1by2`, ...
 */
import { bug } from "../ir/error.ts";
import type { Constant } from "../ir/graph.ts";
import { formatOf, formats, type Packed, type WeightFormat, wordsOfRow } from "../ir/packed.ts";
import type { StoredDType } from "./dtypes.ts";
import { toHalf } from "./half.ts";
import { unpack } from "./packing.ts";

/** A tensor of a bundle: elements as the file has them. */
export interface StoredTensor {
  readonly dtype: StoredDType;
  readonly shape: readonly number[];
  readonly data: Float32Array<ArrayBuffer> | Float64Array<ArrayBuffer> | Uint32Array<ArrayBuffer>;
}

/** Which results of a weight a piece has, and of how many parts the weight is. */
export interface Piece {
  readonly number: number;
  readonly first: number;
  readonly count: number;
  readonly parts: number;
}

/** How a matrix is to be stored. */
export interface Storing {
  readonly order: "rows" | "columns";
  /** All of it where absent. */
  readonly piece?: Piece | undefined;
}

/** The elements of a word in a file, so that shapes say what there is: a byte of `q4` has two numbers, the first in its low half. */
const elements: Readonly<Record<WeightFormat, { readonly dtype: StoredDType; readonly count: number }>> = {
  f16: { dtype: "F16", count: 2 },
  q8: { dtype: "U8", count: 4 },
  q4: { dtype: "U8", count: 4 },
};

/** The tensors of a matrix, by name; first that of its numbers, then that of their scales where there are any. */
export function storeMatrix(
  name: string,
  { shape, data, packed }: Constant,
  storing: Storing,
): readonly (readonly [string, StoredTensor])[] {
  const [all = 1, inner = 1] = shape;
  const base = baseName(name, storing);
  const rows = rowsOf(storing.piece, all);
  const arranged = <T extends Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>>(into: T, from: ArrayLike<number>, length: number): T =>
    arrange(into, from, rows, length, storing.order);
  const shapeOf = (length: number): number[] => (storing.order === "rows" ? [rows.length, length] : [length, rows.length]);
  if (packed === undefined)
    return [[base, { dtype: "F32", shape: shapeOf(inner), data: arranged(new Float32Array(rows.length * inner), data, inner) }]];
  const each = wordsOfRow(packed.format, inner);
  const words = (from: Uint32Array, length: number, format: WeightFormat): StoredTensor => ({
    dtype: elements[format].dtype,
    shape: [...shapeOf(length), elements[format].count],
    data: arranged(new Uint32Array(rows.length * length), from, length),
  });
  const numbers = [`${base}.${packed.format}`, words(packed.words, each.words, packed.format)] as const;
  return packed.scales === undefined ? [numbers] : [numbers, [`${base}.scales`, words(packed.scales, each.scales, "f16")]];
}

function baseName(name: string, { order, piece }: Storing): string {
  const part = piece === undefined ? "" : `.part${piece.number}${piece.parts === 1 ? "" : `by${piece.parts}`}`;
  return `${name}${order === "columns" ? ".transposed" : ""}${part}`;
}

/** The rows of a matrix that a piece has, in its order. */
function rowsOf(piece: Piece | undefined, all: number): Int32Array {
  if (piece === undefined) return Int32Array.from({ length: all }, (_, i) => i);
  const { first, count, parts } = piece;
  return Int32Array.from({ length: count * parts }, (_, i) => Math.floor(i / count) * (all / parts) + first + (i % count));
}

/** Rows of `length` each, chosen and ordered. */
function arrange<T extends Float32Array | Uint32Array>(
  into: T,
  from: ArrayLike<number>,
  rows: Int32Array,
  length: number,
  order: Storing["order"],
): T {
  rows.forEach((row, r) => {
    for (let i = 0; i < length; i++) into[order === "rows" ? r * length + i : i * rows.length + r] = from[row * length + i] ?? NaN;
  });
  return into;
}

/** Tensors of a bundle's files, their elements in float64. */
export type StoredValues = ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float64Array }>;

/** The values of a parameter of this shape; undefined where the files do not have it. */
export function readParameter(name: string, shape: readonly number[], stored: StoredValues): Constant | undefined {
  const plain = stored.get(`${name}.f64`) ?? stored.get(name);
  if (plain !== undefined) return plain;
  for (const order of ["columns", "rows"] as const) {
    const whole = readPieces(name, shape, stored, [{ order }]);
    if (whole !== undefined) return whole;
    const pieces = piecesOf(name, order, shape, stored);
    if (pieces.length > 0) return readPieces(name, shape, stored, pieces);
  }
  return undefined;
}

/** The pieces there are of a matrix, found by their names; of several divisions the one into fewest parts. */
function piecesOf(name: string, order: Storing["order"], [rows = 1]: readonly number[], stored: StoredValues): readonly Storing[] {
  const start = `${baseName(name, { order })}.part`;
  const ends = [...stored.keys()].flatMap((key) => (key.startsWith(start) ? [key.slice(start.length)] : []));
  const parts = Math.min(...ends.map((end) => Number(/^\d+by(\d+)/.exec(end)?.[1] ?? 1)));
  const pieces: Storing[] = [];
  for (let first = 0; first < rows / parts;) {
    const piece: Piece = { number: pieces.length + 1, first, count: 0, parts };
    const base = baseName(name, { order, piece });
    const found = [base, ...Object.keys(formats).map((format) => `${base}.${format}`)].map((key) => stored.get(key)).find((t) => t);
    const count = (found?.shape[order === "rows" ? 0 : 1] ?? 0) / parts;
    if (count === 0) return [];
    pieces.push({ order, piece: { ...piece, count } });
    first += count;
  }
  return pieces;
}

function readPieces(name: string, shape: readonly number[], stored: StoredValues, pieces: readonly Storing[]): Constant | undefined {
  const [all = 1, inner = 1] = shape;
  const bases = pieces.map((storing) => baseName(name, storing));
  const put = <T extends Float64Array | Uint32Array>(
    into: T,
    suffix: string,
    length: number,
    of: (data: Float64Array) => ArrayLike<number>,
  ): T => {
    pieces.forEach(({ order, piece }, i) => {
      const from = of(stored.get(`${bases[i]}${suffix}`)?.data ?? bug(`no ${bases[i]}${suffix}`));
      const rows = rowsOf(piece, all);
      rows.forEach((row, r) => {
        for (let j = 0; j < length; j++) into[row * length + j] = from[order === "rows" ? r * length + j : j * rows.length + r] ?? NaN;
      });
    });
    return into;
  };
  const has = (suffix: string): boolean => bases.every((base) => stored.has(`${base}${suffix}`));
  if (has("")) return { shape, data: put(new Float64Array(all * inner), "", inner, (data) => data) };
  const format = (Object.keys(formats) as WeightFormat[]).find((known) => has(`.${known}`));
  if (format === undefined) return undefined;
  const scaled = formatOf(format).scaled !== undefined;
  if (scaled && !has(".scales")) return undefined;
  const each = wordsOfRow(format, inner);
  const packed: Packed = {
    format,
    words: put(new Uint32Array(all * each.words), `.${format}`, each.words, (data) => wordsFrom(data, format)),
    ...(scaled ? { scales: put(new Uint32Array(all * each.scales), ".scales", each.scales, (data) => wordsFrom(data, "f16")) } : {}),
  };
  return { shape, data: unpack(packed, all, inner), packed };
}

/** The words that elements of a file are. */
function wordsFrom(data: Float64Array, format: WeightFormat): Uint32Array {
  const { count } = elements[format];
  return Uint32Array.from({ length: data.length / count }, (_, i) =>
    data
      .subarray(i * count, (i + 1) * count)
      .reduce((word, element, j) => word | ((format === "f16" ? (toHalf(element) ?? 0) : element) << ((32 / count) * j)), 0),
  );
}
