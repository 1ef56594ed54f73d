/**
 * Causal convolution of lines whose length is known when compiling, each from zeros, by an FFT: in one dispatch, several neighbouring lines a
 * workgroup, or in three where a line's points fit no workgroup. The spectrum of the taps is the same for every length of a sequence. Not a
 * schedule.
 */
import { singleTable, singleTableBytes, weighted, weightOf } from "./convolution.ts";
import { alwaysFits } from "./convolution-job.ts";
import { convolveFft, fftConstants, fftKernel, forwardFft, loadComplex, storeComplex } from "./fft.ts";
import { emitLarge, emitLargeSpectrum, type Large } from "./fft-large.ts";
import { add, cmul, div, f32, group, type KernelBuilder, type KExpr, lt, min, mod, mul, sub, u32 } from "./kit.ts";
import type { LowerContext, Size } from "./schedule.ts";

/** A line of one channel of one sequence. */
export interface LineAt {
  readonly b: KExpr;
  readonly c: KExpr;
  readonly line: KExpr;
}

export interface Lines {
  readonly id: number;
  readonly context: LowerContext;
  readonly channels: number;
  /** Samples of a line. */
  readonly size: number;
  /** Lines of one channel of one sequence, in a kernel and as source over `d`. */
  readonly count: KExpr;
  readonly lines: Size;
  /** Lines that a workgroup reads together where they fit: more than 1 where they lie beside each other, step by step. */
  readonly together: number;
  /** Taps that a line can reach, and the one that meets the sample n steps ago. */
  readonly taps: number;
  readonly tap: (k: KernelBuilder, c: KExpr, n: KExpr) => KExpr;
  readonly sample: (k: KernelBuilder, at: LineAt, n: KExpr) => KExpr;
  readonly sink: (k: KernelBuilder, at: LineAt, n: KExpr, value: KExpr) => void;
  /** Of the results and what is done to them; bytes of samples aside. */
  readonly flops: Size;
  readonly bytes: Size;
  readonly when?: string;
}

/** Points of the FFT of a line. */
export const pointsOf = (size: number): number => Math.max(8, 2 ** Math.ceil(Math.log2(size)));

/** Operations a line takes. */
export const lineFlops = (size: number): number => pointsOf(size) * (10 * Math.log2(pointsOf(size)) + 14);

export function emitLines(lines: Lines): void {
  if (pointsOf(lines.size) <= alwaysFits) emitShort(lines, spectrumOf(lines));
  else emitLong(lines, spectrumOf(lines));
}

/** The spectrum `[H P]` of the taps of every channel. */
function spectrumOf(lines: Lines): number {
  const { id, context, channels, size } = lines;
  const points = pointsOf(size);
  return context.prepared(`line:${id}`, 2 * channels * points, (buffer, emit) => {
    if (points <= alwaysFits) emitShortSpectrum(lines, buffer, emit);
    else
      emitLargeSpectrum(largeOf(lines), buffer, emit, {
        count: u32(lines.taps),
        length: lines.taps,
        sample: (k, n) => lines.tap(k, group(1), n),
      });
  });
}

function emitShortSpectrum({ context, channels, size, taps, tap }: Lines, buffer: number, emit: LowerContext["emit"]): void {
  const points = pointsOf(size);
  const fft = fftKernel("fft_line_spectrum", singleTable(context, points));
  const { k, shape, memory } = fft;
  const out = k.bind(buffer, "read_write");
  const base = k.let("base", mul(group(0), points));
  const source = weighted(fft, u32(taps), (n) => tap(k, group(0), n));
  const scaled = (x: KExpr): KExpr => mul(x, f32(1 / points));
  forwardFft(k, shape, source, memory, (p, v) => storeComplex(k, out, add(base, p), { re: scaled(v.re), im: scaled(v.im) }));
  const moved = 4 * channels * (taps + 2 * points);
  emit({
    built: k.finish(),
    grid: [channels, 1, 1],
    constants: fftConstants(`${points}`, "1"),
    cost: {
      flops: 5 * channels * points * Math.log2(points),
      bytes: `${moved}+${channels}*${singleTableBytes(`${points}`)}`,
      minimum: `${moved}+${singleTableBytes(`${points}`)}`,
    },
  });
}

function emitShort(lines: Lines, spectrum: number): void {
  const { context, channels, size, when } = lines;
  const points = pointsOf(size);
  const columns = Math.min(lines.together, alwaysFits / points);
  const fft = fftKernel("fft_line", singleTable(context, points));
  const { k, shape, memory } = fft;
  const spectrumName = k.bind(spectrum);
  const count = k.let("lines", lines.count);
  const own = k.let("line", add(mul(group(0), columns), shape.column));
  const at = { b: group(2), c: group(1), line: k.let("safe", min(own, sub(count, 1))) };
  const base = k.let("base", mul(at.c, points));
  const source = weighted(fft, u32(size), (n) => lines.sample(k, at, n));
  const sink = (n: KExpr, v: { readonly re: KExpr; readonly im: KExpr }): void =>
    k.if(lt(n, size), () =>
      k.if(lt(own, count), () => {
        const w = weightOf(fft, n);
        lines.sink(k, at, n, add(mul(w.re, v.re), mul(w.im, v.im)));
      }),
    );
  convolveFft(k, shape, source, memory, sink, (p, v) => cmul(v, k.letComplex("s", loadComplex(k, spectrumName, add(base, p)))));
  const groups = `Math.ceil(${lines.lines}/${columns})`;
  const moved = `4*d.B*${channels}*${lines.lines}*${size}+${lines.bytes}`;
  const table = singleTableBytes(`${points}`);
  context.emit({
    built: k.finish(),
    grid: [groups, channels, "d.B"],
    constants: fftConstants(`${points}`, `${columns}`),
    ...(when === undefined ? {} : { when }),
    cost: {
      flops: `d.B*${channels}*${lines.lines}*${lineFlops(size)}+${lines.flops}`,
      bytes: `${moved}+d.B*${channels}*${groups}*(${8 * points}+${table})`,
      minimum: `${moved}+${8 * channels * points}+${table}`,
      serial: 6 * Math.log2(points),
    },
  });
}

const largeOf = ({ context, channels, size }: Lines): Large => {
  const fixed = pointsOf(size);
  return { context, channels, points: u32(fixed), size: `${fixed}`, fixed };
};

function emitLong(lines: Lines, spectrum: number): void {
  const { size, when, count } = lines;
  /** The line of a workgroup, one of those of all sequences. */
  const place = (k: KernelBuilder): LineAt => ({
    b: k.let("b", div(group(2), count)),
    c: group(1),
    line: k.let("line", mod(group(2), count)),
  });
  emitLarge({ ...largeOf(lines), ...(when === undefined ? {} : { when }) }, spectrum, {
    count: u32(size),
    length: size,
    rows: lines.lines === 1 ? "d.B" : `d.B*${lines.lines}`,
    sample: (k, n) => lines.sample(k, place(k), n),
    sink: (k, n, value) => lines.sink(k, place(k), n, value),
    flops: lines.flops,
    bytes: lines.bytes,
  });
}
