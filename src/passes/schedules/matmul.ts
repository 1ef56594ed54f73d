/**
 * Matrix products with fused epilogues. `elements`: so few inputs that nothing is worth keeping. `rows`: many positions, register-blocked over positions and outputs, no workgroup
 * memory. `vector`: one position a workgroup row, the sum over k split between lanes where k is long.
 */
import { bug } from "../../ir/error.ts";
import type { MatmulNode } from "../../ir/graph.ts";
import { everyElement } from "./elements.ts";
import { add, and, components, dim, div, f32, fma, group, type KExpr, kernelBuilder, lane, lt, min, mod, mul, sub, u32 } from "./kit.ts";
import {
  applyPost,
  parameterOperands,
  channelsOf,
  type Coords,
  elements,
  flopsOf,
  hasLength,
  type LowerContext,
  positionCoords,
  positions,
  postBytes,
  read,
  schedule,
  type Schedule,
  write,
} from "./schedule.ts";

interface Shape {
  readonly inputs: number;
  readonly outputs: number;
  readonly parts: number;
  readonly weight: number;
}

function shapeOf(node: MatmulNode, context: LowerContext): Shape {
  const [x = bug("matmul without x"), w = bug("matmul without w")] = node.args;
  const weight = context.graph.nodes[w];
  if (weight?.op !== "param") bug("a matmul's weight is no parameter");
  return {
    inputs: channelsOf(context.value(x).type),
    outputs: channelsOf(node.type),
    parts: node.parts,
    weight: context.weight(weight.name, true),
  };
}

const across = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i);

/** Lanes over positions and over outputs, and what each lane holds in registers. */
const tile = { positionLanes: 32, outputLanes: 8, perPosition: 4, perOutput: 8 };

function lowerRows(node: MatmulNode, id: number, context: LowerContext): void {
  const { inputs, outputs, parts, weight } = shapeOf(node, context);
  const x = context.value(node.args[0] ?? bug("matmul"));
  const perOutput = Math.max(1, Math.min(tile.perOutput, Math.ceil(outputs / tile.outputLanes)));
  const outputTile = perOutput * tile.outputLanes;
  const positionTile = tile.perPosition * tile.positionLanes;
  const k = kernelBuilder("matmul_rows", tile.positionLanes * tile.outputLanes);
  /** Four neighbouring weights at a time where rows and tiles allow it. */
  const four = outputs % 4 === 0 && perOutput % 4 === 0;
  const wBuffer = k.bind(weight, "read", four ? "vec4f" : "f32");
  const total = k.let("total", mul(dim("B"), dim("L")));
  const firstPosition = k.let("p", add(mul(group(0), positionTile), mod(lane, tile.positionLanes)));
  const firstOutput = k.let("o", add(mul(group(1), outputTile), mul(div(lane, tile.positionLanes), perOutput)));
  const places = across(tile.perPosition).map((i) => {
    const p = k.let(`p${i}`, add(firstPosition, i * tile.positionLanes));
    const clamped = k.let(`q${i}`, min(p, sub(total, 1)));
    return { p, ...positionCoords(k, clamped, true, context.entry) };
  });
  const wide = four ? 4 : 1;
  const columns = across(parts).map((part) =>
    across(perOutput / wide).map((j) =>
      k.let(`w${part}_${j}`, div(add(min(add(firstOutput, j * wide), outputs - wide), part * outputs), wide)),
    ),
  );
  const sums = across(parts).map((q) => across(perOutput).map((j) => places.map((_, i) => k.var(`s${q}_${j}_${i}`, f32(0)))));
  k.for("k", 0, inputs, (kk) => {
    const xs = places.map((at, i) => k.let(`x${i}`, read(k, x, { b: at.b, l: at.l, c: kk })));
    const row = k.let("row", mul(kk, (parts * outputs) / wide));
    columns.forEach((part, q) => {
      const loaded = part.map((column) => k.let("w", k.load(wBuffer, add(row, column))));
      const weights = four ? loaded.flatMap(components) : loaded;
      weights.forEach((w, j) =>
        xs.forEach((value, i) => {
          const sum = sums[q]?.[j]?.[i] ?? bug("no sum");
          k.assign(sum, fma(w, value, sum));
        }),
      );
    });
  });
  const channel = (j: number): KExpr => add(firstOutput, j);
  const whole = outputs % outputTile === 0;
  const extras = across(perOutput).map((j) => parameterOperands(k, node, whole ? channel(j) : min(channel(j), outputs - 1), context));
  places.forEach((at, i) =>
    k.if(lt(at.p, total), () =>
      across(perOutput).forEach((j) => {
        const here: Coords = { b: at.b, l: at.l, c: channel(j) };
        const results = across(parts).map((q) => sums[q]?.[j]?.[i] ?? bug("no sum"));
        const finish = (): void => write(k, context.result(id), here, applyPost(k, node, results, here, context, extras[j]));
        if (whole) finish();
        else k.if(lt(here.c, outputs), finish);
      }),
    ),
  );
  const xBytes = `4*${inputs}*d.B*d.L`;
  const rest = `4*${elements(node.type, context.entry)}+${postBytes(node, context.entry, context)}`;
  const groups = `Math.ceil(d.B*d.L/${positionTile})`;
  const weightBytes = 4 * inputs * outputs * parts;
  context.emit({
    built: k.finish(),
    grid: [groups, Math.ceil(outputs / outputTile), 1],
    cost: {
      flops: `(${2 * inputs * outputs * parts}+${flopsOf(node.post) * outputs})*d.B*d.L`,
      bytes: `${Math.ceil(outputs / outputTile)}*${xBytes}+${weightBytes}*${groups}+${rest}`,
      minimum: `${xBytes}+${weightBytes}+${rest}`,
      serial: inputs,
    },
  });
}

