/**
 * Which schedule runs each node in one entry point, and which nodes need none because the schedules of all their users
 * compute them on the way. No kernel is made here.
 */
import { bug } from "../ir/error.ts";
import type { Graph, Node, ValueId } from "../ir/graph.ts";
import { sameDims } from "../ir/infer.ts";
import { isOutput, isView, nodeAt, usersOf } from "../ir/rewrite.ts";
import { bufferOf, joinsOf, writtenBy } from "./joined.ts";
import { schedules } from "./schedules/index.ts";
import type { LowerContext, Schedule } from "./schedules/schedule.ts";

/** A node with the schedule that runs it, and the nodes that this computes on the way, in the order of the graph. */
export interface Assigned {
  readonly id: ValueId;
  readonly node: Node;
  readonly schedule: Schedule;
  readonly absorbed: readonly ValueId[];
  /** Maps that the same kernel writes, besides the node's own. */
  readonly beside: readonly ValueId[];
}

/** Gives every node the first schedule that applies to it, or says which node no schedule serves. */
export function assign(graph: Graph, contextOf: (node: Node) => LowerContext): readonly Assigned[] | { readonly unserved: Node } {
  const { views } = joinsOf(graph);
  const isComputed = (node: Node, id: ValueId): boolean => node.op !== "param" && node.op !== "input" && !isView(node) && !views.has(id);
  const found = graph.nodes.map((node, id) =>
    isComputed(node, id) ? schedules.find((schedule) => schedule.applies(node, id, contextOf(node))) : undefined,
  );
  const users = usersOf(graph);
  const absorbed = new Set<ValueId>();
  const claims = new Map<ValueId, readonly ValueId[]>();
  // Users come first: of what is absorbed itself, more may be absorbed by what computes it.
  for (const [id, node] of [...graph.nodes.entries()].toReversed()) {
    const own = users[id] ?? bug("no users");
    if (own.length > 0 && !isOutput(graph, id) && own.every((user) => claims.get(user)?.includes(id))) {
      absorbed.add(id);
      const [first = [], ...others] = own.map((user) => claims.get(user) ?? []);
      claims.set(
        id,
        first.filter((claimed) => others.every((other) => other.includes(claimed))),
      );
    } else claims.set(id, found[id]?.absorbs?.(node, id, contextOf(node)) ?? []);
  }
  const assigned: Assigned[] = [];
  const groups = groupMaps(graph, (id) => !absorbed.has(id));
  const grouped = new Set([...groups.values()].flat());
  for (const [id, node] of graph.nodes.entries()) {
    if (!isComputed(node, id) || absorbed.has(id) || grouped.has(id)) continue;
    const schedule = found[id];
    if (schedule === undefined) return { unserved: node };
    const beside = groups.get(id) ?? [];
    assigned.push({ id, node, schedule, absorbed: (claims.get(id) ?? []).filter((a) => absorbed.has(a)), beside });
  }
  return assigned;
}

/** Storage buffers that one kernel of several maps may bind. */
const mostBuffers = 8;

/**
 * For maps the later ones that one kernel computes with them: of the same dims, of what is known before the first or is among them,
 * and of a common buffer.
 */
function groupMaps(graph: Graph, isOwn: (id: ValueId) => boolean): ReadonlyMap<ValueId, readonly ValueId[]> {
  const groups = new Map<ValueId, ValueId[]>();
  const buffersOf = (maps: readonly ValueId[]): ReadonlySet<ValueId> =>
    new Set(maps.flatMap((id) => [id, ...nodeAt(graph, id).args]).map((id) => bufferOf(graph, id)));
  for (const [id, node] of graph.nodes.entries()) {
    if (node.op !== "map" || !isOwn(id)) continue;
    const first = [...groups].find(([leader, others]) => {
      const maps = [leader, ...others];
      const fits =
        node.args.every((arg) => maps.includes(arg) || writtenBy(graph, arg).every((value) => value < leader)) &&
        sameDims(nodeAt(graph, leader).type.dims, node.type.dims) &&
        isOutput(graph, leader) === isOutput(graph, id);
      const shared = fits ? buffersOf(maps) : new Set<ValueId>();
      const shares = node.args.some((arg) => nodeAt(graph, arg).op !== "param" && shared.has(bufferOf(graph, arg)));
      return shares && new Set([...shared, ...buffersOf([id])]).size <= mostBuffers;
    });
    if (first === undefined) groups.set(id, []);
    else first[1].push(id);
  }
  return groups;
}
