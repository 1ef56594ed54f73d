/** Pointwise nodes and concatenation as kernels of their own: one lane an element. */
import { bug } from "../../ir/error.ts";
import type { ConcatNode, MapNode, ValueId } from "../../ir/graph.ts";
import { everyElement } from "./elements.ts";
import { fromExpr, type KExpr, lt, min, select, sub, u32 } from "./kit.ts";
import { channelsOf, flopsOf, type LowerContext, read, schedule, type Schedule, write } from "./schedule.ts";

function mapAt(id: ValueId, { graph }: LowerContext): MapNode {
  const node = graph.nodes[id];
  return node?.op === "map" ? node : bug("a map beside others is none");
}

const mapsFlops = (id: ValueId, context: LowerContext): number =>
  [id, ...context.beside()].reduce((sum, map) => sum + flopsOf(mapAt(map, context).expr), 0);

export const mapSchedule: Schedule = schedule<MapNode>({
  name: "map-elements",
  doc: "one lane an element, of maps that read the same together",
  op: "map",
  applies: () => true,
  lower: (node, id, context) =>
    everyElement("map", node, id, context, mapsFlops(id, context), (k, at) => {
      const known = new Map<ValueId, KExpr>();
      const valueOf = (arg: ValueId): KExpr => {
        const value = known.get(arg) ?? k.let(`x${known.size}`, read(k, context.value(arg), at));
        known.set(arg, value);
        return value;
      };
      for (const map of [id, ...context.beside()]) {
        const { expr, args } = mapAt(map, context);
        const value = fromExpr(expr, args.map(valueOf));
        const result = context.beside().length === 0 ? value : k.let("y", value);
        known.set(map, result);
        write(k, context.result(map), at, result);
      }
    }),
});

export const concatSchedule: Schedule = schedule<ConcatNode>({
  name: "concat-elements",
  doc: "one lane an element, which picks its source by channel",
  op: "concat",
  applies: () => true,
  lower: (node, id, context) =>
    everyElement("concat", node, id, context, 0, (k, at) => {
      const widths = node.args.map((a) => channelsOf(context.value(a).type));
      const starts = widths.map((_, i) => widths.slice(0, i).reduce((sum, w) => sum + w, 0));
      const sources = node.args.map((a, i) => {
        const start = starts[i] ?? 0;
        const inside = k.let("inside", select(lt(at.c, start), u32(0), sub(at.c, start)));
        const last = (widths[i] ?? 1) - 1;
        return k.let(
          "source",
          read(k, context.value(a), {
            ...at,
            c: min(inside, last),
          }),
        );
      });
      const picked = sources.reduceRight((rest, source, i) => select(lt(at.c, (starts[i] ?? 0) + (widths[i] ?? 0)), source, rest));
      write(k, context.result(id), at, picked);
    }),
});
