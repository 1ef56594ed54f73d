/**
 * Convolution along an axis of a grid that a sequence holds: every line of it by itself, from zeros. Whole grids only. Direct
 * sums along short axes, a lane an element; along long ones an FFT of each line in one dispatch, several neighbouring lines a
 * workgroup where their points lie apart.
 */
import { bug } from "../../ir/error.ts";
import type { Axis, ConvNode } from "../../ir/graph.ts";
import { tapsOf } from "./conv.ts";
import { singleTable, singleTableBytes, weighted, weightOf } from "./convolution.ts";
import { alwaysFits, type Convolution, directUpTo, finishAt, ioBytes } from "./convolution-job.ts";
import { everyElement } from "./elements.ts";
import { convolveFft, fftConstants, fftKernel, forwardFft, loadComplex, storeComplex } from "./fft.ts";
import { add, cmul, dim, div, f32, fma, group, type KExpr, lt, min, mod, mul, sub } from "./kit.ts";
import { applyPost, channelsOf, elements, flopsOf, type LowerContext, read, schedule, type Schedule, write } from "./schedule.ts";

/** Points of the FFT of a line. */
const pointsOf = ({ size }: Axis): number => 2 ** Math.ceil(Math.log2(size));
/** Neighbouring lines a workgroup transforms together. */
const columnsOf = (axis: Axis): number => (axis.stride === 1 ? 1 : Math.min(8, alwaysFits / pointsOf(axis)));

/** Distinct samples and taps that the workgroups of direct sums over one grid read, 64 elements each. */
function seenDirectly({ size, stride }: Axis, taps: number): { readonly samples: number; readonly taps: number } {
  // Workgroups that see several grids share the taps between them.
  if (size * stride < 64) return { samples: size * stride, taps: (Math.min(taps, size) * size * stride) / 64 };
  const total = { samples: 0, taps: 0 };
  for (let first = 0; first < size * stride; first += 64) {
    const last = Math.min(first + 64, size * stride) - 1;
    const lines = new Map<number, number>();
    for (let l = first; l <= last; l++) lines.set(l % stride, Math.floor(l / stride));
    for (const [line, place] of lines) {
      const lowest = Math.floor((first - line + stride - 1) / stride);
      total.samples += place - Math.max(0, lowest - taps + 1) + 1;
    }
    total.taps += Math.min(taps, Math.floor(last / stride) + 1);
  }
  return total;
}

function lowerDirect(node: ConvNode, id: number, axis: Axis, context: LowerContext): void {
  const { weight, taps } = tapsOf(node, context);
  const u = context.value(node.args[0] ?? bug("conv"));
  const { size, stride } = axis;
  const grids = `d.B*${channelsOf(node.type)}*d.L/${size * stride}`;
  const reached = Math.min(taps, size);
  /** Products of one line: of every place as many as there are taps or places before it. */
  const products = reached * size - (reached * (reached - 1)) / 2;
  const seen = seenDirectly(axis, taps);
  const count = elements(node.type, context.entry);
  const moved = ioBytes({ node, response: undefined, context });
  const cost = {
    flops: `${grids}*${2 * products * stride}+${flopsOf(node.post)}*${count}`,
    bytes: `${moved}+4*${grids}*${seen.samples - size * stride + seen.taps}`,
    minimum: `${moved}+${4 * reached * channelsOf(node.type)}`,
    serial: reached,
  };
  everyElement("conv_axis", node, id, context, cost, (k, at) => {
    const w = k.bind(context.weight(weight));
    const place = k.let("place", mod(div(at.l, stride), size));
    const sum = k.var("sum", f32(0));
    const newest = k.let("newest", add(mul(at.c, taps), taps - 1));
    k.for("back", 0, min(add(place, 1), taps), (back) =>
      k.assign(sum, fma(k.load(w, sub(newest, back)), read(k, u, { ...at, l: sub(at.l, mul(back, stride)) }), sum)),
    );
    write(k, context.result(id), at, applyPost(k, node, [sum], at, context));
  });
}

