/**
 * Depthwise causal convolution with a few taps: one lane an element. A stream keeps the last K-1 inputs, `[B][K-1][H]`,
 * oldest first. In a step a lane moves those of its channel on as it reads them; of many steps a second dispatch does,
 * because all lanes read them.
 */
import { bug } from "../../ir/error.ts";
import { type ConvNode, ownArity } from "../../ir/graph.ts";
import { add, dim, div, f32, fma, ge, type KernelBuilder, kernelBuilder, type KExpr, lt, mod, mul, select, sub, u32 } from "./kit.ts";
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
  postBytes,
  read,
  schedule,
  type Schedule,
  type ValueRef,
  write,
} from "./schedule.ts";
import { ownTraffic, parametersSeen } from "./traffic.ts";

/** Where a stream keeps the last K-1 inputs. */
export interface Tail {
  readonly buffer: number;
  readonly index: (b: KExpr, position: KExpr, c: KExpr) => KExpr;
}

/** The taps of a node, a parameter, and how many there are. */
export function tapsOf(node: ConvNode, context: LowerContext): { readonly weight: string; readonly taps: number } {
  const weight = context.graph.nodes[node.args[1] ?? -1];
  if (weight?.op !== "param") return bug("a convolution's taps are no parameter");
  return { weight: weight.name, taps: Number(weight.type.dims[1]?.size) };
}

/** The inputs that a stream keeps for a node. */
export function tailOf(id: number, taps: number, channels: number, context: LowerContext): Tail {
  return {
    buffer: context.state(id, `d.B*${(taps - 1) * channels}`),
    index: (b, position, c) => add(mul(add(mul(b, taps - 1), position), channels), c),
  };
}

/** Input at `l - back`, from the tail where that lies before the buffer, zero where there is none. */
function inputAt(k: KernelBuilder, x: ValueRef, at: Coords, back: KExpr, taps: number, tail: Tail | undefined): KExpr {
  const inside = ge(at.l, back);
  const current = read(k, x, { ...at, l: select(inside, sub(at.l, back), u32(0)) });
  if (tail === undefined) return select(inside, current, f32(0));
  const kept = k.load(k.bind(tail.buffer, "read"), tail.index(at.b, select(inside, u32(0), sub(add(at.l, taps - 1), back)), at.c));
  return select(inside, current, kept);
}

/** Whole sequences, and many steps of a stream. */
function lowerMany(node: ConvNode, id: number, context: LowerContext): void {
  const { weight, taps } = tapsOf(node, context);
  const channels = channelsOf(node.type);
  const tail = context.entry === "whole" || taps === 1 ? undefined : tailOf(id, taps, channels, context);
  const source = context.value(node.args[0] ?? bug("conv"));
  const k = kernelBuilder("conv_taps", 64);
  const wBuffer = k.bind(context.weight(weight));
  const i = k.let("i", flatLane(64));
  k.if(lt(i, mul(mul(dim("B"), channels), dim("L"))), () => {
    const l = k.let("l", mod(i, dim("L")));
    const rest = k.let("rest", div(i, dim("L")));
    const at: Coords = { b: k.let("b", div(rest, channels)), c: k.let("c", mod(rest, channels)), l };
    const sum = k.var("sum", f32(0));
    eachTap(k, taps, (tap) => {
      const value = inputAt(k, source, at, sub(u32(taps - 1), tap), taps, tail);
      k.assign(sum, fma(k.load(wBuffer, add(mul(at.c, taps), tap)), value, sum));
    });
    write(k, context.result(id), at, applyPost(k, node, [sum], at, context));
  });
  const kept = tail === undefined ? "0" : `4*d.B*${(taps - 1) * channels}`;
  emit(node, context, k, taps, kept);
  if (tail !== undefined) moveTail(source, tail, taps, channels, context);
}

