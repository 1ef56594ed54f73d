/**
 * Matrix products with fused epilogues. `elements`: so few inputs that nothing is worth keeping. `rows`: many positions, register-blocked over positions and outputs, no workgroup
 * memory. `vector`: one position a workgroup row, the sum over k split between lanes where k is long.
 */
import { bug } from "../../ir/error.ts";
import type { MatmulNode } from "../../ir/graph.ts";
import { everyElement } from "./elements.ts";
import {
  add,
  and,
  components,
  dim,
  div,
  fma,
  group,
  type KernelBuilder,
  kernelBuilder,
  type KExpr,
  lane,
  le,
  lt,
  min,
  mod,
  mul,
  sub,
  u32,
} from "./kit.ts";
import {
  applyPost,
  parameterOperands,
  channelsOf,
  type Coords,
  elements,
  flopsOf,
  hasLength,
  type LowerContext,
  parameterName,
  positionCoords,
  postBytes,
  read,
  schedule,
  type Schedule,
  write,
} from "./schedule.ts";
import {
  bindWeight,
  everyInput,
  grainOf,
  rowBytes,
  sweep,
  unpackingFlops,
  type Weight,
  weightAt,
  type WeightPiece,
  type Wide,
} from "./weight.ts";

interface Shape {
  readonly inputs: number;
  readonly outputs: number;
  readonly parts: number;
  readonly weight: Weight;
}

/** A product by one piece of its weight: results from `piece.first` on. */
type Piecewise = Shape & { readonly piece: WeightPiece };

function shapeOf(node: MatmulNode, context: LowerContext): Shape {
  const [x = bug("matmul without x")] = node.args;
  return {
    inputs: channelsOf(context.value(x).type),
    outputs: channelsOf(node.type),
    parts: node.parts,
    weight: context.product(parameterName(node, 1, context), node.parts),
  };
}

const across = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i);

/** A kernel for every piece of the weight. */
function eachPiece(lower: (node: MatmulNode, id: number, context: LowerContext, shape: Piecewise) => void) {
  return (node: MatmulNode, id: number, context: LowerContext): void => {
    const shape = shapeOf(node, context);
    for (const piece of shape.weight.pieces) lower(node, id, context, { ...shape, outputs: piece.count, piece });
  };
}

/** Words of a node's result that a piece gives. */
const resultBytes = (node: MatmulNode, piece: WeightPiece, context: LowerContext): string =>
  `${piece.count / channelsOf(node.type)}*(4*${elements(node.type, context.entry)}+${postBytes(node, context.entry, context)})`;

const none = (wide: Wide): KExpr => ({ op: "lit", type: wide === 4 ? "vec4f" : "f32", value: 0 });
/** One of the numbers summed at once. */
const numberOf = (sum: KExpr, index: number): KExpr => (sum.type === "vec4f" ? (components(sum)[index] ?? bug("no component")) : sum);

/** Lanes over positions and over outputs, and what each lane holds in registers. */
const tile = { positionLanes: 32, outputLanes: 8, perPosition: 4, perOutput: 8 };