/** The spectrum `[H P]` of the taps of every channel. */
function lineSpectrum(job: Convolution, axis: Axis, taps: number): number {
  const { id, channels, context } = job;
  const points = pointsOf(axis);
  return context.prepared(`line:${id}`, `${2 * channels * points}`, (buffer, emit) => {
    const fft = fftKernel("fft_line_spectrum", singleTable(context, points));
    const { k, shape, memory } = fft;
    const [w, out] = [k.bind(job.taps), k.bind(buffer, "read_write")];
    const newest = k.let("newest", add(mul(group(0), taps), taps - 1));
    const base = k.let("base", mul(group(0), points));
    const count: KExpr = { op: "lit", type: "u32", value: Math.min(taps, points) };
    const source = weighted(fft, count, (n) => k.load(w, sub(newest, n)));
    const scaled = (x: KExpr): KExpr => mul(x, f32(1 / points));
    forwardFft(k, shape, source, memory, (p, v) => storeComplex(k, out, add(base, p), { re: scaled(v.re), im: scaled(v.im) }));
    const moved = 4 * channels * (Math.min(taps, points) + 2 * points);
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
  });
}

function lowerFft(node: ConvNode, id: number, axis: Axis, context: LowerContext): void {
  const { weight, taps } = tapsOf(node, context);
  const channels = channelsOf(node.type);
  const u = context.value(node.args[0] ?? bug("conv"));
  const job: Convolution = { node, id, channels, u, taps: context.weight(weight), context, response: undefined };
  const { size, stride } = axis;
  const [points, columns] = [pointsOf(axis), columnsOf(axis)];
  const spectrum = lineSpectrum(job, axis, taps);
  const fft = fftKernel("fft_line", singleTable(context, points));
  const { k, shape, memory } = fft;
  const spectrumName = k.bind(spectrum);
  const lines = k.let("lines", div(dim("L"), size));
  const own = k.let("line", add(mul(group(0), columns), shape.column));
  const line = k.let("safe", min(own, sub(lines, 1)));
  const first = k.let("first", add(mul(div(line, stride), size * stride), mod(line, stride)));
  const at = { b: group(2), c: group(1) };
  const base = k.let("base", mul(at.c, points));
  const place = (i: KExpr): KExpr => add(first, mul(i, stride));
  const count: KExpr = { op: "lit", type: "u32", value: size };
  const source = weighted(fft, count, (i) => read(k, u, { ...at, l: place(i) }));
  convolveFft(
    k,
    shape,
    source,
    memory,
    (n, v) =>
      k.if(lt(n, size), () =>
        k.if(lt(own, lines), () => {
          const w = weightOf(fft, n);
          finishAt(k, job, { ...at, l: k.let("l", place(n)) }, add(mul(w.re, v.re), mul(w.im, v.im)));
        }),
      ),
    (p, v) => cmul(v, k.letComplex("s", loadComplex(k, spectrumName, add(base, p)))),
  );
  const groups = `Math.ceil(d.L/${size * columns})`;
  const moved = ioBytes(job);
  const table = singleTableBytes(`${points}`);
  context.emit({
    built: k.finish(),
    grid: [groups, channels, "d.B"],
    constants: fftConstants(`${points}`, `${columns}`),
    cost: {
      flops: `d.B*${channels}*d.L/${size}*${10 * points * Math.log2(points) + 14 * points}+${flopsOf(node.post)}*${elements(node.type, context.entry)}`,
      bytes: `${moved}+d.B*${channels}*${groups}*(${8 * points}+${table})`,
      minimum: `${moved}+${8 * channels * points}+${table}`,
      serial: 6 * Math.log2(points),
    },
  });
}

export const convAxis: Schedule = schedule<ConvNode>({
  name: "conv-axis",
  doc: "along an axis of a grid: direct sums, or along long ones an FFT a line",
  op: "conv",
  applies: (node, _, context) => node.axis !== undefined && context.entry === "whole",
  lower: (node, id, context) => {
    const axis = node.axis ?? bug("no axis");
    const long = axis.size > directUpTo && pointsOf(axis) <= alwaysFits;
    (long ? lowerFft : lowerDirect)(node, id, axis, context);
  },
});
