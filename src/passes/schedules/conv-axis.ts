/**
 * Convolution along an axis of a grid that a sequence holds: every line of it by itself, from zeros. Whole grids by direct
 * sums along short axes, a lane an element; along long ones by an FFT of each line (`conv-lines.ts`). A stream that is given whole grids does the
 * same, from nothing; one step has a lane a channel, and a ring of the inputs that later steps of their lines may meet.
 */
import { bug } from "../../ir/error.ts";
import type { Axis, ConvNode } from "../../ir/graph.ts";
import { tapsOf } from "./conv.ts";
import { emitLines, type LineAt } from "./conv-lines.ts";
import { directUpTo, finishAt, ioBytes } from "./convolution-job.ts";
import { everyElement } from "./elements.ts";
import { add, dim, div, f32, fma, kernelBuilder, type KExpr, lt, min, mod, mul, sub } from "./kit.ts";
import {
  applyPost,
  channelsOf,
  type Coords,
  elements,
  flatGrid,
  flatLane,
  flopsOf,
  groupsOf,
  type LowerContext,
  read,
  schedule,
  type Schedule,
  write,
} from "./schedule.ts";

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

function lowerFft(node: ConvNode, id: number, axis: Axis, context: LowerContext): void {
  const { weight, taps } = tapsOf(node, context);
  const channels = channelsOf(node.type);
  const u = context.value(node.args[0] ?? bug("conv"));
  const job = { node, id, channels, u, context, response: undefined };
  const { size, stride } = axis;
  const place = ({ b, c, line }: LineAt, n: KExpr): Coords => {
    const first = add(mul(div(line, stride), size * stride), mod(line, stride));
    return { b, c, l: add(first, mul(n, stride)) };
  };
  const count = elements(node.type, context.entry);
  emitLines({
    id,
    context,
    channels,
    size,
    count: div(dim("L"), size),
    lines: `d.L/${size}`,
    together: stride === 1 ? 1 : 8,
    taps: Math.min(taps, size),
    tap: (k, c, n) => k.load(k.bind(context.weight(weight)), sub(add(mul(c, taps), taps - 1), n)),
    sample: (k, at, n) => read(k, u, place(at, n)),
    sink: (k, at, n, value) => {
      const own = place(at, n);
      finishAt(k, job, { ...own, l: k.let("l", own.l) }, value);
    },
    flops: `${flopsOf(node.post)}*${count}`,
    bytes: `${ioBytes(job)}-4*${count}`,
  });
}

function lowerStep(node: ConvNode, id: number, axis: Axis, context: LowerContext): void {
  const { weight, taps } = tapsOf(node, context);
  const channels = channelsOf(node.type);
  const { size, stride } = axis;
  const reached = Math.min(taps, size);
  const ring = (reached - 1) * stride;
  const u = context.value(node.args[0] ?? bug("conv"));
  const k = kernelBuilder("conv_axis_step", 64);
  const w = k.bind(context.weight(weight));
  const i = k.let("i", flatLane(64));
  k.if(lt(i, mul(dim("B"), channels)), () => {
    const at: Coords = { b: k.let("b", div(i, channels)), c: k.let("c", mod(i, channels)), l: dim("t") };
    const newest = k.let("newest", read(k, u, at));
    const last = k.let("last", add(mul(at.c, taps), taps - 1));
    const sum = k.var("sum", mul(k.load(w, last), newest));
    if (ring > 0) {
      const kept = k.bind(context.state(id, `d.B*${ring * channels}`), "read_write");
      const row = (step: KExpr): KExpr => add(mul(add(mul(at.b, ring), mod(step, ring)), channels), at.c);
      const place = k.let("place", mod(div(dim("pos"), stride), size));
      k.for("back", 1, min(add(place, 1), reached), (back) =>
        k.assign(sum, fma(k.load(w, sub(last, back)), k.load(kept, row(sub(dim("pos"), mul(back, stride)))), sum)),
      );
      k.store(kept, row(dim("pos")), newest);
    }
    write(k, context.result(id), at, applyPost(k, node, [sum], at, context));
  });
  const count = elements(node.type, context.entry);
  /** Of a place of the line, in the mean. */
  const products = reached - (reached * (reached - 1)) / (2 * size);
  const moved = `${ioBytes({ node, response: undefined, context })}+${4 * products}*${count}`;
  context.emit({
    built: k.finish(),
    grid: flatGrid(groupsOf(count, 64)),
    cost: {
      flops: `${2 * products + flopsOf(node.post)}*${count}`,
      bytes: `${moved}+${4 * products}*${count}`,
      minimum: `${moved}+${4 * products * channels}`,
      serial: reached,
    },
  });
}

export const convAxisStep: Schedule = schedule<ConvNode>({
  name: "conv-axis-step",
  doc: "one step along an axis of a grid: a lane a channel, and a ring of the inputs kept",
  op: "conv",
  applies: (node, _, context) => node.axis !== undefined && context.entry === "step",
  lower: (node, id, context) => lowerStep(node, id, node.axis ?? bug("no axis"), context),
});

export const convAxis: Schedule = schedule<ConvNode>({
  name: "conv-axis",
  doc: "along an axis of a grid: direct sums, or along long ones an FFT a line",
  op: "conv",
  applies: (node, _, context) => node.axis !== undefined && context.entry !== "step",
  lower: (node, id, context) => {
    const axis = node.axis ?? bug("no axis");
    (axis.size > directUpTo ? lowerFft : lowerDirect)(node, id, axis, context);
  },
});
