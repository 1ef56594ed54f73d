/**
 * The pass `fold`: computes what is known, once. Expression algebra, parameters made of parameters, slices and concats
 * that undo each other, equal nodes, dead nodes. Graph to graph; moves no work between ops (`fuse` does).
 */
import { argsOf, simplify } from "../ir/algebra.ts";
import { bug } from "../ir/error.ts";
import { arg, substitute, type Expr } from "../ir/expr.ts";
import {
  ownArity,
  type ConcatNode,
  type Constant,
  type Constants,
  type Graph,
  type MapNode,
  type Node,
  type ParamNode,
  type RepeatNode,
  type SliceNode,
  type TensorType,
  type ValueId,
} from "../ir/graph.ts";
import { broadcastDims, sameDims } from "../ir/infer.ts";
import { interpret } from "../ir/interpret.ts";
import { printExpr, printGraph, printNode, printType } from "../ir/print.ts";
import { dropDead, rebuild } from "../ir/rewrite.ts";
import type { Module, Pass } from "./pass.ts";

export const fold: Pass = {
  name: "fold",
  doc: "constants, parameters made of parameters, equal nodes, dead nodes and no-ops are computed, shared or dropped",
  needs: ["initialized"],
  ensures: ["initialized"],
  run: (module) => {
    let now = foldOnce(module);
    for (let before = ""; before !== printGraph(now.graph); now = foldOnce(now)) before = printGraph(now.graph);
    return now;
  },
};

function foldOnce(module: Module): Module {
  const constants = new Map(module.constants);
  const known = new Map<string, ValueId>();
  const graph = rebuild(module.graph, (node, emit, nodes) => {
    const better = rules.reduce<Node | ValueId>((n, rule) => (typeof n === "number" ? n : (rule(n, nodes) ?? n)), node);
    if (typeof better === "number") return better;
    /** a = f x, b = f x  ->  a = f x, b = a */
    const key = `${printType(better.type)} ${printNode(better)}`;
    const id = known.get(key) ?? emit(foldParams(better, nodes, constants) ?? better);
    known.set(key, id);
    return id;
  });
  const live = dropDead(graph);
  const used = new Set(live.nodes.flatMap((n) => (n.op === "param" ? [n.name] : [])));
  return { graph: live, constants: new Map([...constants].filter(([name]) => used.has(name))) };
}

/** What stands for a node among the nodes before it: another node, one of those values, or undefined for no change. */
type Rule = (node: Node, nodes: readonly Node[]) => Node | ValueId | undefined;

const typeAt = (nodes: readonly Node[], id: ValueId): TensorType => nodes[id]?.type ?? bug(`no value %${id}`);
const sameType = (a: TensorType, b: TensorType): boolean => a.dtype === b.dtype && sameDims(a.dims, b.dims);

/** map f x  ->  map (simplify f) x; the same for epilogues */
const simplifyExprs: Rule = (node) => {
  if (node.op === "map") return { ...node, expr: simplify(node.expr) };
  return "post" in node && node.post !== undefined ? { ...node, post: simplify(node.post) } : undefined;
};

/** map f x x y  ->  map f' x, where f reads no y; epilogues too. An argument that alone gives the type its dims stays. */
const dropArgs: Rule = (node, nodes) => {
  if (node.op === "map") {
    const { expr, kept } = readArgs(node.expr, 0, node.args);
    const args =
      kept.length > 0 && sameDims(broadcastDims(kept.map((a) => typeAt(nodes, a))), node.type.dims)
        ? kept
        : [...new Set([...kept, ...node.args])];
    return { ...node, expr, args };
  }
  if (!("post" in node) || node.post === undefined) return undefined;
  const own = ownArity(node);
  const { expr, kept } = readArgs(node.post, node.op === "matmul" ? node.parts : 1, node.args.slice(own));
  return { ...node, post: expr, args: [...node.args.slice(0, own), ...kept] };
};

/** The arguments an expression reads, each once, and the expression in terms of those; `$0 .. $offset-1` are not among them. */
function readArgs(expr: Expr, offset: number, args: readonly ValueId[]): { expr: Expr; kept: readonly ValueId[] } {
  const kept = [...new Set(argsOf(expr).flatMap((i) => (i < offset ? [] : [args[i - offset] ?? bug(`no argument $${i}`)])))];
  const own = Array.from({ length: offset }, (_, i) => arg(i));
  return { expr: substitute(expr, [...own, ...args.map((a) => arg(offset + kept.indexOf(a)))]), kept };
}

/** map {$0} x  ->  x */
const dropIdentity: Rule = (node, nodes) => {
  if (node.op === "map" && node.expr.op === "arg") {
    const value = node.args[node.expr.index] ?? bug("a map without its argument");
    return sameType(typeAt(nodes, value), node.type) ? value : undefined;
  }
  /** anchor x post {$0}  ->  anchor x */
  if ("post" in node && node.post?.op === "arg" && node.post.index === 0 && !(node.op === "matmul" && node.parts > 1)) {
    return { ...node, post: undefined, args: node.args.slice(0, ownArity(node)) };
  }
  return undefined;
};

const lastSize = (type: TensorType): number => Number(type.dims.at(-1)?.size);

const slices: Rule = (node, nodes) => (node.op === "slice" ? betterSlice(node, nodes) : undefined);

