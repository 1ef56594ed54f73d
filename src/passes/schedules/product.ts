/**
 * What the schedules of matrix products share: their sizes, a kernel for every piece of the weight, and one element of a
 * product by itself, for kernels that compute it on the way. Not a schedule.
 */
import { bug } from "../../ir/error.ts";
import type { MatmulNode, NormNode } from "../../ir/graph.ts";
import { component, f32, fma, type KernelBuilder, type KExpr, type Operand, mul, add, u32 } from "./kit.ts";
import { isScale, scaleAt } from "./norm.ts";
import { applyPost, channelsOf, type Coords, elements, type LowerContext, parameterName, postBytes, read } from "./schedule.ts";
import { alone, shareOf, type Team } from "./team.ts";
import { aheadOf, bindWeight, everyInput, sweep, type Weight, weightAt, type WeightPiece, type Wide } from "./weight.ts";

/** The sizes of a product, and its weight. */
export interface Product {
  readonly inputs: number;
  readonly outputs: number;
  readonly parts: number;
  readonly weight: Weight;
}

/** A product by one piece of its weight: results from `piece.first` on. */
export type Piecewise = Product & { readonly piece: WeightPiece };

export function productOf(node: MatmulNode, context: LowerContext): Product {
  const [x = bug("matmul without x")] = node.args;
  return {
    inputs: channelsOf(context.graph.nodes[x]?.type ?? bug("no node")),
    outputs: channelsOf(node.type),
    parts: node.parts,
    weight: context.product(parameterName(node, 1, context), node.parts),
  };
}

/** 0 .. count - 1. */
export const across = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i);

/** A kernel for every piece of the weight. */
export function eachPiece(lower: (node: MatmulNode, id: number, context: LowerContext, product: Piecewise) => void) {
  return (node: MatmulNode, id: number, context: LowerContext): void => {
    const product = productOf(node, context);
    for (const piece of product.weight.pieces) lower(node, id, context, { ...product, outputs: piece.count, piece });
  };
}

/** Words of a node's result that a piece gives. */
export const resultBytes = (node: MatmulNode, piece: WeightPiece, context: LowerContext): string =>
  `${piece.count / channelsOf(node.type)}*(4*${elements(node.type, context.entry)}+${postBytes(node, context.entry, context)})`;

/** Nothing summed yet. */
export const none = (wide: Wide): KExpr => ({ op: "lit", type: wide === 4 ? "vec4f" : "f32", value: 0 });
/** One of the numbers summed at once. */
export const numberOf = (sum: KExpr, index: Operand): KExpr => (sum.type === "vec4f" ? component(sum, index) : sum);

/** Products a result whose terms are written out; more are a loop. */
export const fewProducts = 8;

/** Whether a product is one that `productAt` computes. */
export const isWhole = ({ weight }: Product): boolean => weight.pieces.length === 1;

/** The norm that a product's input is, where it is absorbed. */
export function ownNorm(node: MatmulNode, context: LowerContext): NormNode | undefined {
  const [x = bug("matmul")] = node.args;
  const norm = context.graph.nodes[x];
  return norm?.op === "norm" && context.absorbed(x) ? norm : undefined;
}

/**
 * A product at one place, its epilogue applied, and where its input is an absorbed norm that too: for kernels that need few of its
 * outputs, or few inputs for each. Many inputs are shared among the lanes of a team.
 */
export function productAt(k: KernelBuilder, node: MatmulNode, at: Coords, context: LowerContext, team: Team = alone): KExpr {
  const { inputs, parts, weight } = productOf(node, context);
  const [piece = bug("no weight"), ...more] = weight.pieces;
  if (more.length > 0) bug("a product on the way has a weight in pieces");
  const norm = ownNorm(node, context);
  if (norm !== undefined && !isScale(norm)) bug("a product on the way takes RMS norms only");
  const x = context.value((norm ?? node).args[0] ?? bug("matmul"));
  const scale = norm && scaleAt(k, norm, at, context, team);
  const finish = (sums: readonly KExpr[]): KExpr =>
    applyPost(k, node, scale === undefined ? sums : sums.map((sum) => mul(sum, scale)), at, context);
  const bound = bindWeight(k, weight, piece);
  const columns = across(parts).map((q) => add(at.c, q * piece.count));
  if (inputs * parts <= fewProducts) {
    const term = (column: KExpr, i: number): KExpr => mul(weightAt(k, bound, column, u32(i)), read(k, x, { ...at, c: u32(i) }));
    const sumOf = (column: KExpr): KExpr =>
      across(inputs)
        .map((i) => term(column, i))
        .reduce((a, b) => add(a, b));
    return finish(columns.map((column) => k.let("sum", sumOf(column))));
  }
  const sums = columns.map(() => k.var("sum", f32(0)));
  const ahead = aheadOf(weight);
  sweep(k, bound, ahead, shareOf(k, everyInput(weight, ahead), team.part, team.parts), columns, (input, weightOf) => {
    const value = k.let("x", read(k, x, { ...at, c: input }));
    sums.forEach((sum, q) => k.assign(sum, fma(weightOf(q), value, sum)));
  });
  return team.join(sums, finish);
}
