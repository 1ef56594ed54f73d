/**
 * Which schedule runs each node in one entry point, and which nodes need none because the schedules of all their users
 * compute them on the way. No kernel is made here.
 */
import { bug } from "../ir/error.ts";
import type { Graph, Node, ValueId } from "../ir/graph.ts";
import { isOutput, isView, usersOf } from "../ir/rewrite.ts";
import { joinsOf } from "./joined.ts";
import { schedules } from "./schedules/index.ts";
import type { LowerContext, Schedule } from "./schedules/schedule.ts";

/** A node with the schedule that runs it, and the nodes that this computes on the way, in the order of the graph. */
export interface Assigned {
  readonly id: ValueId;
  readonly node: Node;
  readonly schedule: Schedule;
  readonly absorbed: readonly ValueId[];
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
  for (const [id, node] of graph.nodes.entries()) {
    if (!isComputed(node, id) || absorbed.has(id)) continue;
    const schedule = found[id];
    if (schedule === undefined) return { unserved: node };
    assigned.push({ id, node, schedule, absorbed: (claims.get(id) ?? []).filter((a) => absorbed.has(a)) });
  }
  return assigned;
}