function betterSlice(node: SliceNode, nodes: readonly Node[]): Node | ValueId | undefined {
  const [x = 0] = node.args;
  const source = nodes[x] ?? bug(`no value %${x}`);
  /** slice 0..H x, x [.. H]  ->  x */
  if (sameType(source.type, node.type)) return x;
  /** slice a (slice b x)  ->  slice (a + b) x, steps multiplied */
  if (source.op === "slice") {
    const step = (node.step ?? 1) * (source.step ?? 1);
    return { ...node, start: source.start + node.start * (source.step ?? 1), step: step === 1 ? undefined : step, args: source.args };
  }
  /** slice (concat x y), within y  ->  slice y, or y */
  if (source.op === "concat" && node.step === undefined) {
    let start = 0;
    for (const piece of source.args) {
      const type = typeAt(nodes, piece);
      const from = node.start - start;
      if (from >= 0 && from + lastSize(node.type) <= lastSize(type) && type.dims.at(-1)?.name === node.type.dims.at(-1)?.name) {
        return sameType(type, node.type) ? piece : { ...node, start: from, args: [piece] };
      }
      start += lastSize(type);
    }
  }
  return undefined;
}

const concats: Rule = (node, nodes) => (node.op === "concat" ? betterConcat(node, nodes) : undefined);

function betterConcat(node: ConcatNode, nodes: readonly Node[]): ValueId | undefined {
  const [only] = node.args;
  /** concat x  ->  x */
  if (node.args.length === 1) return only;
  /** concat (slice 0..a x) (slice a..H x)  ->  x */
  let end = 0;
  let source: ValueId | undefined;
  for (const piece of node.args) {
    const slice = nodes[piece];
    if (slice?.op !== "slice" || slice.step !== undefined || slice.start !== end || (source !== undefined && slice.args[0] !== source))
      return undefined;
    [source] = slice.args;
    end += lastSize(slice.type);
  }
  return source !== undefined && sameType(typeAt(nodes, source), node.type) ? source : undefined;
}

/** repeat once x  ->  x */
const repeats: Rule = (node) => (node.op === "repeat" && node.times === 1 ? node.args[0] : undefined);

const reverses: Rule = (node, nodes) => {
  /** reverse (reverse x)  ->  x */
  if (node.op === "reverse") {
    const source = nodes[node.args[0] ?? 0];
    return source?.op === "reverse" ? source.args[0] : undefined;
  }
  /** pool last (reverse x)  ->  pool first x, and the other way round; sums and maxima know no order, several steps have one */
  if (node.op === "pool" && node.steps === undefined) {
    const [x = 0] = node.args;
    const source = nodes[x];
    if (source?.op !== "reverse") return undefined;
    const kind = node.kind === "last" ? "first" : node.kind === "first" ? "last" : node.kind;
    return { ...node, kind, args: [...source.args, ...node.args.slice(1)] };
  }
  return undefined;
};

/** In the order they apply. */
const rules: readonly Rule[] = [simplifyExprs, dropArgs, dropIdentity, slices, concats, repeats, reverses];

/** map f p q, p and q parameters  ->  a parameter, its values computed in float64; slices, concats and repeats too */
function foldParams(node: Node, nodes: readonly Node[], constants: Map<string, Constant>): ParamNode | undefined {
  if (node.op !== "map" && node.op !== "slice" && node.op !== "concat" && node.op !== "repeat") return undefined;
  const params = node.args.map((a) => nodes[a] ?? bug(`no value %${a}`));
  if (!params.every((p): p is ParamNode => p.op === "param" && constants.has(p.name)) || node.type.dtype !== "f32") return undefined;
  const name = freshName(
    describe(
      node,
      params.map((p) => p.name),
    ),
    constants,
  );
  constants.set(name, valueOf(node, params, constants));
  return { op: "param", name, type: node.type, args: [], loc: node.loc };
}

function valueOf(node: Node, params: readonly ParamNode[], constants: Constants): Constant {
  const unique = [...new Set(params)];
  const graph: Graph = {
    name: "fold",
    nodes: [...unique, { ...node, args: params.map((p) => unique.indexOf(p)) }],
    outputs: [{ name: "value", value: unique.length }],
  };
  const { shape, data } = interpret(graph, constants, new Map()).outputs.get("value") ?? bug("no folded value");
  return { shape, data };
}

/** How the new parameter is made, in a few words: its name. */
function describe(node: MapNode | SliceNode | ConcatNode | RepeatNode, names: readonly string[]): string {
  if (node.op === "repeat") return `${names[0]}[${node.times} times ${node.block}]`;
  if (node.op === "slice")
    return `${names[0]}[${node.start}..${node.start + lastSize(node.type)}${node.step === undefined ? "" : ` step ${node.step}`}]`;
  const text =
    node.op === "concat"
      ? `concat(${names.join(", ")})`
      : printExpr(node.expr).replace(/\$(\d+)/g, (_, i: string) => names[Number(i)] ?? i);
  return text.length <= 80 ? text : `folded(${names.join(", ").slice(0, 60)})`;
}

/** A name that nothing has yet: this one, or it with a number. */
export function freshName(name: string, taken: Constants): string {
  let fresh = name;
  for (let i = 2; taken.has(fresh); i++) fresh = `${name}#${i}`;
  return fresh;
}
