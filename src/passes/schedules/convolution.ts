/**
 * A causal convolution of every channel with its own long kernel. Per length: direct sums where that is short, one dispatch
 * of an FFT in workgroup memory while it fits, three dispatches (columns, rows, columns) beyond. Not a schedule: state space
 * models and convolutions of many taps both come here.
 */
import { bug } from "../../ir/error.ts";
import { alwaysFits, type Convolution, directUpTo, finishAt, ioBytes, ioMinimum } from "./convolution-job.ts";
import { emitLarge, emitLargeSpectrum, type Large } from "./fft-large.ts";
import {
  add,
  bitand,
  cmul,
  type Complex,
  dim,
  div,
  f32,
  fma,
  group,
  kernelBuilder,
  type KExpr,
  lane,
  lt,
  min,
  mul,
  select,
  sub,
} from "./kit.ts";
import { convolveFft, fftConstants, fftKernel, type FftKernel, forwardFft, loadComplex, storeComplex } from "./fft.ts";
import { type Coords, elements, flopsOf, groupsOf, type LowerContext, read } from "./schedule.ts";

/** Emits what convolves the job's input, whichever way its length asks for. */
export function emitConvolution(job: Convolution): void {
  emitDirect(job);
  if (job.context.maxLength > directUpTo) emitSingle(job);
  if (job.context.maxLength > alwaysFits) emitLong(job);
}

/** What does not fit workgroup memory. */
const largeOf = ({ context, channels }: Convolution): Large => ({
  context,
  channels,
  points: dim("M"),
  size: "d.M",
  when: `d.L>${directUpTo}&&d.M>d.F`,
});

function emitLong(job: Convolution): void {
  const { node, u, context } = job;
  const [b, c] = [group(2), group(1)];
  const size = elements(node.type, context.entry);
  emitLarge(largeOf(job), spectrum(job), {
    count: dim("L"),
    length: "d.L",
    rows: "d.B",
    sample: (k, l) => read(k, u, { b, c, l }),
    sink: (k, l, value) => finishAt(k, job, { b, c, l }, value),
    flops: `${flopsOf(node.post)}*${size}`,
    // The samples were read by the columns forward.
    bytes: `${ioBytes(job)}-4*${size}`,
  });
}

function emitDirect(job: Convolution): void {
  const { node, channels, u, context } = job;
  const k = kernelBuilder("direct_convolution", 64);
  const taps = k.bind(job.taps);
  const at: Coords = { l: k.let("l", add(mul(group(0), 64), lane)), c: group(1), b: group(2) };
  k.if(lt(at.l, dim("L")), () => {
    const sum = k.var("sum", f32(0));
    k.for("j", 0, add(at.l, 1), (j) =>
      k.assign(sum, fma(k.load(taps, add(mul(at.c, dim("M")), j)), read(k, u, { ...at, l: sub(at.l, j) }), sum)),
    );
    finishAt(k, job, at, sum);
  });
  const kernel = `${4 * channels}*d.L`;
  context.emit({
    built: k.finish(),
    grid: [groupsOf("d.L", 64), channels, "d.B"],
    when: `d.L<=${directUpTo}`,
    cost: {
      flops: `(d.L+1+${flopsOf(node.post)})*${elements(node.type, context.entry)}`,
      bytes: `${ioBytes(job)}+${kernel}*d.B`,
      minimum: `${ioMinimum(job)}+${kernel}`,
      serial: "d.L",
    },
  });
}

/** Weights are products of two: one of as many neighbours, one of every such number of samples. */
const fineWeights = 32;

/**
 * Table of one FFT size, that of the length where `points` is absent: M roots e^{-2 pi i k / M}; then the weights e^{i pi n / 2M} of n below `fineWeights`, and those of
 * its multiples: fewer words to read than M weights.
 */
export const singleTable = (context: LowerContext, points?: number): number =>
  context.table({
    maker: "fft",
    tensors: {},
    options: points === undefined ? { fine: fineWeights } : { fine: fineWeights, points },
    sizes: {
      roots:
        points === undefined
          ? `d.M<=d.F?${2 * fineWeights}+${2 + 2 / fineWeights}*d.M:0`
          : 2 * fineWeights + (2 + 2 / fineWeights) * points,
    },
    perM: points === undefined,
  })["roots"] ?? bug("no table");

/** Bytes of that table a workgroup reads: 7/32 of the roots (w^j, w^2j, w^4j of the first pass), and the weights. */
export const singleTableBytes = (points: string): string => `(${8 * fineWeights}+${1.75 + 8 / fineWeights}*${points})`;

