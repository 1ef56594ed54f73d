/**
 * Convolution by an FFT too long for workgroup memory: M = M1 M2 points as a matrix of M1 rows of M2. A workgroup transforms
 * several neighbouring columns, another each row; spectra stay in the order the passes leave them in.
 * Source: Gentleman and Sande 1966 (the four-step form).
 */
import { bug } from "../../ir/error.ts";
import {
  add,
  cmul,
  type Complex,
  conj,
  div,
  f32,
  fma,
  group,
  type KernelBuilder,
  type KExpr,
  lt,
  min,
  mod,
  mul,
  select,
  sub,
  u32,
} from "./kit.ts";
import {
  convolveFft,
  fftConstants,
  fftKernel,
  type FftKernel,
  type FftShape,
  forwardFft,
  inverseFft,
  loadComplex,
  storeComplex,
} from "./fft.ts";
import type { LowerContext, Size } from "./schedule.ts";

/** What is transformed: of every channel as many lines of samples as `rows` says, each by M points. */
export interface Large {
  readonly context: LowerContext;
  readonly channels: number;
  /** M, in a kernel and as source over `d`. */
  readonly points: KExpr;
  readonly size: string;
  /** M where it is known when compiling: tables and spectra are then the same for all lengths. */
  readonly fixed?: number;
  /** When it runs, as source over `d`. */
  readonly when?: string;
}

/** Lines of samples. */
export interface LargeInput {
  /** Samples of a line, in a kernel and as source over `d`. */
  readonly count: KExpr;
  readonly length: Size;
  /** Lines of one channel, over all sequences; a workgroup finds its own in `group(2)`, its channel in `group(1)`. */
  readonly rows: Size;
  readonly sample: (k: KernelBuilder, n: KExpr) => KExpr;
}

/** Lines of results. */
export interface LargeOutput extends LargeInput {
  readonly sink: (k: KernelBuilder, n: KExpr, value: KExpr) => void;
  /** Of the results, and of what is done to them. */
  readonly flops: Size;
  readonly bytes: Size;
}

/** Column length of a large FFT and its rows', as source over `d`. */
const columnPoints = (size: string): string => `(2**Math.floor(Math.log2(${size})/2))`;
const rowPoints = (size: string): string => `(2**Math.ceil(Math.log2(${size})/2))`;
/** Entries of the finer of the two root tables whose product is e^{-2 pi i x / 4M}. */
const fineRoots = 512;

interface LargeTables {
  readonly columns: number;
  readonly rows: number;
  readonly fine: number;
}

/** What only lengths too long for workgroup memory need. */
const needed = ({ fixed }: Large, source: string): string => (fixed === undefined ? `d.M>d.F?${source}:0` : source);

function largeTables(large: Large): LargeTables {
  const { context, size, fixed } = large;
  const t = context.table({
    maker: "largeFft",
    tensors: {},
    options: fixed === undefined ? { fine: fineRoots } : { fine: fineRoots, points: fixed },
    sizes: {
      columns: needed(large, `2*${columnPoints(size)}`),
      rows: needed(large, `2*${rowPoints(size)}`),
      fine: needed(large, `${2 * fineRoots}+8*${size}/${fineRoots}`),
    },
    perM: fixed === undefined,
  });
  return { columns: t["columns"] ?? bug("no table"), rows: t["rows"] ?? bug("no table"), fine: t["fine"] ?? bug("no table") };
}

/** e^{-2 pi i x / 4M} for x < 4M, from two tables. */
function fineRoot(k: KernelBuilder, table: string, x: KExpr): Complex {
  const coarse = k.letComplex("coarse", loadComplex(k, table, add(div(x, fineRoots), fineRoots)));
  return k.letComplex("root", cmul(coarse, loadComplex(k, table, mod(x, fineRoots))));
}

interface ColumnKernel extends FftKernel {
  /** The column of the M1 x M2 matrix this lane works on. */
  readonly column: KExpr;
  readonly rowPoints: KExpr;
  readonly fine: string;
}

/** A workgroup on several neighbouring columns of the M1 x M2 matrix. */
function columnKernel(name: string, large: Large): ColumnKernel {
  const tables = largeTables(large);
  const fft = fftKernel(name, tables.columns);
  const { k, shape } = fft;
  return {
    ...fft,
    column: k.let("column", add(mul(group(0), shape.columns), shape.column)),
    rowPoints: k.let("row_points", div(large.points, shape.points)),
    fine: k.bind(tables.fine),
  };
}

