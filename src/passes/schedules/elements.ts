/** Kernels of one lane an element of the result; not a schedule of its own. */
import type { Node } from "../../ir/graph.ts";
import { dim, div, type KernelBuilder, kernelBuilder, lt, mod, mul } from "./kit.ts";
import {
  channelsOf,
  type Coords,
  type Cost,
  elements,
  flatGrid,
  flatLane,
  groupsOf,
  hasLength,
  type LowerContext,
  operandsBytes,
  operandsOf,
  stepTime,
} from "./schedule.ts";
import { elementTraffic } from "./traffic.ts";

const lanes = 64;

/** Runs `body` at every element of the node's result, a lane each; `cost` is the dispatch's, or its flops an element. */
export function everyElement(
  name: string,
  node: Node,
  id: number,
  context: LowerContext,
  cost: number | Cost,
  body: (k: KernelBuilder, at: Coords) => void,
): void {
  const k = kernelBuilder(name, lanes);
  const result = context.result(id);
  const count = elements(node.type, context.entry);
  const written = `${4 * (1 + context.beside().length)}*${count}`;
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
  context.emit({
    built: k.finish(),
    grid: flatGrid(groupsOf(count, lanes)),
    cost:
      typeof cost !== "number"
        ? cost
        : {
            flops: `${cost}*${count}`,
            bytes: `${written}+${elementTraffic(node, sequence && result.layout === "BCL" ? "time" : "channel", context.entry, context)}`,
            minimum: `${written}+${operandsBytes(operandsOf(node, context), context.entry, context)}`,
          },
  });
}