function lowerVector(node: MatmulNode, id: number, context: LowerContext): void {
  const { inputs, outputs, parts, weight } = shapeOf(node, context);
  const x = context.value(node.args[0] ?? bug("matmul"));
  const splits = inputs >= 256 ? 4 : 1;
  const k = kernelBuilder("matmul_vector", 64 * splits);
  const wBuffer = k.bind(weight);
  const column = k.let("column", mod(lane, 64));
  const split = k.let("split", div(lane, 64));
  const c = k.let("c", add(mul(group(0), 64), column));
  const safe = k.let("o", min(c, outputs - 1));
  const at: Coords = { ...positionCoords(k, group(1), hasLength(node.type), context.entry), c };
  const sums = across(parts).map((q) => k.var(`s${q}`, f32(0)));
  const first: KExpr | number = splits === 1 ? 0 : mul(split, Math.ceil(inputs / splits));
  const end: KExpr | number = splits === 1 ? inputs : min(add(first, Math.ceil(inputs / splits)), inputs);
  k.for("k", first, end, (kk) => {
    const value = k.let("x", read(k, x, { ...at, c: kk }));
    sums.forEach((sum, q) => k.assign(sum, fma(k.load(wBuffer, add(mul(kk, parts * outputs), add(safe, q * outputs))), value, sum)));
  });
  let results: readonly KExpr[] = sums;
  if (splits > 1) {
    const partial = k.shared("partial", 64 * splits * parts);
    sums.forEach((sum, q) => k.storeShared(partial, add(q * 64 * splits, lane), sum));
    k.barrier();
    results = sums.map((_, q) =>
      across(splits)
        .map((s) => k.loadShared(partial, add(q * 64 * splits + s * 64, column)))
        .reduce((a, b) => add(a, b)),
    );
  }
  k.if(and(lt(c, outputs), lt(split, 1)), () => {
    const own = results.map((r, q) => k.let(`r${q}`, r));
    write(k, context.result(id), at, applyPost(k, node, own, at, context));
  });
  const rows = positions(node.type, context.entry);
  const weightBytes = 4 * inputs * outputs * parts;
  const rest = `4*${elements(node.type, context.entry)}+${postBytes(node, context.entry, context)}`;
  context.emit({
    built: k.finish(),
    grid: [Math.ceil(outputs / 64), rows, 1],
    cost: {
      flops: `(${2 * inputs * outputs * parts}+${flopsOf(node.post) * outputs})*${rows}`,
      bytes: `${4 * inputs * Math.ceil(outputs / 64)}*${rows}+${weightBytes}*${rows}+${rest}`,
      minimum: `${4 * inputs}*${rows}+${weightBytes}+${rest}`,
      serial: Math.ceil(inputs / splits),
    },
  });
}

/** So few products a result that keeping blocks of them in registers saves nothing. */
const fewProducts = 8;
const overSequence = (node: MatmulNode, context: LowerContext): boolean => hasLength(node.type) && context.entry !== "step";
const isNarrow = (node: MatmulNode, context: LowerContext): boolean => {
  const { inputs, parts } = shapeOf(node, context);
  return inputs * parts <= fewProducts;
};

function lowerElements(node: MatmulNode, id: number, context: LowerContext): void {
  const { inputs, outputs, parts, weight } = shapeOf(node, context);
  const x = context.value(node.args[0] ?? bug("matmul"));
  everyElement("matmul_elements", node, id, context, 2 * inputs * parts + flopsOf(node.post), (k, at) => {
    const wBuffer = k.bind(weight);
    const term = (q: number, i: number): KExpr =>
      mul(k.load(wBuffer, add(at.c, (i * parts + q) * outputs)), read(k, x, { ...at, c: u32(i) }));
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
  lower: lowerRows,
});

export const matmulVector: Schedule = schedule<MatmulNode>({
  name: "matmul-vector",
  doc: "one position a workgroup: a lane an output, long sums split between lanes",
  op: "matmul",
  applies: (node, _, context) => !overSequence(node, context),
  lower: lowerVector,
});
