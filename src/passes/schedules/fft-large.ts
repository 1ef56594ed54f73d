/**
 * Convolution by an FFT too long for workgroup memory: M = M1 M2 points as a matrix of M1 rows of M2. A workgroup transforms
 * several neighbouring columns, another each row; spectra stay in the order the passes leave them in.
 * Source: Gentleman and Sande 1966 (the four-step form).
 */
import { bug } from "../../ir/error.ts";
import { type Convolution, directUpTo, finishAt, ioBytes } from "./convolution-job.ts";
import {
  add,
  cmul,
  type Complex,
  conj,
  dim,
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
import { elements, flopsOf, type LowerContext, read } from "./schedule.ts";

const largeWhen = `d.L>${directUpTo}&&d.M>d.F`;

/** Column length of a large FFT and its rows', as source over `d`. */
const columnPoints = "(2**Math.floor(Math.log2(d.M)/2))";
const rowPoints = "(2**Math.ceil(Math.log2(d.M)/2))";
/** Entries of the finer of the two root tables whose product is e^{-2 pi i x / 4M}. */
const fineRoots = 512;

interface LargeTables {
  readonly columns: number;
  readonly rows: number;
  readonly fine: number;
}

function largeTables(context: LowerContext): LargeTables {
  const t = context.table({
    maker: "largeFft",
    tensors: {},
    options: { fine: fineRoots },
    sizes: {
      columns: `d.M>d.F?2*${columnPoints}:0`,
      rows: `d.M>d.F?2*${rowPoints}:0`,
      fine: `d.M>d.F?${2 * fineRoots}+8*d.M/${fineRoots}:0`,
    },
    perM: true,
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
function columnKernel(name: string, context: LowerContext): ColumnKernel {
  const tables = largeTables(context);
  const fft = fftKernel(name, tables.columns);
  const { k, shape } = fft;
  return {
    ...fft,
    column: k.let("column", add(mul(group(0), shape.columns), shape.column)),
    rowPoints: k.let("row_points", div(dim("M"), shape.points)),
    fine: k.bind(tables.fine),
  };
}

const columnCount = `Math.min(32,d.F/${columnPoints})`;
const columnConstants = fftConstants(columnPoints, columnCount);
const rowConstants = fftConstants(rowPoints, "1");
/** Entries of the fine table a workgroup of columns reads: a quarter for twiddles, and (of which a quarter are those) for weights. */
const fineSeen = `Math.min(${fineRoots},${fineRoots / 4}+0.75*${columnCount}*Math.max(1,${fineRoots}/${rowPoints}))`;
/** Bytes of its tables a workgroup of columns reads. */
const columnTableBytes = `(8*${fineSeen}+${32 / fineRoots}*d.M+1.75*${columnPoints})`;
const columnGrid = `${rowPoints}/(${columnCount})`;

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
function emitColumns(
  context: LowerContext,
  emit: LowerContext["emit"],
  scratch: number,
  count: KExpr,
  grid: readonly [number | string, number | string],
  channels: number,
  sample: (k: KernelBuilder, n: KExpr) => KExpr,
): void {
  const job = columnKernel("fft_columns", context);
  const { k, shape, column } = job;
  const out = k.bind(scratch, "read_write");
  const base = k.let("base", mul(add(mul(group(2), channels), group(1)), dim("M")));
  const source = (n1: KExpr): Complex => {
    const n = k.let("n", add(mul(n1, job.rowPoints), column));
    const value = k.let("u", select(lt(n, count), sample(k, min(n, sub(count, 1))), f32(0)));
    const w = fineRoot(k, job.fine, n);
    return { re: mul(w.re, value), im: mul(sub(f32(0), w.im), value) };
  };
  const sink = (p: KExpr, v: Complex): void => {
    const twiddle = fineRoot(k, job.fine, mul(mul(column, frequencyAt(k, shape, p)), 4));
    storeComplex(k, out, add(base, add(mul(p, job.rowPoints), column)), k.letComplex("v", cmul(v, twiddle)));
  };
  forwardFft(k, shape, source, job.memory, sink);
  const rows = `${grid[0]}*${grid[1]}`;
  const moved = `(4*d.L+8*d.M)*${rows}`;
  emit({
    built: k.finish(),
    grid: [columnGrid, grid[0], grid[1]],
    constants: columnConstants,
    when: largeWhen,
    cost: {
      flops: `${rows}*(5*d.M*Math.log2(${columnPoints})+14*d.M)`,
      bytes: `${moved}+${rows}*${columnGrid}*${columnTableBytes}`,
      minimum: `${moved}+${columnTableBytes}`,
    },
  });
}

/** The spectrum `[H M]` of kernels `taps`, in the order `emitLarge` wants. */
export function emitLargeSpectrum({ taps, channels, context }: Convolution, buffer: number, emit: LowerContext["emit"]): void {
  const scratch = context.temp(`d.M>d.F?${2 * channels}*d.M:0`);
  emitColumns(context, emit, scratch, dim("M"), [channels, 1], channels, (k, n) => k.load(k.bind(taps), add(mul(group(1), dim("M")), n)));
  const { k, shape, memory } = fftKernel("fft_rows_spectrum", largeTables(context).rows);
  const [from, out] = [k.bind(scratch), k.bind(buffer, "read_write")];
  const base = k.let("base", add(mul(group(1), dim("M")), mul(group(0), shape.points)));
  const scale = k.let("scale", div(f32(1), { op: "call", type: "f32", fn: "float", args: [dim("M")] }));
  forwardFft(
    k,
    shape,
    (i) => loadComplex(k, from, add(base, i)),
    memory,
    (i, v) => storeComplex(k, out, add(base, i), { re: mul(v.re, scale), im: mul(v.im, scale) }),
  );
  const moved = `${16 * channels}*d.M`;
  emit({
    built: k.finish(),
    grid: [columnPoints, channels, 1],
    constants: rowConstants,
    when: largeWhen,
    cost: {
      flops: `${channels}*5*d.M*Math.log2(${rowPoints})`,
      bytes: `${moved}+${1.75 * channels}*d.M`,
      minimum: `${moved}+1.75*${rowPoints}`,
    },
  });
}

/** The convolution in three dispatches: columns, rows with the spectrum, columns back. */
export function emitLarge(job: Convolution, spectrum: number): void {
  const { node, channels, u, context } = job;
  const scratch = context.temp(`d.M>d.F?d.B*${2 * channels}*d.M:0`);
  emitColumns(context, context.emit, scratch, dim("L"), [channels, "d.B"], channels, (k, l) => read(k, u, { b: group(2), c: group(1), l }));
  emitLargeRows(job, spectrum, scratch);
  const columns = columnKernel("fft_columns_inverse", context);
  const { k, shape, column } = columns;
  const from = k.bind(scratch);
  const at = { b: group(2), c: group(1) };
  const base = k.let("base", mul(add(mul(at.b, channels), at.c), dim("M")));
  const source = (p: KExpr): Complex => {
    const twiddle = fineRoot(k, columns.fine, mul(mul(column, frequencyAt(k, shape, p)), 4));
    return cmul(k.letComplex("v", loadComplex(k, from, add(base, add(mul(p, columns.rowPoints), column)))), conj(twiddle));
  };
  const sink = (n1: KExpr, v: Complex): void => {
    const n = k.let("n", add(mul(n1, columns.rowPoints), column));
    k.if(lt(n, dim("L")), () => {
      const w = fineRoot(k, columns.fine, n);
      finishAt(k, job, { ...at, l: n }, sub(mul(w.re, v.re), mul(w.im, v.im)));
    });
  };
  inverseFft(k, shape, source, columns.memory, sink);
  // The samples were read by the columns forward.
  const moved = `${8 * channels}*d.M*d.B+${ioBytes(job)}-4*${elements(node.type, context.entry)}`;
  context.emit({
    built: k.finish(),
    grid: [columnGrid, channels, "d.B"],
    constants: columnConstants,
    when: largeWhen,
    cost: {
      flops: `d.B*${channels}*(5*d.M*Math.log2(${columnPoints})+14*d.M)+${flopsOf(node.post)}*${elements(node.type, context.entry)}`,
      bytes: `${moved}+d.B*${channels}*${columnGrid}*${columnTableBytes}`,
      minimum: `${moved}+${columnTableBytes}`,
    },
  });
}

function emitLargeRows(job: Convolution, spectrum: number, scratch: number): void {
  const { channels, context } = job;
  const { k, shape, memory } = fftKernel("fft_rows", largeTables(context).rows);
  const [data, spectrumName] = [k.bind(scratch, "read_write"), k.bind(spectrum)];
  const row = k.let("row", mul(group(0), shape.points));
  const base = k.let("base", add(mul(add(mul(group(2), channels), group(1)), dim("M")), row));
  const spectrumBase = k.let("spectrum_base", add(mul(group(1), dim("M")), row));
  const load = (i: KExpr): Complex => loadComplex(k, data, add(base, i));
  const store = (i: KExpr, v: Complex): void => storeComplex(k, data, add(base, i), v);
  convolveFft(k, shape, load, memory, store, (i, v) => cmul(v, k.letComplex("s", loadComplex(k, spectrumName, add(spectrumBase, i)))));
  const moved = `${16 * channels}*d.M*d.B`;
  context.emit({
    built: k.finish(),
    grid: [columnPoints, channels, "d.B"],
    constants: rowConstants,
    when: largeWhen,
    cost: {
      flops: `d.B*${channels}*(10*d.M*Math.log2(${rowPoints})+6*d.M)`,
      bytes: `${moved}+${9.75 * channels}*d.M*d.B`,
      minimum: `${moved}+${8 * channels}*d.M+1.75*${rowPoints}`,
    },
  });
}
