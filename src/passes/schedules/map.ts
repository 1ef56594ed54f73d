/** Pointwise nodes and concatenation as kernels of their own: one lane an element. */
import { bug } from "../../ir/error.ts";
import type { ConcatNode, MapNode, Node } from "../../ir/graph.ts";
import { dim, div, fromExpr, type KernelBuilder, kernelBuilder, lt, mod, mul, select, sub } from "./kit.ts";
import {
  channelsOf,
  type Coords,
  elements,
  flatGrid,
  flatLane,
  flopsOf,
  groupsOf,
  hasLength,
  type LowerContext,
  read,
  schedule,
  type Schedule,
  stepTime,
  write,
} from "./schedule.ts";

const lanes = 64;

/** Runs `body` at every element of the node's result. */
function everyElement(
  name: string,
  node: Node,
  id: number,
  context: LowerContext,
  flops: number,
  body: (k: KernelBuilder, at: Coords) => void,
): void {
  const k = kernelBuilder(name, lanes);
  const result = context.result(id);
  const count = elements(node.type, context.entry);
  const channels = channelsOf(node.type);
  const sequence = hasLength(node.type) && context.entry !== "step";
  const i = k.let("i", flatLane(lanes));
  const total = sequence ? mul(mul(dim("B"), channels), dim("L")) : mul(dim("B"), channels);
  k.if(lt(i, total), () => {
    const inner = sequence && result.layout === "BCL" ? dim("L") : undefined;
    const first = k.let("first", inner === undefined ? mod(i, channels) : mod(i, inner));
    const rest = k.let("rest", div(i, inner ?? channels));
    if (inner !== undefined) body(k, { b: k.let("b", div(rest, channels)), c: k.let("c", mod(rest, channels)), l: first });
    else if (sequence) body(k, { b: k.let("b", div(rest, dim("L"))), c: first, l: k.let("l", mod(rest, dim("L"))) });
    else body(k, { b: rest, c: first, l: stepTime() });
  });
  const operands = node.args.map((a) => {
    const { type } = context.graph.nodes[a] ?? bug("no node");
    return type.dims.some((d) => d.size === "B") ? `4*${elements(type, context.entry)}` : `${4 * channelsOf(type)}`;
  });
  const bytes = [`4*${count}`, ...operands].join("+");
  context.emit({ built: k.finish(), grid: flatGrid(groupsOf(count, lanes)), cost: { flops: `${flops}*${count}`, bytes, minimum: bytes } });
}

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
        const inside = k.let("inside", select(lt(at.c, start), { op: "lit", type: "u32", value: 0 }, sub(at.c, start)));
        const last = (widths[i] ?? 1) - 1;
        return k.let(
          "source",
          read(k, context.value(a), {
            ...at,
            c: { op: "call", type: "u32", fn: "min", args: [inside, { op: "lit", type: "u32", value: last }] },
          }),
        );
      });
      const picked = sources.reduceRight((rest, source, i) => select(lt(at.c, (starts[i] ?? 0) + (widths[i] ?? 0)), source, rest));
      write(k, context.result(id), at, picked);
    }),
});
