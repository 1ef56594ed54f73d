/**
 * The pass `affine`: scales and shifts of a matrix product's input go into its weight, in float64, so that a norm stands
 * bare before the product and a step can take it on the way. Graph to graph.
 */
import { argsOf, simplify } from "../ir/algebra.ts";
import { bug } from "../ir/error.ts";
import { arg, call, constant, evalExpr, type Expr } from "../ir/expr.ts";
import type { Constant, Constants, MapNode, MatmulNode, Node, ParamNode, ValueId } from "../ir/graph.ts";
import { sameDims } from "../ir/infer.ts";
import { printExpr } from "../ir/print.ts";
import { isOutput, nodeAt, rebuild, usersOf } from "../ir/rewrite.ts";
import { fold, freshName } from "./fold.ts";
import type { Module, Pass } from "./pass.ts";

export const affine: Pass = {
  name: "affine",
  doc: "what scales and shifts the channels of a matmul's input goes into its weight",
  needs: ["initialized"],
  ensures: ["initialized"],
  run: (module, context) => {
    let now = module;
    for (let found = findMaps(now); found.size > 0; found = findMaps(now)) now = fold.run(moveIntoWeights(now, found), context);
    return now;
  },
};

/** x times a scale plus an offset, expressions without x; no offset where it is zero. */
interface Affine {
  readonly scale: Expr;
  readonly offset?: Expr | undefined;
}

/** An expression as an affine function of argument `x`, where it is written as one. */
function affineIn(expr: Expr, x: number): Affine | undefined {
  if (expr.op === "arg" && expr.index === x) return { scale: constant(1) };
  if (expr.op !== "call") return undefined;
  const [a = expr, b = a] = expr.args;
  const left = argsOf(a).includes(x);
  const inner = affineIn(left ? a : b, x);
  if (inner === undefined || (expr.args.length > 1 && left && argsOf(b).includes(x))) return undefined;
  const each = (of: (e: Expr) => Expr): Affine => ({ scale: of(inner.scale), offset: inner.offset && of(inner.offset) });
  /** Of the operand without x, what is added. */
  const shifted = (by: Expr): Expr => (inner.offset === undefined ? by : call("add", inner.offset, by));
  switch (expr.fn) {
    case "neg":
      return each((e) => call("neg", e));
    case "add":
      return { scale: inner.scale, offset: shifted(left ? b : a) };
    case "sub":
      if (left) return { scale: inner.scale, offset: shifted(call("neg", b)) };
      return { scale: call("neg", inner.scale), offset: inner.offset === undefined ? a : call("sub", a, inner.offset) };
    case "mul":
      return each((e) => call("mul", e, left ? b : a));
    case "div":
      return left ? each((e) => call("div", e, b)) : undefined;
    default:
      return undefined;
  }
}

/** A map that is affine in its one value, the rest parameters. */
interface AffineMap extends Affine {
  readonly map: MapNode;
  /** Which argument the value is. */
  readonly place: number;
}

/** Maps that feed nothing but products whose weights nothing else reads, by their value. */
function findMaps({ graph, constants }: Module): ReadonlyMap<ValueId, AffineMap> {
  const users = usersOf(graph);
  const found = new Map<ValueId, AffineMap>();
  for (const [id, node] of graph.nodes.entries()) {
    if (node.op !== "map" || isOutput(graph, id)) continue;
    const own = users[id] ?? [];
    const takes = (user: Node): boolean => {
      const [x, w = -1, ...rest] = user.args;
      const weight = graph.nodes[w];
      const plain = user.op === "matmul" && user.post === undefined && user.parts === 1 && rest.length === 0;
      return plain && x === id && weight?.op === "param" && users[w]?.length === 1 && isStored(weight, constants);
    };
    const parts = own.length > 0 && own.every((user) => takes(nodeAt(graph, user))) && affineMap(node, graph.nodes, constants);
    if (parts) found.set(id, parts);
  }
  return found;
}

/** Whether a parameter has numbers, and not yet packed ones. */
const isStored = ({ name }: ParamNode, constants: Constants): boolean => constants.has(name) && constants.get(name)?.packed === undefined;

/**
 * A map as an affine function of one value of its own dims. Shifts are taken of norms only: where values are of any size, a
 * shift may cancel what a product of the two apart has to round.
 */