/** One step of a stream: a lane has the kept inputs of a channel for itself. */
function lowerStep(node: ConvNode, id: number, context: LowerContext): void {
  const { weight, taps } = tapsOf(node, context);
  const channels = channelsOf(node.type);
  const source = context.value(node.args[0] ?? bug("conv"));
  const k = kernelBuilder("conv_step", 64);
  const wBuffer = k.bind(context.weight(weight));
  const i = k.let("i", flatLane(64));
  k.if(lt(i, mul(dim("B"), channels)), () => {
    const at: Coords = { b: k.let("b", div(i, channels)), c: k.let("c", mod(i, channels)), l: dim("t") };
    const sum = k.var("sum", f32(0));
    const addTap = (tap: KExpr, value: KExpr): void => k.assign(sum, fma(k.load(wBuffer, add(mul(at.c, taps), tap)), value, sum));
    const newest = k.let("newest", read(k, source, at));
    if (taps > 1) {
      const tail = tailOf(id, taps, channels, context);
      const buffer = k.bind(tail.buffer, "read_write");
      const place = (tap: KExpr): KExpr => tail.index(at.b, tap, at.c);
      const first = k.let("kept", k.load(buffer, place(u32(0))));
      addTap(u32(0), first);
      eachTap(
        k,
        taps - 1,
        (tap) => {
          const value = k.let("kept", k.load(buffer, place(tap)));
          addTap(tap, value);
          k.store(buffer, place(sub(tap, 1)), value);
        },
        1,
      );
      k.store(buffer, place(u32(taps - 2)), newest);
    }
    addTap(u32(taps - 1), newest);
    write(k, context.result(id), at, applyPost(k, node, [sum], at, context));
  });
  emit(node, context, k, taps, `8*d.B*${(taps - 1) * channels}`);
}

/** `kept`: bytes of the inputs that a stream keeps, as often as they are touched. */
function emit(node: ConvNode, context: LowerContext, k: KernelBuilder, taps: number, kept: string): void {
  const size = elements(node.type, context.entry);
  const channels = channelsOf(node.type);
  const step = context.entry === "step";
  const own = `8*${size}+${kept}`;
  const inner = step ? "channel" : "time";
  const seen = parametersSeen(node, inner, context.entry);
  const again = step ? "0" : `${4 * (taps - 1)}*(${seen}-d.B*${channels})`;
  const post = ownTraffic(node.args.slice(ownArity(node)), node, inner, context.entry, context);
  context.emit({
    built: k.finish(),
    grid: flatGrid(groupsOf(size, 64)),
    cost: {
      flops: `${2 * taps + flopsOf(node.post)}*${size}`,
      bytes: `${own}+${4 * taps}*${seen}+${again}+${post}`,
      minimum: `${own}+${4 * taps * channels}+${postBytes(node, context.entry, context)}`,
    },
  });
}

/** Taps that are written out; more are a loop. */
const unrolledTaps = 16;

function eachTap(k: KernelBuilder, count: number, body: (tap: KExpr) => void, first = 0): void {
  if (count > unrolledTaps) k.for("tap", first, count, body);
  else for (let tap = first; tap < count; tap++) body(u32(tap));
}

/** tail <- the last K-1 of (tail, x), of many steps; ascending, so that nothing is overwritten before it is read. */
export function moveTail(x: ValueRef, tail: Tail, taps: number, channels: number, context: LowerContext): void {
  const k = kernelBuilder("conv_tail", 64);
  const buffer = k.bind(tail.buffer, "read_write");
  const i = k.let("i", flatLane(64));
  k.if(lt(i, mul(dim("B"), channels)), () => {
    const b = k.let("b", div(i, channels));
    const c = k.let("c", mod(i, channels));
    k.for("j", 0, taps - 1, (j) => {
      const from = k.let("from", add(j, dim("L")));
      k.if(
        lt(from, taps - 1),
        () => k.store(buffer, tail.index(b, j, c), k.load(buffer, tail.index(b, from, c))),
        () => k.store(buffer, tail.index(b, j, c), read(k, x, { b, c, l: sub(from, taps - 1) })),
      );
    });
  });
  const bytes = `${8 * (taps - 1) * channels}*d.B`;
  context.emit({
    built: k.finish(),
    grid: flatGrid(groupsOf(`d.B*${channels}`, 64)),
    cost: { flops: 0, bytes, minimum: bytes, serial: taps - 1 },
  });
}

export const convSchedule: Schedule = schedule<ConvNode>({
  name: "conv-taps",
  doc: "one lane an element, few taps written out",
  op: "conv",
  applies: (_, __, context) => context.entry !== "step",
  lower: lowerMany,
});

export const convStep: Schedule = schedule<ConvNode>({
  name: "conv-step",
  doc: "one step: a lane a channel, which moves on the inputs it keeps",
  op: "conv",
  applies: (_, __, context) => context.entry === "step",
  lower: lowerStep,
});
