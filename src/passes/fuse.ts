/**
 * The pass `fuse`: pointwise work moves into the op beside it, so that it costs no dispatch and no memory traffic.
 * Graph to graph: which kernel computes a fused node is decided later, by the schedules.
 */
import { callsOf, simplify } from "../ir/algebra.ts";
import { bug } from "../ir/error.ts";
import { arg, substitute, type Expr } from "../ir/expr.ts";
import {
  isAnchor,
  ownArity,
  type AnchorNode,
  type Graph,
  type MapNode,
  type MatmulNode,
  type Node,
  type SliceNode,
  type ValueId,
} from "../ir/graph.ts";
import { broadcastDims, sameDims } from "../ir/infer.ts";
import { dropDead, insertBefore, isOutput, nodeAt, usersOf } from "../ir/rewrite.ts";
import { fold } from "./fold.ts";
import { bufferOf } from "./joined.ts";
import type { Module, Pass, PassContext } from "./pass.ts";

/** Whether an op may read so many values beyond its own operands in its epilogue: a stage has 8 storage buffers. */
function hasRoom(graph: Graph, node: AnchorNode, extras: readonly ValueId[]): boolean {
  if (node.op === "attention") return extras.length <= 3;
  if (node.op !== "ssm") return extras.length <= 4;
  if (node.form.stage !== "selective") return extras.length <= 3;
  // Its operands often lie in one buffer, its parameters always do; result and state take two more.
  const own = node.args.slice(0, ownArity(node));
  const isParam = (id: ValueId): boolean => nodeAt(graph, id).op === "param";
  const values = new Set([...own, ...extras].filter((id) => !isParam(id)).map((id) => bufferOf(graph, id)));
  return values.size + ([...own, ...extras].some(isParam) ? 1 : 0) <= 6;
}

/** Values a map may read: 8 storage buffers less its result. */
const maxMapArgs = 7;
/** Merged expressions beyond this many calls are no longer cheaper than the memory they save. */
const maxCalls = 256;
/** Calls that are cheaper once for every channel that is repeated than a dispatch and its memory. */
const maxRepeatedCalls = 8;

export const fuse: Pass = {
  name: "fuse",
  doc: "pointwise nodes become the epilogue of the op before them; chains of them become one; gated halves of a matmul become its parts",
  needs: ["initialized", "discretized"],
  ensures: ["fused"],
  run: (module, context) => run(module, context),
};

function run(module: Module, context: PassContext): Module {
  let now = module;
  for (let rewrite = findRewrite(now.graph); rewrite !== undefined; rewrite = findRewrite(now.graph)) {
    let { graph } = now;
    for (let r: Rewrite | undefined = rewrite; r !== undefined; r = findRewrite(graph))
      graph = dropDead(insertBefore(graph, r.id, r.before, r.node));
    now = fold.run({ ...now, graph }, context);
  }
  return now;
}

/** What stands for a node: itself rewritten, after nodes that go before it (numbered from the node's own number on). */
interface Rewrite {
  readonly id: ValueId;
  readonly before: readonly Node[];
  readonly node: Node;
}
type Rule = (graph: Graph, id: ValueId, map: MapNode, users: Users) => Rewrite | undefined;
type Users = readonly (readonly ValueId[])[];

/** Whether any rule of this pass still applies to a graph. */
export const canFuse = (graph: Graph): boolean => findRewrite(graph) !== undefined;

function findRewrite(graph: Graph): Rewrite | undefined {
  const users = usersOf(graph);
  for (const [id, node] of graph.nodes.entries()) {
    if (node.op !== "map") continue;
    for (const rule of rules) {
      const rewrite = rule(graph, id, node, users);
      if (rewrite !== undefined) return rewrite;
    }
  }
  return undefined;
}

const onlyUser = (graph: Graph, users: Users, id: ValueId, user: ValueId): boolean =>
  users[id]?.length === 1 && users[id][0] === user && !isOutput(graph, id);

/** Collects the values an expression reads, each once, and says by which `$` it reads them. */
function operands(offset: number, start: readonly ValueId[]): { readonly ids: ValueId[]; readonly read: (id: ValueId) => Expr } {
  const ids = [...start];
  const read = (id: ValueId): Expr => {
    if (!ids.includes(id)) ids.push(id);
    return arg(offset + ids.indexOf(id));
  };
  return { ids, read };
}

/**
 * map f (anchor g x) y  ->  anchor (f . g) x y
 *
 * The anchor moves to the place of the map, where all values are known. Of several anchors the latest takes it, so a
 * residual sum joins the op that finishes last.
 */
