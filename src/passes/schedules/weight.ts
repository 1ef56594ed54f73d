/**
 * How kernels read weights: the one place that knows what the words of each format mean. A weight is a matrix
 * `[rows inner]` of float32 or packed words (`ir/packed.ts`) in one or more pieces, each a buffer of its own.
 */
import { bug } from "../../ir/error.ts";
import { formatOf, type WeightFormat, wordsOfRow } from "../../ir/packed.ts";
import { add, bitand, div, f32, float, half, type KernelBuilder, type KExpr, lane, lt, min, mod, mul, shr, sub } from "./kit.ts";

/** Some results of a weight: their rows, and the buffers that hold them. */
export interface WeightPiece {
  /** The first result; in a weight of several parts rows of every part follow each other. */
  readonly first: number;
  /** Results. */
  readonly count: number;
  /** Rows: results times parts. */
  readonly rows: number;
  readonly numbers: number;
  readonly scales?: number | undefined;
}

/** A parameter `[rows inner]` as kernels find it. */
export interface Weight {
  readonly format: "f32" | WeightFormat;
  /** Whether the words of a row follow each other, or those at one place of all rows. */
  readonly order: "rows" | "columns";
  readonly inner: number;
  readonly pieces: readonly WeightPiece[];
}

/** Rows whose words are loaded at once. */
export type Wide = 1 | 4;

/** A piece of a weight in a kernel. */
export interface BoundWeight {
  readonly weight: Weight;
  readonly piece: WeightPiece;
  readonly wide: Wide;
  readonly numbers: string;
  readonly scales: string | undefined;
}

/** What is loaded at once. */
const wordType = ({ weight, wide }: Pick<BoundWeight, "weight" | "wide">): "f32" | "u32" | "vec4f" | "vec4u" =>
  weight.format === "f32" ? (wide === 4 ? "vec4f" : "f32") : wide === 4 ? "vec4u" : "u32";

/** Binds a piece; `wide` rows of it are read at once, which their number must be a multiple of. */
export function bindWeight(k: KernelBuilder, weight: Weight, piece: WeightPiece, wide: Wide = 1): BoundWeight {
  const words = wide === 4 ? "vec4u" : "u32";
  return {
    weight,
    piece,
    wide,
    numbers: k.bind(piece.numbers, "read", wordType({ weight, wide })),
    scales: piece.scales === undefined ? undefined : k.bind(piece.scales, "read", words),
  };
}

/** Bytes of the words of a row, scales included. */
export function rowBytes({ format, inner }: Weight): number {
  if (format === "f32") return 4 * inner;
  const { words, scales } = wordsOfRow(format, inner);
  return 4 * (words + scales);
}

/** Operations that make a number of what is stored. */
export const unpackingFlops = ({ format }: Weight): number => (format === "f32" || formatOf(format).scaled === undefined ? 0 : 2);

/** Words of a row that are loaded before any is used: a lane waits for them once. Of four, the loop is written out. */
export type Ahead = 1 | 4;

/** As many as rows allow. */
export const aheadOf = ({ format, inner }: Weight): Ahead =>
  inner % (4 * (format === "f32" ? 1 : formatOf(format).perWord)) === 0 ? 4 : 1;

/** Inputs that share what is loaded for them: a sum over inputs is cut at multiples of it only. */
export function grainOf({ format }: Weight, ahead: Ahead): number {
  if (format === "f32") return ahead;
  const { perWord, scaled } = formatOf(format);
  return scaled === undefined || ahead > 1 ? perWord * ahead : scaled.group;
}

/** Inputs from one multiple of the weight's grain to another, in grains. */
export interface Range {
  readonly from: KExpr | number;
  readonly to: KExpr | number;
}

/** All inputs. */
export const everyInput = (weight: Weight, ahead: Ahead): Range => ({ from: 0, to: Math.ceil(weight.inner / grainOf(weight, ahead)) });

/** A weight of the input at hand, `column` counted among the columns asked for. */
type WeightAt = (column: number) => KExpr;

/**
 * Goes through inputs in order; `body` sees the number of one, and the weights that lead from it to the rows of each
 * column. Packed words are loaded once and taken apart in registers. `columns` count `wide` rows.
 */
export function sweep(
  k: KernelBuilder,
  bound: BoundWeight,
  ahead: Ahead,
  { from, to }: Range,
  columns: readonly KExpr[],
  body: (input: KExpr, weightAt: WeightAt) => void,
): void {
  const { weight, piece, wide, numbers } = bound;
  if (weight.order !== "columns") bug("a sum needs the rows of a weight side by side");
  const width = piece.rows / wide;
  const columnAt = (i: number): KExpr => columns[i] ?? bug("no column");
  const upFrom = (first: KExpr, name: string, count: number): readonly KExpr[] =>
    Array.from({ length: count }, (_, i) => k.let(name, add(first, i)));
  if (weight.format === "f32") {
    k.for("k", from, to, (grain) => {
      for (const input of upFrom(k.let("first", mul(grain, ahead)), "i", ahead)) {
        const row = k.let("row", mul(input, width));
        body(input, (i) => k.load(numbers, add(row, columnAt(i))));
      }
    });
    return;
  }
  const { format, inner } = weight;
  const { perWord, scaled } = formatOf(format);
  /** The inputs of `count` words from `first` on. */
  const words = (first: KExpr, count: number, number: (code: KExpr, column: number) => KExpr): void => {
    const loaded = upFrom(first, "j", count).map((j) => {
      const row = k.let("row", mul(j, width));
      return { j, words: columns.map((column) => k.let("word", k.load(numbers, add(row, column)))) };
    });
    for (const { j, words } of loaded) {
      const held = inner % perWord === 0 ? perWord : min(perWord, sub(inner, mul(j, perWord)));
      k.for("h", 0, held, (h) =>
        body(k.let("k", add(mul(j, perWord), h)), (i) => number(shr(words[i] ?? bug("no word"), mul(h, 32 / perWord)), i)),
      );
    }
  };
  if (scaled === undefined) {
    k.for("j", from, to, (grain) => words(k.let("first", mul(grain, ahead)), ahead, half));
    return;
  }
  const { group, zero } = scaled;
  const each = grainOf(weight, ahead) / perWord;
  const last = Math.ceil(inner / perWord);
  k.for("g", from, to, (grain) => {
    const g = k.let("group", div(grain, group / perWord / each));
    const row = k.let("row", mul(div(g, 2), width));
    const scales = columns.map((column) =>
      k.let("scale", half(shr(k.load(bound.scales ?? bug("no scales"), add(row, column)), mul(mod(g, 2), 16)))),
    );
    const lows = scales.map((scale) => k.let("low", mul(scale, -zero)));
    const number = (code: KExpr, i: number): KExpr =>
      add(mul(float(bitand(code, 2 ** (32 / perWord) - 1)), scales[i] ?? bug("no scale")), lows[i] ?? bug("no scale"));
    const first = k.let("first", mul(grain, each));
    if (ahead > 1) return words(first, ahead, number);
    const end = add(first, each);
    k.for("j", first, last % each === 0 ? end : min(end, last), (j) => words(j, 1, number));
  });
}

