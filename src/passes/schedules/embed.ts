/** Rows of an embedding table: one lane an element. Ids outside the table take its first or last row; the runtime refuses them before. */
import { bug } from "../../ir/error.ts";
import { type EmbedNode, ownArity } from "../../ir/graph.ts";
import { add, dim, div, kernelBuilder, lt, max, min, mod, mul, uint } from "./kit.ts";
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
  positionCoords,
  positions,
  postBytes,
  read,
  schedule,
  type Schedule,
  write,
} from "./schedule.ts";
import { ownTraffic, rowsSeen } from "./traffic.ts";

function lower(node: EmbedNode, id: number, context: LowerContext): void {
  const [ids = bug("embed"), table = bug("embed")] = node.args;
  const weight = context.graph.nodes[table];
  if (weight?.op !== "param") bug("an embedding table is no parameter");
  const rows = Number(weight.type.dims[0]?.size);
  const channels = channelsOf(node.type);
  const k = kernelBuilder("embed", 64);
  const w = k.bind(context.weight(weight.name));
  const i = k.let("i", flatLane(64));
  const places = context.entry === "step" ? dim("B") : mul(dim("B"), dim("L"));
  k.if(lt(i, mul(places, channels)), () => {
    const c = k.let("c", mod(i, channels));
    const at: Coords = { ...positionCoords(k, k.let("p", div(i, channels)), true, context.entry), c };
    const token = k.let("id", read(k, context.value(ids), { ...at, c: { op: "lit", type: "u32", value: 0 } }));
    const row = k.let("row", uint(min(max(token, 0), rows - 1)));
    const value = k.let("value", k.load(w, add(mul(row, channels), c)));
    write(k, context.result(id), at, applyPost(k, node, [value], at, context));
  });
  const size = elements(node.type, context.entry);
  const count = positions(node.type, context.entry);
  const entries = rows * channels;
  const post = ownTraffic(node.args.slice(ownArity(node)), node, "channel", context.entry, context);
  context.emit({
    built: k.finish(),
    grid: flatGrid(groupsOf(size, 64)),
    cost: {
      flops: `${flopsOf(node.post)}*${size}`,
      bytes: `4*${size}+4*Math.min(${size},${Math.min(64, entries)}*${groupsOf(size, 64)})+4*${rowsSeen(count, channels)}+${post}`,
      minimum: `4*${size}+4*Math.min(${size},${entries})+4*${count}+${postBytes(node, context.entry, context)}`,
    },
  });
}

export const embedSchedule: Schedule = schedule<EmbedNode>({
  name: "embed-elements",
  doc: "one lane an element",
  op: "embed",
  applies: () => true,
  lower,
});
