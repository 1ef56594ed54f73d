/**
 * Matrix products over whole sequences, with fused epilogues. `elements`: so few inputs that nothing is worth keeping.
 * `tiles`: blocked over positions and outputs, both factors staged in workgroup memory. One position at a time is `matmul-vector.ts`.
 */
import { bug } from "../../ir/error.ts";
import type { MatmulNode } from "../../ir/graph.ts";
import { everyElement } from "./elements.ts";
import {
  add,
  dim,
  div,
  f32,
  fma,
  group,
  kernelBuilder,
  type KernelBuilder,
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
import { across, eachPiece, fewProducts, isWhole, none, numberOf, type Piecewise, productAt, productOf, resultBytes } from "./product.ts";
import {
  applyPost,
  type Coords,
  flopsOf,
  hasLength,
  type LowerContext,
  positionCoords,
  read,
  schedule,
  type Schedule,
  type ValueRef,
  write,
} from "./schedule.ts";
import { bindWeight, rowBytes, stager, unpackingFlops, type Wide } from "./weight.ts";

/** Lanes over positions and over outputs, what each lane holds in registers, and inputs staged at a time. */
const tile = { positionLanes: 32, outputLanes: 8, perPosition: 4, perOutput: 8, inputs: 16 };
const lanes = tile.positionLanes * tile.outputLanes;
const positionTile = tile.perPosition * tile.positionLanes;

/** Outputs of a lane: of those that waste few columns of the last tile the most. */
function outputsOfLane(outputs: number): number {
  const most = Math.max(1, Math.min(tile.perOutput, Math.ceil(outputs / tile.outputLanes)));
  const wasted = (each: number): number => Math.ceil(outputs / (each * tile.outputLanes)) * each * tile.outputLanes - outputs;
  return most === 8 && wasted(8) > wasted(4) ? 4 : most;
}

/** How a workgroup divides its tile. */
interface Tiling {
  readonly total: KExpr;
  readonly firstPosition: KExpr;
  readonly firstOutput: KExpr;
  /** This lane among those over positions, and among those over outputs. */
  readonly near: KExpr;
  readonly far: KExpr;
  readonly perOutput: number;
  readonly outputTile: number;
  /** Neighbouring weights that are one: four where rows and tiles allow it. */
  readonly wide: Wide;
  /** Columns of a part of the tile, of `wide` outputs, and of a lane. */
  readonly columns: number;
  readonly each: number;
}

/** Inputs on their way to workgroup memory, `[inputs][positions]`: `fetch` loads those from `first` on, `put` stores them. */
function inputStager(k: KernelBuilder, x: ValueRef, inputs: number, { total, firstPosition }: Tiling, context: LowerContext) {
  const array = k.shared("xs", tile.inputs * positionTile);
  const [own, row] = [k.let("own", mod(lane, positionTile)), k.let("row", div(lane, positionTile))];
  const at = positionCoords(k, k.let("q", min(add(firstPosition, own), sub(total, 1))), true, context.entry);
  const values = across((tile.inputs * positionTile) / lanes).map((i) => ({
    i: k.let("i", add(row, (i * lanes) / positionTile)),
    value: k.var("value", f32(0)),
  }));
  const inside = (c: KExpr): KExpr => (inputs % tile.inputs === 0 ? c : min(c, inputs - 1));
  return {
    array,
    fetch: (first: KExpr): void => values.forEach(({ i, value }) => k.assign(value, read(k, x, { ...at, c: inside(add(first, i)) }))),
    put: (): void => values.forEach(({ i, value }) => k.storeShared(array, add(mul(i, positionTile), own), value)),
  };
}

/** The products of a lane's positions and columns over all inputs, by column, those of every part after each other. */
function tileSums(
  k: KernelBuilder,
  node: MatmulNode,
  { inputs, outputs, parts, weight, piece }: Piecewise,
  tiling: Tiling,
  context: LowerContext,
): readonly (readonly KExpr[])[] {
  const { firstOutput, near, far, outputTile, wide, columns, each } = tiling;
  const bound = bindWeight(k, weight, piece, wide);
  const values = inputStager(k, context.value(node.args[0] ?? bug("matmul")), inputs, tiling, context);
  const array = k.shared("ws", tile.inputs * columns * parts, wide === 4 ? "vec4f" : "f32");
  const weights = stager(k, bound, { array, inputs: tile.inputs, columns: columns * parts, lanes }, (column) => {
    const inTile = add(div(firstOutput, wide), parts === 1 ? column : mod(column, columns));
    const safe = outputs % outputTile === 0 ? inTile : min(inTile, outputs / wide - 1);
    return parts === 1 ? safe : add(safe, mul(div(column, columns), outputs / wide));
  });
  const sums = across(parts * each).map((n) => across(tile.perPosition).map((i) => k.var(`s${n}_${i}`, none(wide))));
  const fetch = (first: KExpr): void => {
    values.fetch(first);
    weights.fetch(first);
  };
  fetch(u32(0));
  const round = (first: KExpr): void => {
    k.barrier();
    values.put();
    weights.put();
    k.barrier();
    // What the next round multiplies is on its way while this one does.
    const next = k.let("next", add(first, tile.inputs));
    k.if(lt(next, inputs), () => fetch(next));
    k.for("i", 0, inputs % tile.inputs === 0 ? tile.inputs : min(tile.inputs, sub(inputs, first)), (i) => {
      const xs = across(tile.perPosition).map((n) =>
        k.let(`x${n}`, k.loadShared(values.array, add(mul(i, positionTile), add(near, n * tile.positionLanes)))),
      );
      const column = k.let("column", add(mul(i, columns * parts), mul(far, each)));
      sums.forEach((own, n) => {
        const w = k.let("w", k.loadShared(array, add(column, Math.floor(n / each) * columns + (n % each))));
        own.forEach((sum, m) => k.assign(sum, fma(w, xs[m] ?? bug("no place"), sum)));
      });
    });
  };
  k.for("first", 0, inputs, round, tile.inputs);
  return sums;
}

function lowerTiles(node: MatmulNode, id: number, context: LowerContext, product: Piecewise): void {
  const { inputs, outputs, parts, weight, piece } = product;
  const k = kernelBuilder("matmul_tiles", lanes);
  const perOutput = outputsOfLane(outputs);
  const outputTile = perOutput * tile.outputLanes;
  const wide: Wide = outputs % 4 === 0 && perOutput % 4 === 0 ? 4 : 1;
  const tiling: Tiling = {
    total: k.let("total", mul(dim("B"), dim("L"))),
    firstPosition: k.let("p", mul(group(0), positionTile)),
    firstOutput: k.let("o", mul(group(1), outputTile)),
    near: k.let("near", mod(lane, tile.positionLanes)),
    far: k.let("far", div(lane, tile.positionLanes)),
    perOutput,
    outputTile,
    wide,
    columns: outputTile / wide,
    each: perOutput / wide,
  };
  const sums = tileSums(k, node, product, tiling, context);
  const firstChannel = k.let("c", add(tiling.firstOutput, mul(tiling.far, perOutput)));
  const finish = (at: Omit<Coords, "c">, j: KExpr, results: readonly KExpr[]): void => {
    const here: Coords = { ...at, c: k.let("c", add(firstChannel, add(j, piece.first))) };
    const store = (): void => write(k, context.result(id), here, applyPost(k, node, results, here, context));
    if (outputs % outputTile === 0) store();
    else k.if(le(here.c, piece.first + outputs - 1), store);
  };
  for (const i of across(tile.perPosition)) {
    const p = k.let(`p${i}`, add(tiling.firstPosition, add(tiling.near, i * tile.positionLanes)));
    const at = positionCoords(k, p, true, context.entry);
    k.if(lt(p, tiling.total), () =>
      across(tiling.each).forEach((n) => {
        const own = across(parts).map((q) => sums[q * tiling.each + n]?.[i] ?? bug("no sum"));
        const result = (j: KExpr): readonly KExpr[] => own.map((sum) => numberOf(sum, j));
        if (wide === 1) finish(at, u32(n), own);
        else k.for("j", 0, wide, (j) => finish(at, add(j, n * wide), result(j)));
      }),
    );
  }
  const xBytes = `4*${inputs}*d.B*d.L`;
  const rest = resultBytes(node, piece, context);
  const groups = `Math.ceil(d.B*d.L/${positionTile})`;
  const weightBytes = rowBytes(weight) * outputs * parts;
  const unpacking = `${unpackingFlops(weight) * inputs * outputs * parts}*${groups}`;
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

/** Whether a product runs over many time steps. */
export const overSequence = (node: MatmulNode, context: LowerContext): boolean => hasLength(node.type) && context.entry !== "step";

/** So few products a result that keeping blocks of them in registers saves nothing. */
const isNarrow = (node: MatmulNode, context: LowerContext): boolean => {
  const product = productOf(node, context);
  return product.inputs * product.parts <= fewProducts && isWhole(product);
};

function lowerElements(node: MatmulNode, id: number, context: LowerContext): void {
  const { inputs, parts, weight } = productOf(node, context);
  everyElement("matmul_elements", node, id, context, (2 + unpackingFlops(weight)) * inputs * parts + flopsOf(node.post), (k, at) =>
    write(k, context.result(id), at, productAt(k, node, at, context)),
  );
}

export const matmulElements: Schedule = schedule<MatmulNode>({
  name: "matmul-elements",
  doc: "whole sequences of few channels: a lane an element",
  op: "matmul",
  applies: (node, _, context) => overSequence(node, context) && isNarrow(node, context),
  lower: lowerElements,
});

export const matmulTiles: Schedule = schedule<MatmulNode>({
  name: "matmul-tiles",
  doc: "whole sequences: a tile of positions times outputs a workgroup, a block of it in registers of each lane",
  op: "matmul",
  applies: (node, _, context) => overSequence(node, context) && !isNarrow(node, context),
  lower: eachPiece(lowerTiles),
});
