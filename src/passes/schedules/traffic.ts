/**
 * Bytes of operands that several lanes share, for the costs of kernels that run a lane an element: sums over workgroups
 * of the distinct words each reads, as source over `d`. No schedule, and no kernel.
 */
import { bug } from "../../ir/error.ts";
import { ownArity, type Node, type RepeatNode, type ValueId } from "../../ir/graph.ts";
import { channelsOf, elements, type Entry, hasLength, type LowerContext, operandsOf, parameterName, type Size } from "./schedule.ts";
import { rowBytes } from "./weight.ts";

const lanes = 64;

/** Which of its coordinates neighbouring elements of a kernel differ in. */
export type Inner = "channel" | "time";

/** Distinct channels of a workgroup of `size` items, summed over workgroups, where items lie channel after channel. */
export const channelsSeen = (items: Size, channels: number, size = lanes): string =>
  `(Math.floor(${items}/${size})*${Math.min(size, channels)}+Math.min(${channels},${items}%${size}))`;

/** Distinct rows of a workgroup, summed over workgroups, where items lie row after row. */
export const rowsSeen = (rows: Size, length: Size): string => `${rows}*Math.ceil(${length}/${lanes})`;

/** Channels a kernel over the elements of `node` sees, summed over workgroups: each reads their parameters. */
export function parametersSeen(node: Node, inner: Inner, entry: Entry): string {
  const channels = channelsOf(node.type);
  return inner === "time" ? rowsSeen(`d.B*${channels}`, "d.L") : channelsSeen(elements(node.type, entry), channels);
}

/** Distinct channels that workgroups see of one place of a repeat, summed over them. */
function repeatedSeen({ type, block, times }: RepeatNode): number {
  const channels = channelsOf(type);
  if (channels <= lanes) return channels / times;
  let seen = 0;
  for (let first = 0; first < channels; first += lanes) {
    const window = Array.from({ length: Math.min(lanes, channels - first) }, (_, i) => first + i);
    seen += new Set(window.map((c) => Math.floor(c / (block * times)) * block + (c % block))).size;
  }
  return seen;
}

/** Bytes of operands read at the element itself: values word by word, parameters by the channels seen. */
export function ownTraffic(ids: readonly ValueId[], node: Node, inner: Inner, entry: Entry, context: LowerContext): string {
  const count = elements(node.type, entry);
  const words = [...new Set(ids)].map((id) => {
    const operand = context.graph.nodes[id] ?? bug("no node");
    const { type } = operand;
    if (operand.op === "repeat" && inner === "channel") return elements(type, entry, repeatedSeen(operand));
    if (type.dims.some((d) => d.size === "B")) return elements(type, entry);
    return type.dims.length === 0 ? `Math.ceil(${count}/${lanes})` : parametersSeen(node, inner, entry);
  });
  return ["0", ...words.map((w) => `4*${w}`)].join("+");
}

/** Bytes of the operands of a map, a concatenation or a matrix product that runs a lane an element. */
export function elementTraffic(node: Node, inner: Inner, entry: Entry, context: LowerContext): string {
  const groups = `Math.ceil(${elements(node.type, entry)}/${lanes})`;
  const channels = channelsOf(node.type);
  switch (node.op) {
    case "concat": {
      const sources = [...new Set(node.args)].map((id) => context.graph.nodes[id]?.type ?? bug("no node"));
      if (inner === "channel") return sources.map((type) => `4*${elements(type, entry)}`).join("+");
      // Every lane reads every source, outside of it at its edge.
      return sources.map((type) => `4*${groups}*Math.min(${lanes},d.L)*Math.min(Math.ceil(${lanes}/d.L),${channelsOf(type)})`).join("+");
    }
    case "matmul": {
      const [x = bug("matmul")] = node.args;
      const inputs = channelsOf(context.graph.nodes[x]?.type ?? bug("no node"));
      const positions = hasLength(node.type) && entry !== "step" ? "d.B*d.L" : "d.B";
      const seen =
        inner === "time"
          ? `${groups}*Math.min(${lanes},Math.max(d.L,${Math.ceil(lanes / channels)}),${positions})`
          : `${positions}*${Math.ceil(channels / lanes)}`;
      const weight = context.product(parameterName(node, 1, context), node.parts);
      const weights = `${rowBytes(weight) * node.parts}*${parametersSeen(node, inner, entry)}`;
      return `${4 * inputs}*${seen}+${weights}+${ownTraffic(node.args.slice(ownArity(node)), node, inner, entry, context)}`;
    }
    default:
      return ownTraffic(operandsOf(node, context), node, inner, entry, context);
  }
}
