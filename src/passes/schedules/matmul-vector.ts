/**
 * Matrix products of one position, with fused epilogues: the kernel of a step, which weights stream through once. Lanes of
 * a workgroup divide over outputs, then, where sums are long, over parts of the sum, or else over sequences. A norm of the
 * input is taken on the way: every lane sums the squares of what it reads, and the results are scaled.
 */
import { bug } from "../../ir/error.ts";
import type { MatmulNode, NormNode } from "../../ir/graph.ts";
import { add, and, dim, div, f32, fma, group, type KernelBuilder, kernelBuilder, type KExpr, lane, lt, min, mod, mul, sub } from "./kit.ts";
import { overSequence } from "./matmul.ts";
import { scaleOf } from "./norm.ts";
import { across, eachPiece, none, numberOf, ownNorm, type Piecewise, resultBytes } from "./product.ts";
import {
  applyPost,
  type Coords,
  type Cost,
  flopsOf,
  type LowerContext,
  positionCoords,
  read,
  schedule,
  type Schedule,
  write,
} from "./schedule.ts";
import { oneAfterAnother, shareOf, sumOf } from "./team.ts";
import { aheadOf, bindWeight, everyInput, grainOf, rowBytes, sweep, unpackingFlops, type Wide } from "./weight.ts";

/** How the lanes of a workgroup divide: over outputs, over sequences, over parts of the sum. */
interface Tile {
  /** Outputs a lane sums: four where rows of weights allow it, loaded at once. */
  readonly wide: Wide;
  readonly columns: number;
  readonly rows: number;
  readonly splits: number;
}

/** Inputs from which a sum is split between lanes, by a kernel more: 24 loads after one another are as long as another dispatch. */
const longSum = 96;
/** Terms a lane is worth having for. */
const fewestTerms = 8;
/** Lanes a workgroup has on every device, and words of memory of its own. */
const limits = { lanes: 256, words: 4096 };

/**
 * Outputs of a workgroup that splits its sums: as few as still read whole cache lines, so that there are workgroups for
 * every core of a GPU, several; more where there are enough, for each reads all of the input.
 */
const outputsAt = (outputs: number): number => (outputs >= 32768 ? 64 : outputs >= 16384 ? 32 : 16);

/** Every lane sums its outputs alone: nothing to wait for. */
function wholeSums({ outputs }: Piecewise): Tile {
  const wide = outputs % 4 === 0 ? 4 : 1;
  const columns = Math.min(64, outputs / wide);
  return { wide, columns, rows: Math.max(1, Math.floor(64 / columns)), splits: 1 };
}

/** Lanes sum parts, which a barrier puts together. */
function splitSums({ inputs, outputs, parts, weight }: Piecewise): Tile {
  const wide = outputs % 4 === 0 ? 4 : 1;
  const columns = Math.min(outputsAt(outputs), outputs) / wide;
  // Of every part its sums, and of a norm two numbers.
  const words = Math.floor(limits.words / (columns * wide * parts + 2));
  const worth = Math.ceil(inputs / Math.max(fewestTerms, grainOf(weight, aheadOf(weight))));
  return { wide, columns, rows: 1, splits: Math.max(1, Math.min(Math.floor(limits.lanes / columns), words, worth)) };
}

/** A number of each of a workgroup's parts, which its first lane tells; after a barrier any lane may add them up. */
function tellPart(k: KernelBuilder, name: string, value: KExpr, { columns, splits }: Tile): () => KExpr {
  const told = k.shared(name, splits);
  k.if(lt(mod(lane, columns), 1), () => k.storeShared(told, div(lane, columns), value));
  return () => sumOf(k, splits, (part) => k.loadShared(told, part));
}

/** The sums of a workgroup's parts; after a barrier lane `i` below `columns * wide` may add up those of output `i`, by part of the node. */
function tellSums(k: KernelBuilder, sums: readonly KExpr[], { wide, columns, splits }: Tile): () => readonly KExpr[] {
  const outputs = wide * columns;
  const partial = k.shared("partial", splits * outputs * sums.length);
  sums.forEach((sum, q) =>
    across(wide).forEach((j) => k.storeShared(partial, add(mul(lane, wide), q * splits * outputs + j), numberOf(sum, j))),
  );
  return () =>
    sums.map((_, q) => sumOf(k, splits, (part) => k.loadShared(partial, add(add(mul(part, outputs), lane), q * splits * outputs))));
}

/** The mean of a layer norm's input, known to every lane; nothing for other norms. */
function meanOf(k: KernelBuilder, norm: NormNode | undefined, inputs: number, tile: Tile, input: (c: KExpr) => KExpr): KExpr | undefined {
  if (norm?.kind !== "layer") return undefined;
  const sum = k.var("sum", f32(0));
  k.for("c", tile.splits === 1 ? 0 : div(lane, tile.columns), inputs, (c) => k.assign(sum, add(sum, input(c))), tile.splits);
  if (tile.splits === 1) return k.let("mean", mul(sum, f32(1 / inputs)));
  const total = tellPart(k, "means", sum, tile);
  k.barrier();
  return k.let("mean", mul(total(), f32(1 / inputs)));
}