const fitsWhen = `d.L>${directUpTo}&&d.M<=d.F`;

const singleConstants = fftConstants("d.M", "1");

/** The weight of sample n, after the roots. */
export function weightOf({ k, shape, roots }: FftKernel, n: KExpr): Complex {
  const first = k.let("weights", add(shape.points, bitand(n, fineWeights - 1)));
  const coarse = k.letComplex("coarse", loadComplex(k, roots, add(add(shape.points, fineWeights), div(n, fineWeights))));
  return k.letComplex("weight", cmul(coarse, loadComplex(k, roots, first)));
}

function spectrum(job: Convolution): number {
  const { id, channels, context } = job;
  return context.prepared(`spectrum:${id}`, `d.M>${directUpTo}?${2 * channels}*d.M:0`, (buffer, emit) => {
    emitSpectrum(job, buffer, emit);
    if (context.maxLength > alwaysFits)
      emitLargeSpectrum(largeOf(job), buffer, emit, {
        count: dim("M"),
        length: "d.L",
        sample: (k, n) => k.load(k.bind(job.taps), add(mul(group(1), dim("M")), n)),
      });
  });
}

/** Real samples of one row, weighted for the convolution modulo z^M - i. */
export function weighted(fft: FftKernel, count: KExpr, sample: (n: KExpr) => KExpr): (n: KExpr) => Complex {
  return (n) => {
    const value = fft.k.let("u", select(lt(n, count), sample(min(n, sub(count, 1))), f32(0)));
    const w = weightOf(fft, n);
    return { re: mul(w.re, value), im: mul(w.im, value) };
  };
}

function emitSpectrum({ taps, channels, context }: Convolution, buffer: number, emit: LowerContext["emit"]): void {
  const fft = fftKernel("fft_spectrum", singleTable(context));
  const { k, shape, memory } = fft;
  const [tapsName, out] = [k.bind(taps), k.bind(buffer, "read_write")];
  const base = k.let("base", mul(group(0), dim("M")));
  const scale = k.let("scale", div(f32(1), { op: "call", type: "f32", fn: "float", args: [dim("M")] }));
  const source = weighted(fft, dim("M"), (n) => k.load(tapsName, add(base, n)));
  forwardFft(k, shape, source, memory, (p, v) => storeComplex(k, out, add(base, p), { re: mul(v.re, scale), im: mul(v.im, scale) }));
  const moved = `${12 * channels}*d.M`;
  emit({
    built: k.finish(),
    grid: [channels, 1, 1],
    constants: singleConstants,
    when: fitsWhen,
    cost: {
      flops: `${channels}*5*d.M*Math.log2(d.M)`,
      bytes: `${moved}+${channels}*${singleTableBytes("d.M")}`,
      minimum: `${moved}+${singleTableBytes("d.M")}`,
    },
  });
}

function emitSingle(job: Convolution): void {
  const { node, channels, u, context } = job;
  const fft = fftKernel("fft_convolution", singleTable(context));
  const { k, shape, memory } = fft;
  const spectrumName = k.bind(spectrum(job));
  const at = { b: group(1), c: group(0) };
  const base = k.let("base", mul(at.c, dim("M")));
  const source = weighted(fft, dim("L"), (l) => read(k, u, { ...at, l }));
  const sink = (n: KExpr, v: Complex): void =>
    k.if(lt(n, dim("L")), () => {
      const w = weightOf(fft, n);
      finishAt(k, job, { ...at, l: n }, add(mul(w.re, v.re), mul(w.im, v.im)));
    });
  convolveFft(k, shape, source, memory, sink, (p, v) => cmul(v, k.letComplex("s", loadComplex(k, spectrumName, add(base, p)))));
  const spectrumBytes = `${8 * channels}*d.M`;
  context.emit({
    built: k.finish(),
    grid: [channels, "d.B", 1],
    constants: singleConstants,
    when: fitsWhen,
    cost: {
      flops: `d.B*${channels}*(10*d.M*Math.log2(d.M)+14*d.M)+${flopsOf(node.post)}*${elements(node.type, context.entry)}`,
      bytes: `${ioBytes(job)}+(${spectrumBytes}+${channels}*${singleTableBytes("d.M")})*d.B`,
      minimum: `${ioMinimum(job)}+${spectrumBytes}+${singleTableBytes("d.M")}`,
      serial: "6*Math.log2(d.M)",
    },
  });
}