/** Sizes of the kernels of columns and rows, as source over `d`. */
function shapesOf(size: string): {
  readonly columns: Readonly<Record<string, string>>;
  readonly rows: Readonly<Record<string, string>>;
  /** Workgroups of a line's columns, and the bytes of its tables that each reads. */
  readonly grid: string;
  readonly tableBytes: string;
} {
  const count = `Math.min(32,d.F/${columnPoints(size)})`;
  /** Entries of the fine table: a quarter for twiddles, and (of which a quarter are those) for weights. */
  const fineSeen = `Math.min(${fineRoots},${fineRoots / 4}+0.75*${count}*Math.max(1,${fineRoots}/${rowPoints(size)}))`;
  return {
    columns: fftConstants(columnPoints(size), count),
    rows: fftConstants(rowPoints(size), "1"),
    grid: `${rowPoints(size)}/(${count})`,
    tableBytes: `(8*${fineSeen}+${32 / fineRoots}*${size}+1.75*${columnPoints(size)})`,
  };
}

/** The frequency stored at position p: its digits in reverse. */
function frequencyAt(k: KernelBuilder, shape: FftShape, p: KExpr): KExpr {
  const rest = k.var("rest", p);
  const stride = k.var("digit_stride", shape.points);
  const weight = k.var("weight", u32(1));
  const frequency = k.var("frequency", u32(0));
  k.for("digit", 0, shape.passes, () => {
    k.assign(stride, div(stride, 8));
    const digit = k.let("d8", div(rest, stride));
    k.assign(rest, sub(rest, mul(digit, stride)));
    k.assign(frequency, fma(digit, weight, frequency));
    k.assign(weight, mul(weight, 8));
  });
  return k.let("k1", fma(rest, weight, frequency));
}

/** Columns forward: weighted samples to the scratch matrix, twiddled. */
function emitColumns(large: Large, emit: LowerContext["emit"], scratch: number, input: LargeInput): void {
  const { channels, points, size, when } = large;
  const job = columnKernel("fft_columns", large);
  const { k, shape, column } = job;
  const out = k.bind(scratch, "read_write");
  const base = k.let("base", mul(add(mul(group(2), channels), group(1)), points));
  const source = (n1: KExpr): Complex => {
    const n = k.let("n", add(mul(n1, job.rowPoints), column));
    const value = k.let("u", select(lt(n, input.count), input.sample(k, min(n, sub(input.count, 1))), f32(0)));
    const w = fineRoot(k, job.fine, n);
    return { re: mul(w.re, value), im: mul(sub(f32(0), w.im), value) };
  };
  const sink = (p: KExpr, v: Complex): void => {
    const twiddle = fineRoot(k, job.fine, mul(mul(column, frequencyAt(k, shape, p)), 4));
    storeComplex(k, out, add(base, add(mul(p, job.rowPoints), column)), k.letComplex("v", cmul(v, twiddle)));
  };
  forwardFft(k, shape, source, job.memory, sink);
  const rows = `${channels}*${input.rows}`;
  const moved = `(4*${input.length}+8*${size})*${rows}`;
  const { grid, columns, tableBytes } = shapesOf(size);
  emit({
    built: k.finish(),
    grid: [grid, channels, input.rows],
    constants: columns,
    ...(when === undefined ? {} : { when }),
    cost: {
      flops: `${rows}*(5*${size}*Math.log2(${columnPoints(size)})+14*${size})`,
      bytes: `${moved}+${rows}*${grid}*${tableBytes}`,
      minimum: `${moved}+${tableBytes}`,
    },
  });
}

