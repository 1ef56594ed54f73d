/** Parameters as buffers of a plan: which copies of a weight are shipped, and in which pieces. What is in them, `weights/stored.ts` says. */
import { bug } from "../ir/error.ts";
import type { Constant, Graph } from "../ir/graph.ts";
import { type Piece, type StoredTensor, storeMatrix } from "../weights/stored.ts";
import { rowBytes, type Weight, type WeightPiece } from "./schedules/weight.ts";

/** What every device binds as one buffer, in bytes. */
export const defaultBindingLimit = 2 ** 27;

/** Where the tensors go, and where the buffers come from. */
export interface Shipping {
  readonly constants: ReadonlyMap<string, Constant>;
  /** Bytes of the largest buffer. */
  readonly limit: number;
  /** The buffer of a tensor, one for all that ask. */
  readonly ship: (name: string, tensor: StoredTensor) => number;
}

/** The weight of a product of `parts`: its rows side by side. */
export const productWeight = (shipping: Shipping, name: string, parts: number): Weight => shippedWeight(shipping, name, "columns", parts);

/** A table whose rows are looked up: the copy of a product that has the same parameter, where there is one. */
export function tableWeight(shipping: Shipping, name: string, graph: Graph): Weight {
  const products = graph.nodes.flatMap((node) => {
    const weight = node.op === "matmul" ? graph.nodes[node.args[1] ?? -1] : undefined;
    return node.op === "matmul" && weight?.op === "param" && weight.name === name ? [node.parts] : [];
  });
  return products.includes(1) ? productWeight(shipping, name, 1) : shippedWeight(shipping, name, "rows", 1);
}

function shippedWeight({ constants, limit, ship }: Shipping, name: string, order: Weight["order"], parts: number): Weight {
  const constant = constants.get(name) ?? bug(`no values for ${name}`);
  const [rows = 1, inner = 1] = constant.shape;
  const weight: Weight = { format: constant.packed?.format ?? "f32", order, inner, pieces: [] };
  const pieces = divide(rows / parts, parts, rowBytes(weight) * parts, limit).map((piece): WeightPiece => {
    const [numbers, scales] = storeMatrix(name, constant, { order, piece: piece.count * parts === rows ? undefined : piece }).map(
      (tensor) => ship(...tensor),
    );
    return { first: piece.first, count: piece.count, rows: piece.count * parts, numbers: numbers ?? bug("no numbers"), scales };
  });
  return { ...weight, pieces };
}

/** Results in pieces of at most `limit` bytes, all about as large; of many results, multiples of what kernels take at once. */
function divide(results: number, parts: number, bytes: number, limit: number): readonly Piece[] {
  const most = Math.max(1, Math.floor(limit / bytes));
  const align = [256, 4, 1].find((step) => step <= most) ?? 1;
  const size = most >= results ? results : Math.ceil(results / Math.ceil(results / (most - (most % align))) / align) * align;
  return Array.from({ length: Math.ceil(results / size) }, (_, i) => ({
    number: i + 1,
    first: i * size,
    count: Math.min(size, results - i * size),
    parts,
  }));
}