function absorbIntoAnchor(graph: Graph, id: ValueId, map: MapNode, users: Users): Rewrite | undefined {
  for (const at of [...new Set(map.args)].sort((a, b) => b - a)) {
    const anchor = nodeAt(graph, at);
    if (
      !isAnchor(anchor) ||
      (anchor.op === "ssm" && anchor.form.stage === "family") ||
      !onlyUser(graph, users, at, id) ||
      !sameDims(anchor.type.dims, map.type.dims)
    )
      continue;
    const own = ownArity(anchor);
    const parts = anchor.op === "matmul" ? anchor.parts : 1;
    const { ids, read } = operands(parts, anchor.args.slice(own));
    const post = simplify(
      substitute(
        map.expr,
        map.args.map((a) => (a === at ? (anchor.post ?? arg(0)) : read(a))),
      ),
    );
    if (!hasRoom(graph, anchor, ids) || callsOf(post) > maxCalls || ids.some((a) => nodeAt(graph, a).type.dtype !== "f32")) continue;
    return { id, before: [], node: { ...anchor, post, args: [...anchor.args.slice(0, own), ...ids] } };
  }
  return undefined;
}

/**
 * map f (map g x) y  ->  map (f . g) x y
 *
 * Where g has no other user, or is so cheap that computing it twice beats storing it.
 */
function mergeMaps(graph: Graph, id: ValueId, map: MapNode, users: Users): Rewrite | undefined {
  for (const at of map.args) {
    const inner = nodeAt(graph, at);
    if (inner.op !== "map" || !sameDims(inner.type.dims, map.type.dims)) continue;
    if (!onlyUser(graph, users, at, id) && !isTrivial(graph, inner, at, users)) continue;
    const { ids, read } = operands(0, []);
    const g = substitute(inner.expr, inner.args.map(read));
    const expr = simplify(
      substitute(
        map.expr,
        map.args.map((a) => (a === at ? g : read(a))),
      ),
    );
    if (ids.length > maxMapArgs || callsOf(expr) > maxCalls) continue;
    const dims = broadcastDims(ids.map((a) => nodeAt(graph, a).type));
    if (sameDims(dims, map.type.dims)) return { id, before: [], node: { ...map, expr, args: ids } };
  }
  return undefined;
}

/** At most two calls on one value (parameters aside), all users maps, of repeats too: once merged into all, it is gone. */
function isTrivial(graph: Graph, map: MapNode, id: ValueId, users: Users): boolean {
  const values = map.args.filter((a) => nodeAt(graph, a).op !== "param");
  const onlyMaps = (value: ValueId, repeats: boolean): boolean =>
    !isOutput(graph, value) &&
    (users[value] ?? []).every((user) => {
      const { op } = nodeAt(graph, user);
      return op === "map" || (repeats && op === "repeat" && onlyMaps(user, false));
    });
  return callsOf(map.expr) <= 2 && values.length === 1 && onlyMaps(id, true);
}

/**
 * map f (repeat (map g x)) y  ->  map (f . g) (repeat x) y
 *
 * Where g has no other user and is cheap enough to be computed for every one that is repeated, or as in `mergeMaps`.
 */
function mergeRepeated(graph: Graph, id: ValueId, map: MapNode, users: Users): Rewrite | undefined {
  for (const at of map.args) {
    const repeat = nodeAt(graph, at);
    const [source = at] = repeat.args;
    const inner = nodeAt(graph, source);
    if (repeat.op !== "repeat" || inner.op !== "map" || !sameDims(repeat.type.dims, map.type.dims)) continue;
    const own = onlyUser(graph, users, source, at) && onlyUser(graph, users, at, id) && callsOf(inner.expr) <= maxRepeatedCalls;
    if (!own && !isTrivial(graph, inner, source, users)) continue;
    const before: Node[] = [];
    const { ids, read } = operands(0, []);
    const channels = inner.type.dims.at(-1);
    const again = (value: ValueId): Expr => {
      const { type } = nodeAt(graph, value);
      const last = type.dims.at(-1);
      if (last === undefined || last.name !== channels?.name) return read(value);
      const dims = [...type.dims.slice(0, -1), { name: last.name, size: sizeOf(repeat) }];
      return read(id + before.push({ ...repeat, args: [value], type: { ...type, dims } }) - 1);
    };
    const g = substitute(inner.expr, inner.args.map(again));
    const expr = simplify(
      substitute(
        map.expr,
        map.args.map((a) => (a === at ? g : read(a))),
      ),
    );
    if (ids.length <= maxMapArgs && callsOf(expr) <= maxCalls) return { id, before, node: { ...map, expr, args: ids } };
  }
  return undefined;
}

