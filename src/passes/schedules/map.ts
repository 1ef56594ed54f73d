/** Pointwise nodes and concatenation as kernels of their own: one lane an element. */
import type { ConcatNode, MapNode } from "../../ir/graph.ts";
import { everyElement } from "./elements.ts";
import { fromExpr, lt, min, select, sub, u32 } from "./kit.ts";
import { channelsOf, flopsOf, read, schedule, type Schedule, write } from "./schedule.ts";

export const mapSchedule: Schedule = schedule<MapNode>({
  name: "map-elements",
  doc: "one lane an element",
  op: "map",
  applies: () => true,
  lower: (node, id, context) =>
    everyElement("map", node, id, context, flopsOf(node.expr), (k, at) => {
      const args = node.args.map((a, i) => k.let(`x${i}`, read(k, context.value(a), at)));
      write(k, context.result(id), at, fromExpr(node.expr, args));
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
