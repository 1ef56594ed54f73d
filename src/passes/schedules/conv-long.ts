/**
 * Depthwise causal convolution with many taps: as a state space model's, by direct sums or an FFT. A stream keeps the last
 * K-1 inputs as `conv.ts` lays them out: what they add to a push is summed directly where it
 * is short, and else by an FFT of all of them; one step is that file's.
 */
import { bug } from "../../ir/error.ts";
import type { ConvNode } from "../../ir/graph.ts";
import { moveTail, tailOf, tapsOf } from "./conv.ts";
import { emitConvolution } from "./convolution.ts";
import { directUpTo } from "./convolution-job.ts";
import { emitLines, lineFlops } from "./conv-lines.ts";
import { add, dim, f32, fma, group, kernelBuilder, lane, lt, min, mul, sub, u32 } from "./kit.ts";
import { channelsOf, groupsOf, type LowerContext, schedule, type Schedule } from "./schedule.ts";

/** The taps in the order of the inputs they meet, newest first, as many as a length has points: `[H M]`. */
function preparedTaps(id: number, weight: string, taps: number, channels: number, context: LowerContext): number {
  return context.prepared(`taps:${id}`, `${channels}*d.M`, (buffer, emit) => {
    const k = kernelBuilder("conv_kernel", 64);
    const [from, out] = [k.bind(context.weight(weight)), k.bind(buffer, "read_write")];
    const l = k.let("l", add(mul(group(0), 64), lane));
    const h = group(1);
    k.if(lt(l, dim("M")), () => {
      const tap = k.var("tap", f32(0));
      k.if(lt(l, taps), () => k.assign(tap, k.load(from, sub(add(mul(h, taps), taps - 1), l))));
      k.store(out, add(mul(h, dim("M")), l), tap);
    });
    const bytes = `${4 * channels}*(d.M+Math.min(d.M,${taps}))`;
    emit({ built: k.finish(), grid: [groupsOf("d.M", 64), channels, 1], cost: { flops: 0, bytes, minimum: bytes } });
  });
}

/** The longest push whose response is summed directly: until then that is fewer operations than an FFT of all kept inputs. */
function directPush(taps: number): number {
  const fft = lineFlops(taps - 1);
  const direct = (l: number): number => Math.min(l, taps - 1) * (2 * taps - 1 - Math.min(l, taps - 1));
  if (direct(taps - 1) <= fft) return Infinity;
  // l (2K - 1 - l) = fft
  return Math.floor(taps - 0.5 - Math.sqrt((taps - 0.5) ** 2 - fft));
}

/** What the inputs before a push add to its first K-1 steps: r_l = sum_j w[j - l] tail[j], over the j from l on. */
function emitResponse(id: number, weight: string, taps: number, channels: number, context: LowerContext): number {
  const response = context.temp(`d.B*${channels}*d.L`);
  const longest = directPush(taps);
  emitDirectResponse(id, weight, taps, channels, context, response);
  if (context.maxLength > longest) emitFftResponse(id, weight, taps, channels, context, response);
  return response;
}

function emitDirectResponse(id: number, weight: string, taps: number, channels: number, context: LowerContext, response: number): void {
  const tail = tailOf(id, taps, channels, context);
  const k = kernelBuilder("conv_response", 64);
  const [w, kept, out] = [k.bind(context.weight(weight)), k.bind(tail.buffer), k.bind(response, "read_write")];
  const l = k.let("l", add(mul(group(0), 64), lane));
  const [h, b] = [group(1), group(2)];
  k.if(lt(l, min(dim("L"), taps - 1)), () => {
    const sum = k.var("sum", f32(0));
    const first = k.let("first", mul(h, taps));
    k.for("j", l, taps - 1, (j) => k.assign(sum, fma(k.load(w, add(first, sub(j, l))), k.load(kept, tail.index(b, j, h)), sum)));
    k.store(out, add(mul(add(mul(b, channels), h), dim("L")), l), sum);
  });
  const reached = `Math.min(d.L,${taps - 1})`;
  const groups = `Math.ceil(${reached}/64)`;
  /** Distinct taps, and as many inputs, of all workgroups of one channel. */
  const seen = `(${groups}*${taps - 1}-32*${groups}*(${groups}-1))`;
  const longest = directPush(taps);
  context.emit({
    built: k.finish(),
    grid: [groups, channels, "d.B"],
    ...(context.maxLength > longest ? { when: `d.L<=${longest}` } : {}),
    cost: {
      flops: `${channels}*d.B*${reached}*(${2 * taps - 1}-${reached})`,
      bytes: `${4 * channels}*d.B*(${reached}+2*${seen})`,
      minimum: `${4 * channels}*(d.B*(${reached}+${taps - 1})+${taps - 1})`,
      serial: taps - 1,
    },
  });
}

/**
 * All of it at once. With both reversed, i = K-2-j and m = K-2-l, it is a causal convolution of the kept inputs with the taps as they are stored:
 * r_l = sum_i w[m - i] tail[K-2-i], over the i up to m.
 */
function emitFftResponse(id: number, weight: string, taps: number, channels: number, context: LowerContext, response: number): void {
  const tail = tailOf(id, taps, channels, context);
  const size = taps - 1;
  emitLines({
    id,
    context,
    channels,
    size,
    count: u32(1),
    lines: 1,
    together: 1,
    taps: size,
    tap: (k, c, n) => k.load(k.bind(context.weight(weight)), add(mul(c, taps), n)),
    sample: (k, { b, c }, i) => k.load(k.bind(tail.buffer), tail.index(b, sub(size - 1, i), c)),
    sink: (k, { b, c }, m, value) => {
      const l = k.let("l", sub(size - 1, m));
      k.if(lt(l, dim("L")), () => k.store(k.bind(response, "read_write"), add(mul(add(mul(b, channels), c), dim("L")), l), value));
    },
    flops: 0,
    bytes: `4*d.B*${channels}*Math.min(d.L,${size})`,
    when: `d.L>${directPush(taps)}`,
  });
}

function lower(node: ConvNode, id: number, context: LowerContext): void {
  const { weight, taps } = tapsOf(node, context);
  const channels = channelsOf(node.type);
  const u = context.value(node.args[0] ?? bug("conv"));
  const streams = context.entry === "resume";
  const response = streams ? emitResponse(id, weight, taps, channels, context) : undefined;
  emitConvolution({
    node,
    id,
    channels,
    u,
    taps: preparedTaps(id, weight, taps, channels, context),
    context,
    response,
    reach: taps - 1,
  });
  if (streams) moveTail(u, tailOf(id, taps, channels, context), taps, channels, context);
}

export const convLong: Schedule = schedule<ConvNode>({
  name: "conv-long",
  doc: "many taps: direct sums, or an FFT in one dispatch, or one in three, by length and workgroup memory",
  op: "conv",
  applies: (node, _, context) => context.entry !== "step" && tapsOf(node, context).taps > directUpTo,
  lower,
});
