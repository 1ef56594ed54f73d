/**
 * What every graph between two passes must satisfy: SSA order, arity, types as `infer.ts` gives them, epilogues that
 * read what they have, unique names. A violation is a bug of the pass before, never the user's.
 */
import { bug } from "./error.ts";
import { arityOf, scalarDef, type Expr } from "./expr.ts";
import { axisOf, ownArity, type Graph, type Node, type ValueId } from "./graph.ts";
import { inferType, rateOfType, sameDims } from "./infer.ts";
import { printType } from "./print.ts";

/** Throws: `bug: <graph> %<id> <op>: ...`. */
export function verifyGraph(graph: Graph): void {
  graph.nodes.forEach((node, id) => {
    const fail = (what: string): never => bug(`${graph.name} %${id} ${node.op}: ${what}`);
    verifyArgs(node, id, fail);
    verifyExprs(node, fail);
    verifyType(graph, node, fail);
  });
  verifyNames(graph);
}

type Fail = (what: string) => never;

function verifyArgs(node: Node, id: ValueId, fail: Fail): void {
  for (const arg of node.args) if (!Number.isInteger(arg) || arg < 0 || arg >= id) fail(`uses %${arg}, which does not come before it`);
  const [least, most] = arityBounds(node);
  if (node.args.length < least || node.args.length > most)
    fail(`has ${node.args.length} arguments, not ${least === most ? least : `${least} or more`}`);
}

function arityBounds(node: Node): readonly [number, number] {
  switch (node.op) {
    case "input":
    case "param":
      return [0, 0];
    case "map":
    case "concat":
      return [1, Infinity];
    case "slice":
    case "pack":
    case "reverse":
    case "lowpass":
    case "repeat":
      return [1, 1];
    case "rotate":
      return [2, 2];
    case "cumulate":
      return node.kind === "max-plus" ? [2, 2] : [1, 1];
    default: {
      const own = node.op === "ssm" && node.form.stage === "family" ? Math.max(node.args.length, 1) : ownArity(node);
      return [own, node.post === undefined ? own : Infinity];
    }
  }
}

function verifyExprs(node: Node, fail: Fail): void {
  if (node.op === "map") {
    if (arityOf(node.expr) > node.args.length) fail(`reads $${arityOf(node.expr) - 1} of ${node.args.length} arguments`);
    verifyKinds(node.expr, "number", fail);
  } else if ("post" in node && node.post !== undefined) {
    const have = (node.op === "matmul" ? node.parts : 1) + node.args.length - ownArity(node);
    if (arityOf(node.post) > have) fail(`its epilogue reads $${arityOf(node.post) - 1} of ${have} values`);
    verifyKinds(node.post, "number", fail);
  }
  const axis = axisOf(node);
  if (axis !== undefined && ![axis.size, axis.stride].every((n) => Number.isInteger(n) && n > 0))
    fail(`works along an axis of ${axis.size} with stride ${axis.stride}`);
  if (node.op === "matmul" && (!Number.isInteger(node.parts) || node.parts < 1)) fail(`has ${node.parts} parts`);
  if (node.op === "matmul" && node.parts > 1 && node.post === undefined) fail(`${node.parts} parts and no epilogue that joins them`);
}

/** Booleans exist only between a comparison and the condition of `select`. */
function verifyKinds(expr: Expr, want: "number" | "bool", fail: Fail): void {
  const kind = expr.op === "call" ? (scalarDef(expr.fn).result ?? "number") : "number";
  if (kind !== want) fail(`${expr.op === "call" ? expr.fn : expr.op} gives a ${kind} where a ${want} is needed`);
  if (expr.op !== "call") return;
  const logical = ["and", "or", "not"].includes(expr.fn);
  expr.args.forEach((a, i) => verifyKinds(a, logical || (expr.fn === "select" && i === 0) ? "bool" : "number", fail));
}

function verifyType(graph: Graph, node: Node, fail: Fail): void {
  const names = node.type.dims.map((d) => d.name);
  if (new Set(names).size !== names.length) fail(`names a dim twice in ${printType(node.type)}`);
  if (node.op === "input" || node.op === "param") {
    if (node.op === "param" && node.type.dims.some((d) => typeof d.size === "string"))
      fail(`a parameter has no size known at run time, ${printType(node.type)}`);
    if (rateOfType(node.type) !== 1) fail(`an input has every time step, not ${printType(node.type)}`);
    return;
  }
  const args = node.args.map((a) => graph.nodes[a]?.type ?? fail(`no value %${a}`));
  const lastDim = node.type.dims.at(-1);
  const untyped = node.op === "matmul" && lastDim !== undefined ? { ...node, outName: lastDim.name } : node;
  let type = node.type;
  try {
    type = inferType(untyped, args, typeof lastDim?.size === "number" ? lastDim.size : undefined);
  } catch (error) {
    fail(error instanceof Error ? error.message : String(error));
  }
  if (type.dtype !== node.type.dtype || !sameDims(type.dims, node.type.dims))
    fail(`is typed ${printType(node.type)}, its arguments give ${printType(type)}`);
}

function verifyNames(graph: Graph): void {
  const unique = (what: string, names: readonly string[]): void => {
    const twice = names.find((name, i) => names.indexOf(name) !== i);
    if (twice !== undefined) bug(`${graph.name}: two ${what}s are named ${twice}`);
  };
  for (const op of ["input", "param"] as const)
    unique(
      op,
      graph.nodes.flatMap((n) => (n.op === op ? [n.name] : [])),
    );
  unique(
    "output",
    graph.outputs.map((o) => o.name),
  );
  if (graph.outputs.length === 0) bug(`${graph.name} has no output`);
  for (const { name, value } of graph.outputs)
    if (graph.nodes[value] === undefined) bug(`${graph.name}: output ${name} is %${value}, which does not exist`);
}
