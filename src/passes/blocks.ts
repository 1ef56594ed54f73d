/**
 * Which parameters lie side by side in one buffer: all that a selective recurrence reads besides its values, those of a
 * product it may compute on the way among them. A stage has 8 storage buffers, and such a kernel has many small parameters.
 */
import type { Graph, Node, ParamNode, ValueId } from "../ir/graph.ts";
import { ownArity } from "../ir/graph.ts";

/** The parameters of a buffer in their order, and where among its numbers one of them begins. */
export interface BlockPlace {
  readonly names: readonly string[];
  readonly offset: number;
}

/** By the parameter's name; those that two recurrences read join all of both. */
export function parameterBlocks(graph: Graph): ReadonlyMap<string, BlockPlace> {
  const blocks = new Map<string, Set<string>>();
  for (const node of graph.nodes) {
    if (node.op !== "ssm" || node.form.stage !== "selective") continue;
    const names = parametersOf(graph, node);
    const joined = new Set(names.flatMap((name) => [...(blocks.get(name) ?? []), name]));
    for (const name of joined) blocks.set(name, joined);
  }
  const sizes = new Map(graph.nodes.flatMap((node) => (node.op === "param" ? [[node.name, numbersOf(node)] as const] : [])));
  const places = new Map<string, BlockPlace>();
  for (const [name, block] of blocks) {
    const names = [...block];
    const offset = names.slice(0, names.indexOf(name)).reduce((sum, other) => sum + (sizes.get(other) ?? 0), 0);
    if (names.length > 1) places.set(name, { names, offset });
  }
  return places;
}

const numbersOf = ({ type }: ParamNode): number => type.dims.reduce((product, d) => product * Number(d.size), 1);

/** Parameters among a node's operands, and those of the epilogues of products among them. */
function parametersOf(graph: Graph, node: Node): readonly string[] {
  const params = (ids: readonly ValueId[]): readonly string[] =>
    ids.flatMap((id) => {
      const operand = graph.nodes[id];
      return operand?.op === "param" ? [operand.name] : [];
    });
  const products = node.args.flatMap((id) => {
    const operand = graph.nodes[id];
    return operand?.op === "matmul" ? params(operand.args.slice(ownArity(operand))) : [];
  });
  return [...params(node.args), ...products];
}