function lowerTile(node: MatmulNode, id: number, context: LowerContext, product: Piecewise, tile: Tile, when?: string): void {
  const { inputs, outputs, parts, weight, piece } = product;
  const { wide, columns, rows, splits } = tile;
  const norm = ownNorm(node, context);
  const x = context.value((norm ?? node).args[0] ?? bug("matmul"));
  const k = kernelBuilder(norm === undefined ? "matmul_vector" : `norm_${norm.kind}_matmul_vector`, columns * rows * splits);
  const bound = bindWeight(k, weight, piece, wide);
  const column = k.let("column", add(mul(group(0), columns), mod(lane, columns)));
  const rest = k.let("rest", div(lane, columns));
  const position = splits === 1 ? k.let("position", add(mul(group(1), rows), rest)) : group(1);
  const safe = k.let("o", min(column, outputs / wide - 1));
  const at = positionCoords(k, k.let("q", min(position, sub(dim("B"), 1))), false, context.entry);
  const input = (c: KExpr): KExpr => read(k, x, { ...at, c });
  const mean = meanOf(k, norm, inputs, tile, input);
  const sums = across(parts).map((q) => k.var(`s${q}`, none(wide)));
  const squares = norm && k.var("squares", f32(0));
  const ahead = aheadOf(weight);
  const every = everyInput(weight, ahead);
  const asked = across(parts).map((q) => add(safe, (q * outputs) / wide));
  sweep(k, bound, ahead, shareOf(k, every, rest, splits), asked, (c, weightAt) => {
    const value = k.let("x", mean === undefined ? input(c) : sub(input(c), mean));
    sums.forEach((sum, q) => k.assign(sum, fma(weightAt(q), value, sum)));
    if (squares !== undefined) k.assign(squares, fma(value, value, squares));
  });
  const finish = (output: KExpr, results: readonly KExpr[], scale: KExpr | undefined): void => {
    const here: Coords = { ...at, c: k.let("c", add(output, piece.first)) };
    const scaled = scale === undefined ? results : results.map((result) => k.let("r", mul(result, scale)));
    write(k, context.result(id), here, applyPost(k, node, scaled, here, context));
  };
  const scaleBy = (total: KExpr | undefined): KExpr | undefined => norm && total && k.let("scale", scaleOf(total, inputs, norm.eps));
  if (splits > 1) {
    const allSums = tellSums(k, sums, tile);
    const allSquares = squares && tellPart(k, "parts", squares, tile);
    k.barrier();
    const output = k.let("output", add(mul(group(0), columns * wide), lane));
    k.if(and(lt(lane, columns * wide), lt(output, outputs)), () => finish(output, allSums(), scaleBy(allSquares?.())));
  } else {
    k.if(and(lt(column, outputs / wide), lt(position, dim("B"))), () => {
      const scale = scaleBy(squares);
      for (const j of across(wide)) {
        const own = sums.map((sum) => numberOf(sum, j));
        finish(add(mul(column, wide), j), own, scale);
      }
    });
  }
  context.emit({
    built: k.finish(),
    grid: [Math.ceil(outputs / wide / columns), `Math.ceil(d.B/${rows})`, 1],
    ...(when === undefined ? {} : { when }),
    cost: costOf(node, context, product, tile),
  });
}

/** Inputs that a lane sums. */
function partOf({ inputs, weight }: Piecewise, { splits }: Tile): number {
  const grain = grainOf(weight, aheadOf(weight));
  return Math.min(inputs, grain * Math.ceil(Math.ceil(inputs / grain) / splits));
}

function costOf(node: MatmulNode, context: LowerContext, product: Piecewise, tile: Tile): Cost {
  const { inputs, outputs, parts, weight, piece } = product;
  const { wide, columns, rows, splits } = tile;
  const weightBytes = rowBytes(weight) * outputs * parts;
  const other = resultBytes(node, piece, context);
  const tiles = Math.ceil(outputs / wide / columns);
  const norm = ownNorm(node, context);
  const normFlops = norm === undefined ? 0 : (norm.kind === "layer" ? 4 : 2) * inputs * columns * tiles + parts * outputs;
  return {
    flops: `(${(2 + unpackingFlops(weight)) * inputs * outputs * parts + normFlops}+${flopsOf(node.post) * outputs})*d.B`,
    bytes: `${4 * inputs * tiles}*d.B+${weightBytes}*Math.ceil(d.B/${rows})+${other}`,
    minimum: `${4 * inputs}*d.B+${weightBytes}+${other}`,
    serial: (norm?.kind === "layer" ? 2 : 1) * (partOf(product, tile) + (splits > 1 ? splits : 0)),
  };
}

function lower(node: MatmulNode, id: number, context: LowerContext, product: Piecewise): void {
  const split = splitSums(product);
  // A workgroup has a lane for each of its outputs, in the end.
  if (product.inputs < longSum || split.splits < split.wide) return lowerTile(node, id, context, product, wholeSums(product));
  lowerTile(node, id, context, product, split, `!(${oneAfterAnother})`);
  lowerTile(node, id, context, product, wholeSums(product), oneAfterAnother);
}

export const matmulVector: Schedule = schedule<MatmulNode>({
  name: "matmul-vector",
  doc: "one position: weights stream through once, long sums split between lanes",
  op: "matmul",
  applies: (node, _, context) => !overSequence(node, context),
  lower: eachPiece(lower),
  absorbs: (node, _, context) => {
    const [x = bug("matmul")] = node.args;
    const norm = context.graph.nodes[x];
    return norm?.op === "norm" && norm.post === undefined && (norm.groups ?? 1) === 1 ? [x] : [];
  },
});
