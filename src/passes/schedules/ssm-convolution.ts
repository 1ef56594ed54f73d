/**
 * Convolution mode of a time-invariant state space model. Per length: direct sums where that is short, one dispatch of an
 * FFT in workgroup memory while it fits, three dispatches (columns, rows, columns) beyond. A resumed stream adds the
 * response of its state, and leaves the final state behind (`ssm-carry.ts`).
 */
import { bug } from "../../ir/error.ts";
import type { SsmNode, ValueId } from "../../ir/graph.ts";
import { emitCarry } from "./ssm-carry.ts";
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
  kernelBuilder,
  type KernelBuilder,
  type KExpr,
  lane,
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
import { convolutionKernel, type Lti, ltiOf } from "./lti.ts";
import {
  applyPost,
  type Coords,
  elements,
  flopsOf,
  groupsOf,
  type LowerContext,
  postBytes,
  read,
  schedule,
  type Schedule,
  write,
} from "./schedule.ts";

/** Longest sequence convolved by direct sums. */
const directUpTo = 64;
/** FFT points that fit the 16 KB of workgroup memory every device has. */
const alwaysFits = 2048;

interface Convolution {
  readonly node: SsmNode;
  readonly id: ValueId;
  readonly lti: Lti;
  readonly context: LowerContext;
  /** `[B H L]`, the response of the initial state; absent where that is zero. */
  readonly response: number | undefined;
}

/** Adds the initial state's response, applies the epilogue, stores. */
function finishAt(k: KernelBuilder, job: Convolution, at: Coords, value: KExpr): void {
  const response =
    job.response === undefined ? f32(0) : k.load(k.bind(job.response), add(mul(add(mul(at.b, job.lti.channels), at.c), dim("L")), at.l));
  const total = k.let("y", job.response === undefined ? value : add(value, response));
  write(k, job.context.result(job.id), at, applyPost(k, job.node, [total], at, job.context));
}

/** Bytes of input, result and epilogue operands. */
function ioBytes({ node, context, response }: Convolution): string {
  const size = elements(node.type, context.entry);
  return `${response === undefined ? 8 : 12}*${size}+${postBytes(node, context.entry, context)}`;
}

function emitDirect(job: Convolution): void {
  const { node, id, lti, context } = job;
  const kernelBuffer = convolutionKernel(id, lti, context);
  const k = kernelBuilder("ssm_direct", 64);
  const taps = k.bind(kernelBuffer);
  const at: Coords = { l: k.let("l", add(mul(group(0), 64), lane)), c: group(1), b: group(2) };
  k.if(lt(at.l, dim("L")), () => {
    const sum = k.var("sum", f32(0));
    k.for("j", 0, add(at.l, 1), (j) =>
      k.assign(sum, fma(k.load(taps, add(mul(at.c, dim("M")), j)), read(k, lti.u, { ...at, l: sub(at.l, j) }), sum)),
    );
    finishAt(k, job, at, sum);
  });
  const bytes = `${ioBytes(job)}+${4 * lti.channels}*d.L`;
  context.emit({
    built: k.finish(),
    grid: [groupsOf("d.L", 64), lti.channels, "d.B"],
    when: `d.L<=${directUpTo}`,
    cost: {
      flops: `(d.L+1+${flopsOf(node.post)})*${elements(node.type, context.entry)}`,
      bytes: `${bytes}+${4 * lti.channels}*d.L*(d.B-1)`,
      minimum: bytes,
      serial: "d.L",
    },
  });
}

/** Table of one FFT size: M roots e^{-2 pi i k / M}, then M weights e^{i pi n / 2M}. */
const singleTable = (context: LowerContext): number =>
  context.table({ maker: "fft", tensors: {}, options: {}, sizes: { roots: "d.M<=d.F?4*d.M:0" }, perM: true })["roots"] ?? bug("no table");

const fitsWhen = `d.L>${directUpTo}&&d.M<=d.F`;
const largeWhen = `d.L>${directUpTo}&&d.M>d.F`;

const singleConstants = fftConstants("d.M", "1");

/** The weight of sample n, after the roots. */
const weightOf = ({ k, shape, roots }: FftKernel, n: KExpr): Complex => loadComplex(k, roots, add(shape.points, n));

