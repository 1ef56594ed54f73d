/**
 * Matrix products over whole sequences, with fused epilogues. `elements`: so few inputs that nothing is worth keeping.
 * `tiles`: blocked over positions and outputs, both factors staged in workgroup memory. One position at a time is `matmul-vector.ts`.
 */
import { bug } from "../../ir/error.ts";
import type { MatmulNode } from "../../ir/graph.ts";
import { everyElement } from "./elements.ts";
import { add, dim, div, f32, fma, group, kernelBuilder, type KExpr, lane, le, lt, min, mod, mul, sub, u32 } from "./kit.ts";
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

function lowerTiles(node: MatmulNode, id: number, context: LowerContext, { inputs, outputs, parts, weight, piece }: Piecewise): void {
  const x = context.value(node.args[0] ?? bug("matmul"));
  const perOutput = outputsOfLane(outputs);
  const outputTile = perOutput * tile.outputLanes;
  const k = kernelBuilder("matmul_tiles", lanes);
  /** Four neighbouring weights at a time where rows and tiles allow it. */
  const wide: Wide = outputs % 4 === 0 && perOutput % 4 === 0 ? 4 : 1;
  const bound = bindWeight(k, weight, piece, wide);
  const total = k.let("total", mul(dim("B"), dim("L")));
  const firstPosition = k.let("p", mul(group(0), positionTile));
  const firstOutput = k.let("o", mul(group(1), outputTile));
  /** Columns of the tile, of `wide` outputs, and of a lane; those of every part follow each other. */
  const [tileColumns, each] = [outputTile / wide, perOutput / wide];
  const xs = k.shared("xs", tile.inputs * positionTile);
  const ws = k.shared("ws", tile.inputs * tileColumns * parts, wide === 4 ? "vec4f" : "f32");
  const [own, row] = [k.let("own", mod(lane, positionTile)), k.let("row", div(lane, positionTile))];
  const staged = positionCoords(k, k.let("q", min(add(firstPosition, own), sub(total, 1))), true, context.entry);
  const [near, far] = [k.let("near", mod(lane, tile.positionLanes)), k.let("far", div(lane, tile.positionLanes))];
  const sums = across(parts * each).map((n) => across(tile.perPosition).map((i) => k.var(`s${n}_${i}`, none(wide))));
  const inOrder = (column: KExpr): KExpr => {
    const inTile = add(div(firstOutput, wide), parts === 1 ? column : mod(column, tileColumns));
    const safe = outputs % outputTile === 0 ? inTile : min(inTile, outputs / wide - 1);
    return parts === 1 ? safe : add(safe, mul(div(column, tileColumns), outputs / wide));
  };
  const weights = stager(k, bound, { array: ws, inputs: tile.inputs, columns: tileColumns * parts, lanes }, inOrder);
  const values = across((tile.inputs * positionTile) / lanes).map((i) => ({
    i: k.let("i", add(row, (i * lanes) / positionTile)),
    value: k.var("value", f32(0)),
  }));
  const whole = inputs % tile.inputs === 0;
  /** Loads what the next round multiplies: on its way while this one does. */
  const fetch = (first: KExpr): void => {
    for (const { i, value } of values)
      k.assign(value, read(k, x, { ...staged, c: whole ? add(first, i) : min(add(first, i), inputs - 1) }));
    weights.fetch(first);
  };
  fetch(u32(0));
  k.for(
    "first",
    0,
    inputs,
    (first) => {
      k.barrier();
      for (const { i, value } of values) k.storeShared(xs, add(mul(i, positionTile), own), value);
      weights.put();
      k.barrier();
      const next = k.let("next", add(first, tile.inputs));
      k.if(lt(next, inputs), () => fetch(next));
      k.for("i", 0, whole ? tile.inputs : min(tile.inputs, sub(inputs, first)), (i) => {
        const xsHere = across(tile.perPosition).map((n) =>
          k.let(`x${n}`, k.loadShared(xs, add(mul(i, positionTile), add(near, n * tile.positionLanes)))),
        );
        const column = k.let("column", add(mul(i, tileColumns * parts), mul(far, each)));
        sums.forEach((ofColumn, n) => {
          const w = k.let("w", k.loadShared(ws, add(column, Math.floor(n / each) * tileColumns + (n % each))));
          ofColumn.forEach((sum, m) => k.assign(sum, fma(w, xsHere[m] ?? bug("no place"), sum)));
        });
      });
    },
    tile.inputs,
  );
  const places = across(tile.perPosition).map((i) => {
    const p = k.let(`p${i}`, add(firstPosition, add(near, i * tile.positionLanes)));
    return { p, ...positionCoords(k, p, true, context.entry) };
  });
  const firstChannel = k.let("c", add(firstOutput, mul(far, perOutput)));
  const lastChannel = piece.first + outputs - 1;
  const finish = (at: Omit<Coords, "c">, j: KExpr, results: readonly KExpr[]): void => {
    const here: Coords = { ...at, c: k.let("c", add(firstChannel, add(j, piece.first))) };
    const store = (): void => write(k, context.result(id), here, applyPost(k, node, results, here, context));
    if (outputs % outputTile === 0) store();
    else k.if(le(here.c, lastChannel), store);
  };
  places.forEach(({ p, ...at }, i) =>
    k.if(lt(p, total), () =>
      across(each).forEach((n) => {
        const own = across(parts).map((q) => sums[q * each + n]?.[i] ?? bug("no sum"));
        if (wide === 1) return finish(at, u32(n), own);
        k.for("j", 0, wide, (j) =>
          finish(
            at,
            add(j, n * wide),
            own.map((sum) => numberOf(sum, j)),
          ),
        );
      }),
    ),
  );
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