/** Where a workgroup stages weights: an array of its memory, `[inputs][columns]`, columns of `wide` rows. */
export interface Staging {
  readonly array: string;
  /** A multiple of the inputs in a word. */
  readonly inputs: number;
  readonly columns: number;
  readonly lanes: number;
}

/** Weights on their way to workgroup memory: `fetch` loads those of the inputs from `first` on, `put` stores them unpacked. */
export interface Stager {
  readonly fetch: (first: KExpr) => void;
  readonly put: () => void;
}

/** Stages weights by all lanes of a workgroup; `columnOf` gives a column's place among those of the piece. Beyond the last input it repeats. */
export function stager(
  k: KernelBuilder,
  bound: BoundWeight,
  { array, inputs, columns, lanes }: Staging,
  columnOf: (column: KExpr) => KExpr,
): Stager {
  const { weight, piece, wide, numbers, scales } = bound;
  if (weight.order !== "columns") bug("a sum needs the rows of a weight side by side");
  const width = piece.rows / wide;
  const { perWord, scaled } = weight.format === "f32" ? { perWord: 1, scaled: undefined } : formatOf(weight.format);
  const total = (inputs / perWord) * columns;
  const stored = Math.ceil(weight.inner / perWord);
  const whole = weight.inner % inputs === 0;
  const words = Array.from({ length: Math.ceil(total / lanes) }, (_, i) => {
    const [all, e] = [(i + 1) * lanes <= total, k.let("e", add(lane, i * lanes))];
    const safe = all ? e : k.let("safe", min(e, total - 1));
    const [row, column] = [k.let("j", div(safe, columns)), k.let("o", columnOf(mod(safe, columns)))];
    const none: KExpr = { op: "lit", type: wordType(bound), value: 0 };
    return {
      all,
      e,
      row,
      column,
      word: k.var("word", none),
      scale: scaled && k.var("scale", wide === 4 ? { ...none, type: "vec4f" } : f32(0)),
    };
  });
  return {
    fetch: (first) =>
      words.forEach(({ row, column, word, scale }) => {
        const j = k.let("at", whole ? add(div(first, perWord), row) : min(add(div(first, perWord), row), stored - 1));
        k.assign(word, k.load(numbers, add(mul(j, width), column)));
        if (scale === undefined || scaled === undefined) return;
        const group = k.let("group", div(j, scaled.group / perWord));
        const pair = k.load(scales ?? bug("no scales"), add(mul(div(group, 2), width), column));
        k.assign(scale, half(shr(pair, mul(mod(group, 2), 16))));
      }),
    put: () =>
      words.forEach(({ all, e, row, word, scale }) => {
        const store = (): void => {
          if (weight.format === "f32") return k.storeShared(array, e, word);
          const first = k.let("to", add(mul(row, perWord * columns), sub(e, mul(row, columns))));
          k.for("h", 0, perWord, (h) => {
            const code = shr(word, mul(h, 32 / perWord));
            const low = bitand(code, 2 ** (32 / perWord) - 1);
            k.storeShared(array, add(first, mul(h, columns)), scale && scaled ? mul(sub(float(low), scaled.zero), scale) : half(code));
          });
        };
        if (all) store();
        else k.if(lt(e, total), store);
      }),
  };
}

/** One number: that of `row` of the piece at `input`. */
export function weightAt(k: KernelBuilder, bound: BoundWeight, row: KExpr, input: KExpr): KExpr {
  const { weight, piece, numbers, scales } = bound;
  const { format, inner } = weight;
  const at = (place: KExpr, length: number): KExpr =>
    weight.order === "columns" ? add(mul(place, piece.rows), row) : add(mul(row, length), place);
  if (format === "f32") return k.load(numbers, at(input, inner));
  const { perWord, scaled } = formatOf(format);
  const each = wordsOfRow(format, inner);
  const bits = 32 / perWord;
  const code = shr(k.load(numbers, at(div(input, perWord), each.words)), mul(mod(input, perWord), bits));
  if (scaled === undefined) return half(code);
  const group = k.let("group", div(input, scaled.group));
  const pair = k.load(scales ?? bug("no scales"), at(div(group, 2), each.scales));
  const scale = k.let("scale", half(shr(pair, mul(mod(group, 2), 16))));
  return mul(sub(float(bitand(code, 2 ** bits - 1)), scaled.zero), scale);
}