function spectrum(job: Convolution): number {
  const { id, lti, context } = job;
  const taps = convolutionKernel(id, lti, context);
  return context.prepared(`spectrum:${id}`, `d.M>${directUpTo}?${2 * lti.channels}*d.M:0`, (buffer, emit) => {
    emitSpectrum(taps, buffer, lti, context, emit);
    if (context.maxLength > alwaysFits) emitLargeSpectrum(taps, buffer, lti, context, emit);
  });
}

/** Real samples of one row, weighted for the convolution modulo z^M - i. */
function weighted(fft: FftKernel, count: KExpr, sample: (n: KExpr) => KExpr): (n: KExpr) => Complex {
  return (n) => {
    const value = fft.k.let("u", select(lt(n, count), sample(min(n, sub(count, 1))), f32(0)));
    const w = weightOf(fft, n);
    return { re: mul(w.re, value), im: mul(w.im, value) };
  };
}

function emitSpectrum(taps: number, buffer: number, lti: Lti, context: LowerContext, emit: LowerContext["emit"]): void {
  const fft = fftKernel("fft_spectrum", singleTable(context));
  const { k, shape, memory } = fft;
  const [tapsName, out] = [k.bind(taps), k.bind(buffer, "read_write")];
  const base = k.let("base", mul(group(0), dim("M")));
  const scale = k.let("scale", div(f32(1), { op: "call", type: "f32", fn: "float", args: [dim("M")] }));
  const source = weighted(fft, dim("M"), (n) => k.load(tapsName, add(base, n)));
  forwardFft(k, shape, source, memory, (p, v) => storeComplex(k, out, add(base, p), { re: mul(v.re, scale), im: mul(v.im, scale) }));
  const bytes = `${12 * lti.channels}*d.M+16*d.M`;
  emit({
    built: k.finish(),
    grid: [lti.channels, 1, 1],
    constants: singleConstants,
    when: fitsWhen,
    cost: { flops: `${lti.channels}*5*d.M*Math.log2(d.M)`, bytes: `${bytes}+${lti.channels - 1}*16*d.M`, minimum: bytes },
  });
}

function emitSingle(job: Convolution): void {
  const { node, lti, context } = job;
  const fft = fftKernel("fft_convolution", singleTable(context));
  const { k, shape, memory } = fft;
  const spectrumName = k.bind(spectrum(job));
  const at = { b: group(1), c: group(0) };
  const base = k.let("base", mul(at.c, dim("M")));
  const source = weighted(fft, dim("L"), (l) => read(k, lti.u, { ...at, l }));
  const sink = (n: KExpr, v: Complex): void =>
    k.if(lt(n, dim("L")), () => {
      const w = weightOf(fft, n);
      finishAt(k, job, { ...at, l: n }, add(mul(w.re, v.re), mul(w.im, v.im)));
    });
  convolveFft(k, shape, source, memory, sink, (p, v) => cmul(v, k.letComplex("s", loadComplex(k, spectrumName, add(base, p)))));
  const bytes = ioBytes(job);
  const spectrumBytes = `${8 * lti.channels}*d.M`;
  context.emit({
    built: k.finish(),
    grid: [lti.channels, "d.B", 1],
    constants: singleConstants,
    when: fitsWhen,
    cost: {
      flops: `d.B*${lti.channels}*(10*d.M*Math.log2(d.M)+14*d.M)+${flopsOf(node.post)}*${elements(node.type, context.entry)}`,
      bytes: `${bytes}+${spectrumBytes}*d.B+16*d.M*d.B*${lti.channels}`,
      minimum: `${bytes}+${spectrumBytes}+16*d.M`,
      serial: "6*Math.log2(d.M)",
    },
  });
}

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
  lti: Lti,
  sample: (k: KernelBuilder, n: KExpr) => KExpr,
): void {
  const job = columnKernel("fft_columns", context);
  const { k, shape, column } = job;
  const out = k.bind(scratch, "read_write");
  const base = k.let("base", mul(add(mul(group(2), lti.channels), group(1)), dim("M")));
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
  const bytes = `(4*d.L+8*d.M)*${rows}`;
  emit({
    built: k.finish(),
    grid: [columnGrid, grid[0], grid[1]],
    constants: columnConstants,
    when: largeWhen,
    cost: { flops: `${rows}*(5*d.M*Math.log2(${columnPoints})+14*d.M)`, bytes, minimum: bytes },
  });
}