/**
 * map f (slice 0 m) .. (slice (k-1) m) y, m = matmul g x w b  ->  matmul parts=k (f . g_0 .. g_(k-1)) x w b_0 .. y
 *
 * Where the slices cover m in equal parts and nothing else reads it (GLU and its kin). Parameters that g reads along
 * the sliced dim are sliced too, which folds away.
 */
function joinParts(graph: Graph, id: ValueId, map: MapNode, users: Users): Rewrite | undefined {
  for (const source of new Set(map.args.map((a) => nodeAt(graph, a)).flatMap((n) => (n.op === "slice" ? n.args : [])))) {
    const matmul = nodeAt(graph, source);
    if (matmul.op !== "matmul" || matmul.parts !== 1 || isOutput(graph, source)) continue;
    const parts = equalParts(graph, id, source, matmul, users);
    const joined = parts && joinedMatmul(graph, id, map, matmul, parts);
    if (joined) return joined;
  }
  return undefined;
}

/** For every slice its part number, where the slices are equal parts that cover the matmul and feed only `user`. */
function equalParts(
  graph: Graph,
  user: ValueId,
  source: ValueId,
  matmul: MatmulNode,
  users: Users,
): ReadonlyMap<ValueId, number> | undefined {
  const size = sizeOf(nodeAt(graph, user));
  const count = sizeOf(matmul) / size;
  const parts = new Map<ValueId, number>();
  for (const at of users[source] ?? []) {
    const slice = nodeAt(graph, at);
    if (
      slice.op !== "slice" ||
      slice.step !== undefined ||
      !onlyUser(graph, users, at, user) ||
      !sameDims(slice.type.dims, nodeAt(graph, user).type.dims)
    )
      return undefined;
    parts.set(at, slice.start / size);
  }
  const covered = new Set(parts.values());
  return count >= 2 && covered.size === count && [...covered].every(Number.isInteger) ? parts : undefined;
}

function joinedMatmul(
  graph: Graph,
  id: ValueId,
  map: MapNode,
  matmul: MatmulNode,
  parts: ReadonlyMap<ValueId, number>,
): Rewrite | undefined {
  const count = new Set(parts.values()).size;
  const channels = matmul.type.dims.at(-1)?.name;
  const before: SliceNode[] = [];
  const { ids, read } = operands(count, []);
  /** What g reads in one part: a value without channels as it is, a parameter with channels sliced. */
  const inPart = (value: ValueId, part: number): Expr | undefined => {
    const { op, type } = nodeAt(graph, value);
    const axis = type.dims.findIndex((d) => d.name === channels);
    if (axis < 0) return read(value);
    if (op !== "param" || axis !== type.dims.length - 1) return undefined;
    const dims = [...type.dims.slice(0, -1), { name: type.dims[axis]?.name ?? "", size: sizeOf(map) }];
    return read(id + before.push({ op: "slice", start: part * sizeOf(map), args: [value], type: { ...type, dims }, loc: matmul.loc }) - 1);
  };
  const results: Expr[] = [];
  for (let part = 0; part < count; part++) {
    const reads = matmul.args.slice(2).map((value) => inPart(value, part));
    if (!reads.every((r) => r !== undefined)) return undefined;
    results.push(matmul.post === undefined ? arg(part) : substitute(matmul.post, [arg(part), ...reads]));
  }
  const partOf = (value: ValueId): Expr | undefined => {
    const part = parts.get(value);
    return part === undefined ? undefined : results[part];
  };
  const post = simplify(
    substitute(
      map.expr,
      map.args.map((a) => partOf(a) ?? read(a)),
    ),
  );
  if (!hasRoom(graph, matmul, ids) || callsOf(post) > maxCalls) return undefined;
  return { id, before, node: { ...matmul, type: map.type, parts: count, post, args: [...matmul.args.slice(0, 2), ...ids] } };
}

function sizeOf(node: Node): number {
  const size = node.type.dims.at(-1)?.size;
  return typeof size === "number" ? size : bug(`a ${node.op} without channels`);
}

/** In the order they are tried: an anchor takes a map with all the maps it reads, such as the activation of a gate. */
const rules: readonly Rule[] = [mergeMaps, mergeRepeated, absorbIntoAnchor, joinParts];