function affineMap(map: MapNode, nodes: readonly Node[], constants: Constants): AffineMap | undefined {
  const args = map.args.map((a) => nodes[a] ?? bug(`no value %${a}`));
  const isParam = (node: Node): boolean => node.op === "param" && isStored(node, constants);
  const place = args.findIndex((node) => !isParam(node));
  const value = args[place];
  if (value === undefined || !args.every((node, i) => i === place || isParam(node)) || !sameDims(value.type.dims, map.type.dims))
    return undefined;
  const parts = affineIn(map.expr, place);
  if (parts === undefined || (parts.offset !== undefined && value.op !== "norm")) return undefined;
  return { ...parts, map, place };
}

/** matmul (map {$0 * $1 + $2} x g b) w  ->  map {$0 + $1} (matmul x (w diag(g))) (w b) */
function moveIntoWeights({ graph, constants: old }: Module, found: ReadonlyMap<ValueId, AffineMap>): Module {
  const constants = new Map(old);
  const write = (name: string, type: ParamNode["type"], value: Constant, emit: (node: Node) => ValueId): ValueId => {
    const fresh = freshName(name, constants);
    constants.set(fresh, value);
    return emit({ op: "param", name: fresh, type, args: [] });
  };
  let id = -1;
  const moved = rebuild(graph, (node, emit) => {
    id++;
    const own = found.get(id);
    // Products of the map read its value; nothing else does.
    if (own !== undefined) return node.args[own.place] ?? bug("a map without its value");
    const into = node.op === "matmul" ? found.get(nodeAt(graph, id).args[0] ?? -1) : undefined;
    if (node.op !== "matmul" || into === undefined) return emit(node);
    const weight = nodeAt(graph, nodeAt(graph, id).args[1] ?? -1);
    if (weight.op !== "param") return bug("a matmul's weight is no parameter");
    const [name, numbers] = [weight.name, constants.get(weight.name) ?? bug(`no values for ${weight.name}`)];
    const params = into.map.args.map((a) => nodeAt(graph, a));
    const scale = channelsOf(into.scale, params, constants);
    const scaled = { shape: numbers.shape, data: numbers.data.map((w, i) => w * scale(i % (numbers.shape[1] ?? 1))) };
    const product: MatmulNode = {
      ...node,
      args: [node.args[0] ?? 0, write(`${name} diag(${nameOf(into.scale, params)})`, weight.type, scaled, emit)],
    };
    if (into.offset === undefined) return emit(product);
    const shift = productOf(numbers, channelsOf(into.offset, params, constants));
    const dims = node.type.dims.slice(-1);
    const bias = write(`${name} (${nameOf(into.offset, params)})`, { dtype: "f32", dims }, shift, emit);
    return emit({ op: "map", expr: call("add", arg(0), arg(1)), args: [emit(product), bias], type: node.type, loc: node.loc });
  });
  return { graph: moved, constants };
}

/** An expression of parameters at every channel. */
function channelsOf(expr: Expr, params: readonly Node[], constants: Constants): (channel: number) => number {
  const data = params.map((node) => (node.op === "param" ? constants.get(node.name)?.data : undefined) ?? new Float64Array());
  return (channel) =>
    evalExpr(
      expr,
      data.map((numbers) => numbers[numbers.length === 1 ? 0 : channel] ?? NaN),
    );
}

/** A weight times a vector. */
function productOf({ shape: [rows = 0, inner = 0], data }: Constant, vector: (channel: number) => number): Constant {
  const sum = Float64Array.from({ length: rows }, (_, o) => {
    let total = 0;
    for (let i = 0; i < inner; i++) total += (data[o * inner + i] ?? 0) * vector(i);
    return total;
  });
  return { shape: [rows], data: sum };
}

/** An expression by the names of its parameters. */
function nameOf(expr: Expr, params: readonly Node[]): string {
  const names = params.map((node) => (node.op === "param" ? node.name : ""));
  const text = printExpr(simplify(expr)).replace(/\$(\d+)/g, (_, i: string) => names[Number(i)] ?? i);
  return text.length <= 80 ? text : names.join(" ").trim().slice(0, 80);
}