function lowerRows(node: MatmulNode, id: number, context: LowerContext, { inputs, outputs, parts, weight, piece }: Piecewise): void {
  const x = context.value(node.args[0] ?? bug("matmul"));
  const perOutput = Math.max(1, Math.min(tile.perOutput, Math.ceil(outputs / tile.outputLanes)));
  const outputTile = perOutput * tile.outputLanes;
  const positionTile = tile.perPosition * tile.positionLanes;
  const k = kernelBuilder("matmul_rows", tile.positionLanes * tile.outputLanes);
  /** Four neighbouring weights at a time where rows and tiles allow it. */
  const four = outputs % 4 === 0 && perOutput % 4 === 0;
  const wide: Wide = four ? 4 : 1;
  const bound = bindWeight(k, weight, piece, wide);
  const total = k.let("total", mul(dim("B"), dim("L")));
  const firstPosition = k.let("p", add(mul(group(0), positionTile), mod(lane, tile.positionLanes)));
  const firstOutput = k.let("o", add(mul(group(1), outputTile), mul(div(lane, tile.positionLanes), perOutput)));
  const places = across(tile.perPosition).map((i) => {
    const p = k.let(`p${i}`, add(firstPosition, i * tile.positionLanes));
    const clamped = k.let(`q${i}`, min(p, sub(total, 1)));
    return { p, ...positionCoords(k, clamped, true, context.entry) };
  });
  const each = perOutput / wide;
  const columns = across(parts * each).map((n) => {
    const [part, j] = [Math.floor(n / each), n % each];
    return k.let(`w${part}_${j}`, div(add(min(add(firstOutput, j * wide), outputs - wide), part * outputs), wide));
  });
  const sums = columns.map((_, n) => places.map((__, i) => k.var(`s${Math.floor(n / each)}_${n % each}_${i}`, none(wide))));
  sweep(k, bound, everyInput(weight), columns, (kk, weightAt) => {
    const xs = places.map((at, i) => k.let(`x${i}`, read(k, x, { b: at.b, l: at.l, c: kk })));
    sums.forEach((own, n) => {
      const w = k.let("w", weightAt(n));
      own.forEach((sum, i) => k.assign(sum, fma(w, xs[i] ?? bug("no place"), sum)));
    });
  });
  const channel = (j: number): KExpr => add(firstOutput, piece.first + j);
  const whole = outputs % outputTile === 0;
  const lastChannel = piece.first + outputs - 1;
  const extras = across(perOutput).map((j) => parameterOperands(k, node, whole ? channel(j) : min(channel(j), lastChannel), context));
  places.forEach((at, i) =>
    k.if(lt(at.p, total), () =>
      across(perOutput).forEach((j) => {
        const here: Coords = { b: at.b, l: at.l, c: channel(j) };
        const results = across(parts).map((q) => numberOf(sums[q * each + Math.floor(j / wide)]?.[i] ?? bug("no sum"), j % wide));
        const finish = (): void => write(k, context.result(id), here, applyPost(k, node, results, here, context, extras[j]));
        if (whole) finish();
        else k.if(le(here.c, lastChannel), finish);
      }),
    ),
  );
  const xBytes = `4*${inputs}*d.B*d.L`;
  const rest = resultBytes(node, piece, context);
  const groups = `Math.ceil(d.B*d.L/${positionTile})`;
  const weightBytes = rowBytes(weight) * outputs * parts;
  const unpacking = `${unpackingFlops(weight) * inputs * outputs * parts * tile.positionLanes}*${groups}`;
  context.emit({
    built: k.finish(),
    grid: [groups, Math.ceil(outputs / outputTile), 1],
    cost: {
      flops: `(${2 * inputs * outputs * parts}+${flopsOf(node.post) * outputs})*d.B*d.L+${unpacking}`,
      bytes: `${Math.ceil(outputs / outputTile)}*${xBytes}+${weightBytes}*${groups}+${rest}`,
      minimum: `${xBytes}+${weightBytes}+${rest}`,
      serial: inputs,
    },
  });
}

/** How a workgroup of the `vector` schedule divides: lanes over outputs, over sequences, over parts of the sum. */
interface VectorTile {
  /** Outputs a lane computes: four where rows of weights allow it, loaded at once. */
  readonly wide: Wide;
  readonly columns: number;
  readonly rows: number;
  readonly splits: number;
}

function vectorTile({ inputs, outputs }: Shape): VectorTile {
  const wide = outputs % 4 === 0 ? 4 : 1;
  const columns = Math.min(64, outputs / wide);
  return { wide, columns, rows: Math.max(1, Math.floor(64 / columns)), splits: inputs >= 256 ? 4 : 1 };
}

/** Adds up the partial sums of a workgroup's splits; lane = (split, row, column). */
function joinSplits(k: KernelBuilder, sums: readonly KExpr[], { columns, rows, splits }: VectorTile): readonly KExpr[] {
  if (splits === 1) return sums;
  const lanes = columns * rows * splits;
  const partial = k.shared("partial", lanes * sums.length);
  const own = k.let("own", mod(lane, columns * rows));
  sums.forEach((sum, q) => k.storeShared(partial, add(lane, q * lanes), sum));
  k.barrier();
  return sums.map((_, q) =>
    across(splits)
      .map((split) => k.loadShared(partial, add(own, q * lanes + split * columns * rows)))
      .reduce((a, b) => add(a, b)),
  );
}

