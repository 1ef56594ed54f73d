/**
 * Between two rates: `pack` and `unpack`. Where whole blocks are at hand both only move numbers. A step of the faster
 * sequence stores into, or reads from, a block that a stream keeps; a step of the slower one takes the block, or brings the next.
 */
import { bug } from "../../ir/error.ts";
import type { PackNode, UnpackNode, ValueId } from "../../ir/graph.ts";
import { everyElement } from "./elements.ts";
import { add, dim, div, f32, kernelBuilder, type KExpr, lt, mod, mul, sub } from "./kit.ts";
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

const sourceOf = ({ args }: PackNode | UnpackNode, context: LowerContext) => context.value(args[0] ?? bug("a block of nothing"));

/** Copies one step of `x` into a block, at the dispatch's own rate. */
function keep(name: string, x: ValueId, block: number, place: (at: Coords) => KExpr, context: LowerContext, rate: number): void {
  const ref = context.value(x);
  const channels = channelsOf(ref.type);
  const k = kernelBuilder(name, lanes);
  const i = k.let("i", flatLane(lanes));
  k.if(lt(i, mul(dim("B"), channels)), () => {
    const at = { b: k.let("b", div(i, channels)), c: k.let("c", mod(i, channels)) };
    const l = context.entry === "step" ? stepTime() : sub(dim("L"), 1);
    k.store(k.bind(block, "read_write"), place({ ...at, l }), read(k, ref, { ...at, l }));
  });
  const bytes = `${8 * channels}*d.B`;
  context.emit({ built: k.finish(), grid: flatGrid(groupsOf(`d.B*${channels}`, lanes)), cost: { flops: 0, bytes, minimum: bytes }, rate });
}

function lowerPack(node: PackNode, id: ValueId, context: LowerContext): void {
  const { by, only } = node;
  const [first, count] = only === undefined ? [0, by] : [only, 1];
  const [x = bug("pack")] = node.args;
  const size = elements(node.type, context.entry);
  const cost = { flops: 0, bytes: `8*${size}`, minimum: `8*${size}` };
  const channels = channelsOf(sourceOf(node, context).type);
  if (context.entry !== "step") {
    everyElement("pack", node, id, context, cost, (k, at) => {
      const from = { b: at.b, c: div(at.c, count), l: add(add(mul(at.l, by), first), mod(at.c, count)) };
      write(k, context.result(id), at, read(k, sourceOf(node, context), from, mul(dim("L"), by)));
    });
    return;
  }
  const block = context.state(id, `d.B*${channels * by}`);
  const index = (b: KExpr, s: KExpr, c: KExpr): KExpr => add(mul(add(mul(b, by), s), channels), c);
  keep("pack_keep", x, block, ({ b, c }) => index(b, mod(dim("pos"), by), c), context, context.rate / by);
  everyElement("pack_take", node, id, context, cost, (k, at) =>
    write(k, context.result(id), at, k.load(k.bind(block), index(at.b, add(mod(at.c, count), first), div(at.c, count)))),
  );
}

function lowerUnpack(node: UnpackNode, id: ValueId, context: LowerContext): void {
  const { by } = node;
  const { entry } = context;
  const [x = bug("unpack")] = node.args;
  const channels = channelsOf(node.type);
  const block = entry === "whole" ? undefined : context.state(id, `d.B*${channels * by}`);
  const index = (b: KExpr, c: KExpr): KExpr => add(mul(b, channels * by), c);
  const size = elements(node.type, entry);
  const own = entry === "whole" ? `4*${size}+${4 * channels}*d.B*(d.L-${by})` : `8*${size}`;
  const inner = entry !== "step" && context.result(id).layout === "BCL" ? "time" : "channel";
  const cost = {
    flops: `${flopsOf(node.post)}*${size}`,
    bytes: `${own}+${ownTraffic(node.args.slice(1), node, inner, entry, context)}`,
    minimum: `${own}+${postBytes(node, entry, context)}`,
  };
  everyElement("unpack", node, id, context, cost, (k, at) => {
    const put = (value: KExpr): void => write(k, context.result(id), at, applyPost(k, node, [value], at, context));
    const kept = (s: KExpr): KExpr => (block === undefined ? f32(0) : k.load(k.bind(block), index(at.b, add(mul(at.c, by), s))));
    if (entry === "step") return put(kept(mod(dim("pos"), by)));
    const from = (): Coords => ({ b: at.b, c: add(mul(at.c, by), mod(at.l, by)), l: sub(div(at.l, by), 1) });
    k.if(
      lt(at.l, by),
      () => put(kept(at.l)),
      () => put(read(k, sourceOf(node, context), from(), div(dim("L"), by))),
    );
  });
  if (block !== undefined) keep("unpack_keep", x, block, ({ b, c }) => index(b, c), context, context.rate * by);
}

export const packSchedule: Schedule = schedule<PackNode>({
  name: "pack-elements",
  doc: "one lane an element; a stream keeps the block that is not full",
  op: "pack",
  applies: () => true,
  lower: lowerPack,
});

export const unpackSchedule: Schedule = schedule<UnpackNode>({
  name: "unpack-elements",
  doc: "one lane an element; a stream keeps the block it takes apart",
  op: "unpack",
  applies: () => true,
  lower: lowerUnpack,
});
