/**
 * Several last or first steps of a sequence. A stream keeps them, step t at t mod steps: one dispatch writes those that came, another reads
 * all in the order of time.
 */
import { bug } from "../../ir/error.ts";
import type { PoolNode, ValueId } from "../../ir/graph.ts";
import { everyElement } from "./elements.ts";
import { add, dim, div, f32, kernelBuilder, type KExpr, lt, mod, mul, sub, u32 } from "./kit.ts";
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
  stepTime,
  write,
} from "./schedule.ts";
import { ownTraffic } from "./traffic.ts";

const lanes = 64;

/** Of the dispatch that writes the result; `reads`: bytes of the steps it is made of. */
const costOf = (node: PoolNode, reads: string, context: LowerContext) => {
  const size = elements(node.type, context.entry);
  const own = `4*${size}+${reads}`;
  return {
    flops: `${flopsOf(node.post)}*${size}`,
    bytes: `${own}+${ownTraffic(node.args.slice(1), node, "channel", context.entry, context)}`,
    minimum: `${own}+${postBytes(node, context.entry, context)}`,
  };
};

function lowerWhole(node: PoolNode, id: ValueId, channels: number, steps: number, context: LowerContext): void {
  const x = context.value(node.args[0] ?? bug("pool"));
  const reads = `${4 * channels}*d.B*Math.min(d.L,${steps})`;
  everyElement("pool_steps", node, id, context, costOf(node, reads, context), (k, at) => {
    const i = k.let("step", div(at.c, channels));
    // What lies before the sequence is, without a sign, far behind it.
    const l = k.let("time", node.kind === "last" ? sub(add(dim("L"), i), steps) : i);
    const value = k.var("value", f32(0));
    k.if(lt(l, dim("L")), () => k.assign(value, read(k, x, { b: at.b, l, c: mod(at.c, channels) })));
    write(k, context.result(id), at, applyPost(k, node, [value], at, context));
  });
}

/** Writes the steps that came into those kept, `[B][steps][H]`. */
function keep(node: PoolNode, channels: number, steps: number, state: number, context: LowerContext): void {
  const x = context.value(node.args[0] ?? bug("pool"));
  const step = context.entry === "step";
  const rows = step ? 1 : steps;
  const k = kernelBuilder(`pool_steps_keep_${node.kind}`, lanes);
  const i = k.let("i", flatLane(lanes));
  k.if(lt(i, mul(dim("B"), rows * channels)), () => {
    const c = k.let("c", mod(i, channels));
    const rest = k.let("rest", div(i, channels));
    const b = k.let("b", div(rest, rows));
    const put = (row: KExpr, l: KExpr): void =>
      k.store(k.bind(state, "read_write"), add(mul(add(mul(b, steps), row), channels), c), read(k, x, { b, l, c }));
    if (step) {
      if (node.kind === "last") put(mod(dim("pos"), steps), stepTime());
      else k.if(lt(dim("pos"), steps), () => put(dim("pos"), stepTime()));
      return;
    }
    const row = k.let("row", mod(rest, rows));
    if (node.kind === "last") {
      // Of the steps of this row the newest is the last of all, or so many before it.
      const back = k.let("back", mod(add(sub(add(dim("pos"), dim("L")), 1), sub(u32(steps), row)), steps));
      k.if(lt(back, dim("L")), () => put(row, sub(sub(dim("L"), 1), back)));
    } else k.if(lt(sub(row, dim("pos")), dim("L")), () => put(row, sub(row, dim("pos"))));
  });
  const came = step ? "1" : `Math.min(d.L,${steps})`;
  const rooms = node.kind === "last" ? came : `Math.max(Math.min(${steps}-d.pos,${came}),0)`;
  const bytes = `${8 * channels}*d.B*${rooms}`;
  context.emit({
    built: k.finish(),
    grid: flatGrid(groupsOf(`d.B*${rows * channels}`, lanes)),
    cost: { flops: 0, bytes, minimum: bytes },
  });
}

/** Reads those kept, at any step of the model. */
function take(node: PoolNode, id: ValueId, channels: number, steps: number, state: number, context: LowerContext): void {
  const step = context.entry === "step";
  const size = elements(node.type, context.entry);
  const k = kernelBuilder(`pool_steps_take_${node.kind}`, lanes);
  const i = k.let("i", flatLane(lanes));
  k.if(lt(i, mul(dim("B"), steps * channels)), () => {
    const at: Coords = { b: k.let("b", div(i, steps * channels)), c: k.let("c", mod(i, steps * channels)), l: stepTime() };
    const count = step ? div(add(dim("pos"), 1), context.rate) : add(dim("pos"), dim("L"));
    const row = k.let("row", node.kind === "last" ? mod(add(count, div(at.c, channels)), steps) : div(at.c, channels));
    const value = k.let("value", k.load(k.bind(state), add(mul(add(mul(at.b, steps), row), channels), mod(at.c, channels))));
    write(k, context.result(id), at, applyPost(k, node, [value], at, context));
  });
  context.emit({
    built: k.finish(),
    grid: flatGrid(groupsOf(size, lanes)),
    cost: costOf(node, `4*${size}`, context),
    ...(step ? { rate: 1, tail: true } : {}),
  });
}

function lower(node: PoolNode, id: ValueId, context: LowerContext): void {
  const { steps = 1 } = node;
  const channels = channelsOf(node.type) / steps;
  if (context.entry === "whole") return lowerWhole(node, id, channels, steps, context);
  const state = context.state(id, `d.B*${steps * channels}`);
  keep(node, channels, steps, state, context);
  take(node, id, channels, steps, state, context);
}

export const poolSteps: Schedule = schedule<PoolNode>({
  name: "pool-steps",
  doc: "several steps, one lane an element; a stream keeps them by their number modulo how many they are",
  op: "pool",
  applies: (node) => node.steps !== undefined,
  lower,
});