function lowerVector(node: MatmulNode, id: number, context: LowerContext, shape: Piecewise): void {
  const { inputs, outputs, parts, weight, piece } = shape;
  const tile = vectorTile(shape);
  const { wide, columns, rows, splits } = tile;
  const x = context.value(node.args[0] ?? bug("matmul"));
  const k = kernelBuilder("matmul_vector", columns * rows * splits);
  const bound = bindWeight(k, weight, piece, wide);
  const column = k.let("column", add(mul(group(0), columns), mod(lane, columns)));
  const rest = k.let("rest", div(lane, columns));
  const position = k.let("position", add(mul(group(1), rows), mod(rest, rows)));
  const split = k.let("split", div(rest, rows));
  const safe = k.let("o", min(column, outputs / wide - 1));
  const at = positionCoords(k, k.let("q", min(position, sub(dim("B"), 1))), false, context.entry);
  const sums = across(parts).map((q) => k.var(`s${q}`, none(wide)));
  const { to } = everyInput(weight);
  const part = Math.ceil(Number(to) / splits);
  const first = splits === 1 ? u32(0) : k.let("begin", mul(split, part));
  const range = { from: first, to: splits === 1 ? to : min(add(first, part), to) };
  const asked = across(parts).map((q) => add(safe, (q * outputs) / wide));
  sweep(k, bound, range, asked, (kk, weightAt) => {
    const value = k.let("x", read(k, x, { ...at, c: kk }));
    sums.forEach((sum, q) => k.assign(sum, fma(weightAt(q), value, sum)));
  });
  const results = joinSplits(
    k,
    sums.flatMap((sum) => across(wide).map((j) => numberOf(sum, j))),
    tile,
  );
  k.if(and(and(lt(column, outputs / wide), lt(position, dim("B"))), lt(split, 1)), () =>
    across(wide).forEach((j) => {
      const here: Coords = { ...at, c: k.let("c", add(mul(column, wide), piece.first + j)) };
      const own = across(parts).map((q) => k.let(`r${q}`, results[q * wide + j] ?? bug("no result")));
      write(k, context.result(id), here, applyPost(k, node, own, here, context));
    }),
  );
  const weightBytes = rowBytes(weight) * outputs * parts;
  const tiles = Math.ceil(outputs / wide / columns);
  const other = resultBytes(node, piece, context);
  context.emit({
    built: k.finish(),
    grid: [tiles, `Math.ceil(d.B/${rows})`, 1],
    cost: {
      flops: `(${(2 + unpackingFlops(weight)) * inputs * outputs * parts}+${flopsOf(node.post) * outputs})*d.B`,
      bytes: `${4 * inputs * tiles}*d.B+${weightBytes}*Math.ceil(d.B/${rows})+${other}`,
      minimum: `${4 * inputs}*d.B+${weightBytes}+${other}`,
      serial: Math.min(inputs, part * grainOf(weight)),
    },
  });
}

/** So few products a result that keeping blocks of them in registers saves nothing. */
const fewProducts = 8;
const overSequence = (node: MatmulNode, context: LowerContext): boolean => hasLength(node.type) && context.entry !== "step";
const isNarrow = (node: MatmulNode, context: LowerContext): boolean => {
  const { inputs, parts, weight } = shapeOf(node, context);
  return inputs * parts <= fewProducts && weight.pieces.length === 1;
};

function lowerElements(node: MatmulNode, id: number, context: LowerContext): void {
  const { inputs, parts, weight } = shapeOf(node, context);
  const x = context.value(node.args[0] ?? bug("matmul"));
  const [piece = bug("no weight"), ...more] = weight.pieces;
  if (more.length > 0) bug("a product of few inputs has a weight in pieces");
  everyElement("matmul_elements", node, id, context, (2 + unpackingFlops(weight)) * inputs * parts + flopsOf(node.post), (k, at) => {
    const bound = bindWeight(k, weight, piece);
    const term = (q: number, i: number): KExpr =>
      mul(weightAt(k, bound, add(at.c, q * piece.count), u32(i)), read(k, x, { ...at, c: u32(i) }));
    const sums = across(parts).map((q) =>
      k.let(
        "sum",
        across(inputs)
          .map((i) => term(q, i))
          .reduce((a, b) => add(a, b)),
      ),
    );
    write(k, context.result(id), at, applyPost(k, node, sums, at, context));
  });
}

export const matmulElements: Schedule = schedule<MatmulNode>({
  name: "matmul-elements",
  doc: "whole sequences of few channels: a lane an element",
  op: "matmul",
  applies: (node, _, context) => overSequence(node, context) && isNarrow(node, context),
  lower: lowerElements,
});

export const matmulRows: Schedule = schedule<MatmulNode>({
  name: "matmul-rows",
  doc: "whole sequences: each lane keeps a block of positions times outputs in registers",
  op: "matmul",
  applies: (node, _, context) => overSequence(node, context) && !isNarrow(node, context),
  lower: eachPiece(lowerRows),
});

export const matmulVector: Schedule = schedule<MatmulNode>({
  name: "matmul-vector",
  doc: "one position a workgroup: a lane an output, long sums split between lanes",
  op: "matmul",
  applies: (node, _, context) => !overSequence(node, context),
  lower: eachPiece(lowerVector),
});
