/** Pooling over time, causal: of a whole sequence, of what a stream has seen so far, or one step more. */
import { bug } from "../../ir/error.ts";
import type { PoolNode } from "../../ir/graph.ts";
import { add, dim, div, eq, f32, float, group, kernelBuilder, type KExpr, lane, lt, max, mod, mul, select, sub, u32 } from "./kit.ts";
import {
  applyPost,
  channelsOf,
  type Coords,
  elements,
  flatGrid,
  flatLane,
  flopsOf,
  groupsOf,
  joinLanes,
  type LowerContext,
  postBytes,
  read,
  schedule,
  type Schedule,
  write,
} from "./schedule.ts";

const lanes = 64;

function lower(node: PoolNode, id: number, context: LowerContext): void {
  const channels = channelsOf(node.type);
  const x = context.value(node.args[0] ?? bug("pool"));
  const slow = context.rate > 1;
  const running = context.entry !== "whole" && (node.kind !== "last" || slow);
  const apart = slow && context.entry === "step";
  const reduces = (node.kind === "mean" || node.kind === "max") && context.entry !== "step";
  const k = kernelBuilder(`pool_${node.kind}`, lanes);
  const flat = reduces ? undefined : k.let("i", flatLane(lanes));
  const at = flat === undefined ? { b: group(1), c: group(0) } : { b: div(flat, channels), c: mod(flat, channels) };
  const length = context.entry === "step" ? u32(1) : dim("L");
  const here = (l: KExpr): Coords => ({ ...at, l: context.entry === "step" ? dim("t") : l });
  const combine = (a: KExpr, b: KExpr): KExpr => (node.kind === "max" ? max(a, b) : add(a, b));
  const state = running ? context.state(id, `d.B*${channels}`) : undefined;
  const place = { buffer: state ?? -1, type: node.type, layout: "BC", channels, place: (c: KExpr) => c, reversed: false } as const;
  const old = (fresh: KExpr, join: (old: KExpr) => KExpr): KExpr => {
    if (state === undefined) return fresh;
    k.bind(state, "read_write");
    const before = k.let("before", k.load(k.bind(state, "read_write"), add(mul(at.b, channels), at.c)));
    return select(eq(dim("pos"), 0), fresh, join(before));
  };
  const finish = (value: KExpr): void => {
    const total = k.let("value", value);
    if (state !== undefined) write(k, place, here(u32(0)), total);
    if (apart) return;
    const own =
      node.kind === "mean" ? k.let("mean", div(total, float(context.entry === "whole" ? length : add(dim("pos"), length)))) : total;
    write(k, context.result(id), here(u32(0)), applyPost(k, node, [own], here(u32(0)), context));
  };
  if (flat === undefined) {
    const sum = k.var("sum", node.kind === "max" ? read(k, x, here(u32(0))) : f32(0));
    k.for("l", lane, length, (l) => k.assign(sum, combine(sum, read(k, x, here(l)))), lanes);
    const all = joinLanes(k, k.shared("scratch", lanes), lanes, sum, combine);
    k.if(eq(lane, 0), () => finish(old(all, (before) => combine(before, all))));
  } else {
    k.if(lt(flat, mul(dim("B"), channels)), () => {
      const value = k.let("x", read(k, x, here(node.kind === "last" ? sub(length, 1) : u32(0))));
      finish(node.kind === "last" ? value : old(value, (before) => (node.kind === "first" ? before : combine(before, value))));
    });
  }
  const reads = reduces ? `4*d.B*${channels}*d.L` : `4*d.B*${channels}`;
  const kept = running ? `${node.kind === "last" ? 4 : 8}*d.B*${channels}` : "0";
  const given = `4*${elements(node.type, context.entry)}+${postBytes(node, context.entry, context)}`;
  const bytes = `${reads}+${kept}+${apart ? 0 : given}`;
  const joins = running && (node.kind === "mean" || node.kind === "max") ? 1 : 0;
  const own = joins + (apart ? 0 : (node.kind === "mean" ? 1 : 0) + flopsOf(node.post));
  context.emit({
    built: k.finish(),
    grid: reduces ? [channels, "d.B", 1] : flatGrid(groupsOf(`d.B*${channels}`, lanes)),
    cost: {
      flops: `d.B*${channels}*(${reduces ? "d.L" : 0}+${own})`,
      bytes,
      minimum: bytes,
      serial: reduces ? `d.L/${lanes}` : 1,
    },
  });
  if (apart && state !== undefined) readOut(node, id, state, context);
}

/** What a slower sequence was pooled to so far, at any step of the model. */
function readOut(node: PoolNode, id: number, state: number, context: LowerContext): void {
  const channels = channelsOf(node.type);
  const k = kernelBuilder(`pool_${node.kind}_read`, lanes);
  const i = k.let("i", flatLane(lanes));
  k.if(lt(i, mul(dim("B"), channels)), () => {
    const at: Coords = { b: k.let("b", div(i, channels)), c: k.let("c", mod(i, channels)), l: u32(0) };
    const total = k.let("value", k.load(k.bind(state), i));
    const own = node.kind === "mean" ? k.let("mean", div(total, float(max(div(add(dim("pos"), 1), context.rate), 1)))) : total;
    write(k, context.result(id), at, applyPost(k, node, [own], at, context));
  });
  const bytes = `8*d.B*${channels}+${postBytes(node, context.entry, context)}`;
  const flops = `d.B*${channels}*${(node.kind === "mean" ? 1 : 0) + flopsOf(node.post)}`;
  const grid = flatGrid(groupsOf(`d.B*${channels}`, lanes));
  context.emit({ built: k.finish(), grid, cost: { flops, bytes, minimum: bytes }, rate: 1, tail: true });
}

export const poolSchedule: Schedule = schedule<PoolNode>({
  name: "pool-group",
  doc: "a workgroup a channel of a sequence, partial results joined over its lanes",
  op: "pool",
  applies: () => true,
  lower,
});