/** The spectrum `[H M]` of a kernel a channel, in the order `emitLarge` wants. */
export function emitLargeSpectrum(large: Large, buffer: number, emit: LowerContext["emit"], taps: Omit<LargeInput, "rows">): void {
  const { context, channels, points, size, when } = large;
  const scratch = context.temp(needed(large, `${2 * channels}*${size}`));
  emitColumns(large, emit, scratch, { ...taps, rows: 1 });
  const { k, shape, memory } = fftKernel("fft_rows_spectrum", largeTables(large).rows);
  const [from, out] = [k.bind(scratch), k.bind(buffer, "read_write")];
  const base = k.let("base", add(mul(group(1), points), mul(group(0), shape.points)));
  const scale = k.let("scale", div(f32(1), { op: "call", type: "f32", fn: "float", args: [points] }));
  forwardFft(
    k,
    shape,
    (i) => loadComplex(k, from, add(base, i)),
    memory,
    (i, v) => storeComplex(k, out, add(base, i), { re: mul(v.re, scale), im: mul(v.im, scale) }),
  );
  const moved = `${16 * channels}*${size}`;
  emit({
    built: k.finish(),
    grid: [columnPoints(size), channels, 1],
    constants: shapesOf(size).rows,
    ...(when === undefined ? {} : { when }),
    cost: {
      flops: `${channels}*5*${size}*Math.log2(${rowPoints(size)})`,
      bytes: `${moved}+${1.75 * channels}*${size}`,
      minimum: `${moved}+1.75*${rowPoints(size)}`,
    },
  });
}

/** The convolution in three dispatches: columns, rows with the spectrum, columns back. */
export function emitLarge(large: Large, spectrum: number, lines: LargeOutput): void {
  const { context, channels, points, size, when } = large;
  const scratch = context.temp(needed(large, `${2 * channels}*${size}*${lines.rows}`));
  emitColumns(large, context.emit, scratch, lines);
  emitLargeRows(large, spectrum, scratch, lines.rows);
  const job = columnKernel("fft_columns_inverse", large);
  const { k, shape, column } = job;
  const from = k.bind(scratch);
  const base = k.let("base", mul(add(mul(group(2), channels), group(1)), points));
  const source = (p: KExpr): Complex => {
    const twiddle = fineRoot(k, job.fine, mul(mul(column, frequencyAt(k, shape, p)), 4));
    return cmul(k.letComplex("v", loadComplex(k, from, add(base, add(mul(p, job.rowPoints), column)))), conj(twiddle));
  };
  const sink = (n1: KExpr, v: Complex): void => {
    const n = k.let("n", add(mul(n1, job.rowPoints), column));
    k.if(lt(n, lines.count), () => {
      const w = fineRoot(k, job.fine, n);
      lines.sink(k, n, sub(mul(w.re, v.re), mul(w.im, v.im)));
    });
  };
  inverseFft(k, shape, source, job.memory, sink);
  const rows = `${channels}*${lines.rows}`;
  const moved = `8*${size}*${rows}+${lines.bytes}`;
  const { grid, columns, tableBytes } = shapesOf(size);
  context.emit({
    built: k.finish(),
    grid: [grid, channels, lines.rows],
    constants: columns,
    ...(when === undefined ? {} : { when }),
    cost: {
      flops: `${rows}*(5*${size}*Math.log2(${columnPoints(size)})+14*${size})+${lines.flops}`,
      bytes: `${moved}+${rows}*${grid}*${tableBytes}`,
      minimum: `${moved}+${tableBytes}`,
    },
  });
}

function emitLargeRows(large: Large, spectrum: number, scratch: number, rows: Size): void {
  const { context, channels, points, size, when } = large;
  const { k, shape, memory } = fftKernel("fft_rows", largeTables(large).rows);
  const [data, spectrumName] = [k.bind(scratch, "read_write"), k.bind(spectrum)];
  const row = k.let("row", mul(group(0), shape.points));
  const base = k.let("base", add(mul(add(mul(group(2), channels), group(1)), points), row));
  const spectrumBase = k.let("spectrum_base", add(mul(group(1), points), row));
  const load = (i: KExpr): Complex => loadComplex(k, data, add(base, i));
  const store = (i: KExpr, v: Complex): void => storeComplex(k, data, add(base, i), v);
  convolveFft(k, shape, load, memory, store, (i, v) => cmul(v, k.letComplex("s", loadComplex(k, spectrumName, add(spectrumBase, i)))));
  const moved = `${16 * channels}*${size}*${rows}`;
  context.emit({
    built: k.finish(),
    grid: [columnPoints(size), channels, rows],
    constants: shapesOf(size).rows,
    ...(when === undefined ? {} : { when }),
    cost: {
      flops: `${rows}*${channels}*(10*${size}*Math.log2(${rowPoints(size)})+6*${size})`,
      bytes: `${moved}+${9.75 * channels}*${size}*${rows}`,
      minimum: `${moved}+${8 * channels}*${size}+1.75*${rowPoints(size)}`,
    },
  });
}
