/**
 * Which values lie side by side in one buffer: the parts of a concatenation, each written where it belongs, so that the whole is a
 * view and no copy. Graph to places; buffers are made in `lower-entry.ts`.
 */
import { bug } from "../ir/error.ts";
import type { ConcatNode, Graph, Node, ValueId } from "../ir/graph.ts";
import { isOutput, isView, nodeAt, sourceOf } from "../ir/rewrite.ts";

/** Neighbouring channels. */
export interface ChannelRange {
  readonly start: number;
  readonly count: number;
}

/** Those of a value. */
export interface Run extends ChannelRange {
  readonly of: ValueId;
}

/** Where a value begins in a buffer that others share. */
interface JoinedPlace {
  /** The value that lies first in it. */
  readonly buffer: ValueId;
  readonly channels: number;
  readonly offset: number;
}

export interface Joins {
  /** The places of values that kernels write. */
  readonly places: ReadonlyMap<ValueId, JoinedPlace>;
  /** What the concatenations that are views are made of: channels of the values above. */
  readonly views: ReadonlyMap<ValueId, readonly Run[]>;
}

/** Parts that a reader may choose between; a concatenation of more is a copy. */
const mostRuns = 4;

const widthOf = ({ type }: Node): number => Number(type.dims.at(-1)?.size);

const known = new WeakMap<Graph, Joins>();

/** The places in which all concatenations are views that can be: not of inputs or outputs, and in few pieces. */
export function joinsOf(graph: Graph): Joins {
  const joins = known.get(graph) ?? findJoins(graph);
  known.set(graph, joins);
  return joins;
}

/** The values that kernels write of which another is a view; itself where a kernel writes it. */
export function writtenBy(graph: Graph, id: ValueId): readonly ValueId[] {
  const source = sourceOf(graph, id);
  return (
    joinsOf(graph)
      .views.get(source)
      ?.map(({ of }) => of) ?? [source]
  );
}

/** The value that lies first in the buffer of another: equal where buffers are. */
export function bufferOf(graph: Graph, id: ValueId): ValueId {
  const [written = id] = writtenBy(graph, id);
  return joinsOf(graph).places.get(written)?.buffer ?? written;
}

function findJoins(graph: Graph): Joins {
  /** For every value of a joined buffer, all of them in their order. */
  const lists = new Map<ValueId, readonly ValueId[]>();
  const views = new Map<ValueId, readonly Run[]>();
  for (const [id, node] of graph.nodes.entries()) {
    if (node.op !== "concat" || isOutput(graph, id)) continue;
    const runs = partsOf(graph, node, views);
    if (runs === undefined) continue;
    let list: readonly ValueId[] = [];
    for (const { of } of runs) {
      if (!list.includes(of)) list = [...list, ...(lists.get(of) ?? [of])];
      for (const value of list) lists.set(value, list);
    }
    views.set(id, runs);
  }
  const places = new Map<ValueId, JoinedPlace>();
  for (const list of new Set(lists.values())) {
    const [buffer = bug("nothing is joined")] = list;
    const channels = list.reduce((sum, value) => sum + widthOf(nodeAt(graph, value)), 0);
    let offset = 0;
    for (const value of list) {
      places.set(value, { buffer, channels, offset });
      offset += widthOf(nodeAt(graph, value));
    }
  }
  return { places, views };
}

/** The runs of a concatenation, where they are few and each is written by a kernel. */
function partsOf(graph: Graph, node: ConcatNode, views: ReadonlyMap<ValueId, readonly Run[]>): readonly Run[] | undefined {
  const runs: Run[] = [];
  for (const part of node.args) {
    const own = runsOf(graph, part, views);
    if (own === undefined) return undefined;
    for (const run of own) {
      const last = runs.at(-1);
      if (last?.of === run.of && last.start + last.count === run.start) runs[runs.length - 1] = { ...last, count: last.count + run.count };
      else runs.push(run);
    }
  }
  return runs.length <= mostRuns ? runs : undefined;
}

/** The channels that a value is. */
function runsOf(graph: Graph, id: ValueId, views: ReadonlyMap<ValueId, readonly Run[]>): readonly Run[] | undefined {
  const node = nodeAt(graph, id);
  const view = views.get(id);
  if (view !== undefined) return view;
  if (node.op === "slice") return node.step === undefined ? cut(graph, id, views) : undefined;
  return isView(node) || node.op === "input" || node.op === "param" || isOutput(graph, id)
    ? undefined
    : [{ of: id, start: 0, count: widthOf(node) }];
}

/** The channels that a slice is. */
function cut(graph: Graph, id: ValueId, views: Joins["views"]): readonly Run[] | undefined {
  const node = nodeAt(graph, id);
  if (node.op !== "slice") return bug("not a slice");
  const end = node.start + widthOf(node);
  let begin = 0;
  return runsOf(graph, node.args[0] ?? bug("slice"), views)?.flatMap((run) => {
    const [from, to] = [Math.max(node.start - begin, 0), Math.min(end - begin, run.count)];
    begin += run.count;
    return from < to ? [{ of: run.of, start: run.start + from, count: to - from }] : [];
  });
}
