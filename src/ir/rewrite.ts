/**
 * What passes rewrite graphs with: who uses a value, and putting a graph back together after nodes were replaced.
 * No rule lives here.
 */
import { bug } from "./error.ts";
import type { Graph, Node, ValueId } from "./graph.ts";

/** For every value the nodes that use it, each once, in order. */
export function usersOf(graph: Graph): readonly (readonly ValueId[])[] {
  const users: ValueId[][] = graph.nodes.map(() => []);
  graph.nodes.forEach((node, id) => new Set(node.args).forEach((a) => users[a]?.push(id)));
  return users;
}

/** Whether a value is an output of the graph. */
export const isOutput = (graph: Graph, id: ValueId): boolean => graph.outputs.some((o) => o.value === id);

/** The same node on other arguments. */
export const withArgs = (node: Node, args: readonly ValueId[]): Node => ({ ...node, args });

/** The node of a value; a value that does not exist is a bug. */
export const nodeAt = (graph: Graph, id: ValueId): Node => graph.nodes[id] ?? bug(`no value %${id} in ${graph.name}`);

/** Whether a node is another way to look at its argument. */
export const isView = (node: Node): boolean => node.op === "slice" || node.op === "repeat" || node.op === "reverse";

/** The value that another is a view of, or itself. */
export function sourceOf(graph: Graph, id: ValueId): ValueId {
  const node = nodeAt(graph, id);
  return isView(node) ? sourceOf(graph, node.args[0] ?? bug("a view of nothing")) : id;
}

/**
 * Replaces values one by one, in topological order: `replace` sees a node whose arguments are replaced already and
 * gives the value that stands for it, by `emit` (a node that is already there is found again, so equal nodes emitted
 * twice are two) or an earlier one.
 */
export function rebuild(graph: Graph, replace: (node: Node, emit: (node: Node) => ValueId, nodes: readonly Node[]) => ValueId): Graph {
  const nodes: Node[] = [];
  const renamed: ValueId[] = [];
  const to = (id: ValueId): ValueId => renamed[id] ?? bug(`%${id} is used before it is computed`);
  const emit = (node: Node): ValueId => nodes.push(node) - 1;
  for (const node of graph.nodes) renamed.push(replace(withArgs(node, node.args.map(to)), emit, nodes));
  return { ...graph, nodes, outputs: graph.outputs.map((o) => ({ ...o, value: to(o.value) })) };
}

/** Drops what no output needs and renumbers; inputs stay, they are the model's interface. */
export function dropDead(graph: Graph): Graph {
  const live = new Set<ValueId>(graph.outputs.map((o) => o.value));
  graph.nodes.forEach((node, id) => node.op === "input" && live.add(id));
  for (let id = graph.nodes.length - 1; id >= 0; id--) if (live.has(id)) for (const a of nodeAt(graph, id).args) live.add(a);
  if (live.size === graph.nodes.length) return graph;
  const renamed = new Map<ValueId, ValueId>();
  const nodes: Node[] = [];
  graph.nodes.forEach((node, id) => {
    if (live.has(id))
      renamed.set(
        id,
        nodes.push(
          withArgs(
            node,
            node.args.map((a) => renamed.get(a) ?? bug(`%${a} is dead`)),
          ),
        ) - 1,
      );
  });
  return { ...graph, nodes, outputs: graph.outputs.map((o) => ({ ...o, value: renamed.get(o.value) ?? bug(`output ${o.name} is dead`) })) };
}

/**
 * Puts `before` and then `node` at the place of value `id`: the new nodes are numbered from `id` on (and may refer to
 * each other so), users of `id` read `node`.
 */
export function insertBefore(graph: Graph, id: ValueId, before: readonly Node[], node: Node): Graph {
  const shift = (value: ValueId): ValueId => (value < id ? value : value + before.length);
  const later = graph.nodes.slice(id + 1).map((n) => withArgs(n, n.args.map(shift)));
  return {
    ...graph,
    nodes: [...graph.nodes.slice(0, id), ...before, node, ...later],
    outputs: graph.outputs.map((o) => ({ ...o, value: shift(o.value) })),
  };
}

/** The same graph with the files of its places as seen from the innermost folder that holds them all: nothing of the machine. */
export function localPlaces(graph: Graph): Graph {
  const folders = graph.nodes.flatMap(({ loc }) => (loc === undefined ? [] : [loc.file.split("/").slice(0, -1)]));
  const [first = []] = folders;
  const differs = first.findIndex((part, i) => folders.some((folder) => folder[i] !== part));
  const shared = differs < 0 ? first.length : differs;
  const local = (file: string): string => file.split("/").slice(shared).join("/");
  return { ...graph, nodes: graph.nodes.map((n) => (n.loc === undefined ? n : { ...n, loc: { ...n.loc, file: local(n.loc.file) } })) };
}
