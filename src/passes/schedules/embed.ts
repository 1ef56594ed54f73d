/**
 * Rows of an embedding table: one lane an element, a dispatch for every piece of the table, of which one has the row. Ids
 * outside the table take its first or last row: the runtime refuses them before, but those on the device it does not see.
 */
import { bug } from "../../ir/error.ts";
import { type EmbedNode, ownArity } from "../../ir/graph.ts";
import { and, dim, div, ge, kernelBuilder, lt, max, min, mod, mul, sub, u32, uint } from "./kit.ts";
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
  parameterName,
  positionCoords,
  positions,
  postBytes,
  read,
  schedule,
  type Schedule,
  write,
} from "./schedule.ts";
import { ownTraffic, rowsSeen } from "./traffic.ts";
import { bindWeight, rowBytes, unpackingFlops, type Weight, weightAt, type WeightPiece } from "./weight.ts";

const lanes = 64;

function lower(node: EmbedNode, id: number, context: LowerContext): void {
  const table = context.lookup(parameterName(node, 1, context));
  for (const piece of table.pieces) lowerPiece(node, id, context, table, piece);
}

function lowerPiece(node: EmbedNode, id: number, context: LowerContext, table: Weight, piece: WeightPiece): void {
  const [ids = bug("embed")] = node.args;
  const channels = channelsOf(node.type);
  const rows = table.pieces.reduce((sum, { count }) => sum + count, 0);
  const k = kernelBuilder("embed", lanes);
  const bound = bindWeight(k, table, piece);
  const i = k.let("i", flatLane(lanes));
  const places = context.entry === "step" ? dim("B") : mul(dim("B"), dim("L"));
  k.if(lt(i, mul(places, channels)), () => {
    const c = k.let("c", mod(i, channels));
    const at: Coords = { ...positionCoords(k, k.let("p", div(i, channels)), true, context.entry), c };
    const token = k.let("id", read(k, context.value(ids), { ...at, c: u32(0) }));
    const row = k.let("row", uint(min(max(token, 0), rows - 1)));
    const take = (): void => {
      const value = k.let("value", weightAt(k, bound, sub(row, piece.first), c));
      write(k, context.result(id), at, applyPost(k, node, [value], at, context));
    };
    if (table.pieces.length === 1) take();
    else k.if(and(ge(row, piece.first), lt(row, piece.first + piece.count)), take);
  });
  context.emit({
    built: k.finish(),
    grid: flatGrid(groupsOf(elements(node.type, context.entry), lanes)),
    cost: costOf(node, table, context),
  });
}

/** A piece is taken to have its share of the rows asked for; the ids are read for every piece. */
function costOf(node: EmbedNode, table: Weight, context: LowerContext): { flops: string; bytes: string; minimum: string } {
  const size = elements(node.type, context.entry);
  const count = positions(node.type, context.entry);
  const channels = channelsOf(node.type);
  const { length } = table.pieces;
  const [rows, bytes] = [table.pieces.reduce((sum, piece) => sum + piece.count, 0), rowBytes(table)];
  /** Bytes of a row that a workgroup reads: all of it, or those of its lanes. */
  const seen = Math.min(bytes, (bytes * lanes) / channels);
  const groups = groupsOf(size, lanes);
  const post = ownTraffic(node.args.slice(ownArity(node)), node, "channel", context.entry, context);
  return {
    flops: `${flopsOf(node.post) + unpackingFlops(table)}*${size}/${length}`,
    bytes: `(4*${size}+Math.min(${bytes}*${size}/${channels},${Math.min(seen * Math.max(1, lanes / channels), bytes * rows)}*${groups})+${post})/${length}+4*${rowsSeen(count, channels)}`,
    minimum: `(4*${size}+Math.min(${bytes}*${count},${bytes * rows})+${postBytes(node, context.entry, context)})/${length}+4*${count}`,
  };
}

export const embedSchedule: Schedule = schedule<EmbedNode>({
  name: "embed-elements",
  doc: "one lane an element",
  op: "embed",
  applies: () => true,
  lower,
});
