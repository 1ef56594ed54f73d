/**
 * Matrix products over whole sequences, with fused epilogues. `elements`: so few inputs that nothing is worth keeping.
 * `rows`: register-blocked over positions and outputs, no workgroup memory. One position at a time is `matmul-vector.ts`.
 */
import { bug } from "../../ir/error.ts";
import type { MatmulNode } from "../../ir/graph.ts";
import { everyElement } from "./elements.ts";
import { add, dim, div, fma, group, kernelBuilder, type KExpr, lane, le, lt, min, mod, mul, sub } from "./kit.ts";
import { across, eachPiece, fewProducts, isWhole, none, numberOf, type Piecewise, productAt, productOf, resultBytes } from "./product.ts";
import {
  applyPost,
  type Coords,
  flopsOf,
  hasLength,
  type LowerContext,
  parameterOperands,
  positionCoords,
  read,
  schedule,
  type Schedule,
  write,
} from "./schedule.ts";
import { bindWeight, everyInput, rowBytes, sweep, unpackingFlops, type Wide } from "./weight.ts";

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
  sweep(k, bound, 1, everyInput(weight, 1), columns, (kk, weightAt) => {
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

export const matmulRows: Schedule = schedule<MatmulNode>({
  name: "matmul-rows",
  doc: "whole sequences: each lane keeps a block of positions times outputs in registers",
  op: "matmul",
  applies: (node, _, context) => overSequence(node, context) && !isNarrow(node, context),
  lower: eachPiece(lowerRows),
});