function emitLargeSpectrum(taps: number, buffer: number, lti: Lti, context: LowerContext, emit: LowerContext["emit"]): void {
  const scratch = context.temp(`d.M>d.F?${2 * lti.channels}*d.M:0`);
  emitColumns(context, emit, scratch, dim("M"), [lti.channels, 1], lti, (k, n) => k.load(k.bind(taps), add(mul(group(1), dim("M")), n)));
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
  const bytes = `${16 * lti.channels}*d.M`;
  emit({
    built: k.finish(),
    grid: [columnPoints, lti.channels, 1],
    constants: rowConstants,
    when: largeWhen,
    cost: { flops: `${lti.channels}*5*d.M*Math.log2(${rowPoints})`, bytes, minimum: bytes },
  });
}

function emitLarge(job: Convolution): void {
  const { node, lti, context } = job;
  const scratch = context.temp(`d.M>d.F?d.B*${2 * lti.channels}*d.M:0`);
  emitColumns(context, context.emit, scratch, dim("L"), [lti.channels, "d.B"], lti, (k, l) =>
    read(k, lti.u, { b: group(2), c: group(1), l }),
  );
  emitLargeRows(job, scratch);
  const columns = columnKernel("fft_columns_inverse", context);
  const { k, shape, column } = columns;
  const from = k.bind(scratch);
  const at = { b: group(2), c: group(1) };
  const base = k.let("base", mul(add(mul(at.b, lti.channels), at.c), dim("M")));
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
  const bytes = `${8 * lti.channels}*d.M*d.B+${ioBytes(job)}`;
  context.emit({
    built: k.finish(),
    grid: [columnGrid, lti.channels, "d.B"],
    constants: columnConstants,
    when: largeWhen,
    cost: {
      flops: `d.B*${lti.channels}*(5*d.M*Math.log2(${columnPoints})+14*d.M)+${flopsOf(node.post)}*${elements(node.type, context.entry)}`,
      bytes,
      minimum: bytes,
    },
  });
}

function emitLargeRows(job: Convolution, scratch: number): void {
  const { lti, context } = job;
  const { k, shape, memory } = fftKernel("fft_rows", largeTables(context).rows);
  const [data, spectrumName] = [k.bind(scratch, "read_write"), k.bind(spectrum(job))];
  const row = k.let("row", mul(group(0), shape.points));
  const base = k.let("base", add(mul(add(mul(group(2), lti.channels), group(1)), dim("M")), row));
  const spectrumBase = k.let("spectrum_base", add(mul(group(1), dim("M")), row));
  const load = (i: KExpr): Complex => loadComplex(k, data, add(base, i));
  const store = (i: KExpr, v: Complex): void => storeComplex(k, data, add(base, i), v);
  convolveFft(k, shape, load, memory, store, (i, v) => cmul(v, k.letComplex("s", loadComplex(k, spectrumName, add(spectrumBase, i)))));
  const moved = `${16 * lti.channels}*d.M*d.B`;
  context.emit({
    built: k.finish(),
    grid: [columnPoints, lti.channels, "d.B"],
    constants: rowConstants,
    when: largeWhen,
    cost: {
      flops: `d.B*${lti.channels}*(10*d.M*Math.log2(${rowPoints})+6*d.M)`,
      bytes: `${moved}+${8 * lti.channels}*d.M*d.B`,
      minimum: `${moved}+${8 * lti.channels}*d.M`,
    },
  });
}

export const ssmConvolution: Schedule = schedule<SsmNode>({
  name: "ssm-convolution",
  doc: "direct sums, or an FFT in one dispatch, or one in three, by length and workgroup memory",
  op: "ssm",
  applies: (_, __, context) => context.mode === "convolution" && context.entry !== "step",
  lower: (node, id, context) => {
    const lti = ltiOf(node, context);
    const carry = context.entry === "resume" ? emitCarry(id, lti, context) : undefined;
    const job: Convolution = { node, id, lti, context, response: carry?.response };
    emitDirect(job);
    if (context.maxLength > directUpTo) emitSingle(job);
    if (context.maxLength > alwaysFits) emitLarge(job);
    carry?.finish();
  },
});
