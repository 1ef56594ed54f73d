/** Layer and RMS norm over channels. `rows`: a lane a position, channels one after the other. `group`: a workgroup a position. */
import { bug } from "../../ir/error.ts";
import { type Node, type NormNode, ownArity } from "../../ir/graph.ts";
import {
  add,
  dim,
  div,
  f32,
  fma,
  group,
  type KernelBuilder,
  kernelBuilder,
  type KExpr,
  lane,
  lt,
  mod,
  mul,
  sub,
  u32,
  unary,
} from "./kit.ts";
import {
  applyPost,
  channelsOf,
  type Coords,
  elements,
  flatGrid,
  flatLane,
  flopsOf,
  groupsOf,
  hasLength,
  joinLanes,
  type LowerContext,
  positionCoords,
  positions,
  postBytes,
  read,
  schedule,
  type Schedule,
  write,
} from "./schedule.ts";
import type { Team } from "./team.ts";

function emit(
  node: NormNode,
  context: LowerContext,
  k: KernelBuilder,
  grid: readonly [number | string, number | string, number | string],
  serial: number,
  when: string | undefined,
): void {
  const count = elements(node.type, context.entry);
  const own = `8*${count}`;
  const post = node.args.slice(ownArity(node)).map((id) => context.graph.nodes[id]?.type ?? bug("no node"));
  const parameters = post.filter((type) => !type.dims.some((d) => d.size === "B")).reduce((sum, type) => sum + channelsOf(type), 0);
  const shared = postBytes(node, context.entry, context);
  context.emit({
    built: k.finish(),
    grid,
    ...(when === undefined ? {} : { when }),
    cost: {
      flops: `${(node.kind === "layer" ? 6 : 3) + flopsOf(node.post)}*${count}+4*${positions(node.type, context.entry)}`,
      bytes: `${own}+${shared}+${4 * parameters}*(${grid[0]}*${grid[1]}-1)`,
      minimum: `${own}+${shared}`,
      serial,
    },
  });
}

/** One over the deviation, of the sum of squares. */
export const scaleOf = (squares: KExpr, channels: number, eps: number): KExpr =>
  unary("rsqrt", add(mul(squares, f32(1 / channels)), f32(eps)));

/** Whether a norm multiplies all channels of a place by one number, and does no more. */
export const isScale = (node: Node | undefined): node is NormNode =>
  node?.op === "norm" && node.kind === "rms" && node.post === undefined && (node.groups ?? 1) === 1;

/** That number at one place: for kernels that take such a norm on the way. */
export function scaleAt(k: KernelBuilder, node: NormNode, at: Omit<Coords, "c">, context: LowerContext, team: Team): KExpr {
  const channels = channelsOf(node.type);
  const x = context.value(node.args[0] ?? bug("norm"));
  const squares = k.var("squares", f32(0));
  k.for(
    "c",
    team.part,
    channels,
    (c) => {
      const v = k.let("v", read(k, x, { ...at, c }));
      k.assign(squares, fma(v, v, squares));
    },
    team.parts,
  );
  return k.let(
    "scale",
    team.join([squares], ([total = bug("no sum")]) => scaleOf(total, channels, node.eps)),
  );
}

/** The groups of a norm, and the channels of one. */
function groupsIn(node: NormNode): { readonly groups: number; readonly channels: number } {
  const { groups = 1 } = node;
  return { groups, channels: channelsOf(node.type) / groups };
}

function lowerRows(node: NormNode, id: number, context: LowerContext, when?: string): void {
  const { groups, channels } = groupsIn(node);
  const x = context.value(node.args[0] ?? bug("norm"));
  const k = kernelBuilder(`norm_${node.kind}_rows`, 64);
  const p = k.let("p", flatLane(64));
  const sequences = mul(dim("B"), perPosition(node, context) ? dim("L") : 1);
  const total = groups === 1 ? sequences : k.let("total", sequences);
  k.if(lt(p, mul(total, groups)), () => {
    const first = groups === 1 ? u32(0) : k.let("first_c", mul(div(p, total), channels));
    const position = groups === 1 ? p : k.let("position", mod(p, total));
    const at = positionCoords(k, position, hasLength(node.type), context.entry);
    let mean: KExpr = f32(0);
    if (node.kind === "layer") {
      const sum = k.var("sum", f32(0));
      k.for("c", first, add(first, channels), (c) => k.assign(sum, add(sum, read(k, x, { ...at, c }))));
      mean = k.let("mean", mul(sum, f32(1 / channels)));
    }
    const squares = k.var("squares", f32(0));
    k.for("c", first, add(first, channels), (c) => {
      const v = k.let("v", sub(read(k, x, { ...at, c }), mean));
      k.assign(squares, fma(v, v, squares));
    });
    const scale = k.let("scale", scaleOf(squares, channels, node.eps));
    k.for("c", first, add(first, channels), (c) => {
      const value = k.let("y", mul(sub(read(k, x, { ...at, c }), mean), scale));
      write(k, context.result(id), { ...at, c }, applyPost(k, node, [value], { ...at, c }, context));
    });
  });
  emit(node, context, k, flatGrid(groupsOf(`(${positions(node.type, context.entry)}*${groups})`, 64)), 3 * channels, when);
}

function lowerGroup(node: NormNode, id: number, context: LowerContext, when: string): void {
  const lanes = 64;
  const { groups, channels } = groupsIn(node);
  const x = context.value(node.args[0] ?? bug("norm"));
  const k = kernelBuilder(`norm_${node.kind}_group`, lanes);
  const at = positionCoords(k, group(0), hasLength(node.type), context.entry);
  const first = groups === 1 ? u32(0) : k.let("first_c", mul(group(1), channels));
  let mean: KExpr = f32(0);
  if (node.kind === "layer") {
    const sum = k.var("sum", f32(0));
    k.for("c", add(first, lane), add(first, channels), (c) => k.assign(sum, add(sum, read(k, x, { ...at, c }))), lanes);
    mean = k.let("mean", mul(joinLanes(k, k.shared("sums", lanes), lanes, sum, add), f32(1 / channels)));
  }
  const squares = k.var("squares", f32(0));
  k.for(
    "c",
    add(first, lane),
    add(first, channels),
    (c) => {
      const v = k.let("v", sub(read(k, x, { ...at, c }), mean));
      k.assign(squares, fma(v, v, squares));
    },
    lanes,
  );
  const scale = k.let("scale", scaleOf(joinLanes(k, k.shared("scratch", lanes), lanes, squares, add), channels, node.eps));
  k.for(
    "c",
    add(first, lane),
    add(first, channels),
    (c) => {
      const value = k.let("y", mul(sub(read(k, x, { ...at, c }), mean), scale));
      write(k, context.result(id), { ...at, c }, applyPost(k, node, [value], { ...at, c }, context));
    },
    lanes,
  );
  emit(node, context, k, [positions(node.type, context.entry), groups, 1], 3 * Math.ceil(channels / lanes) + 12, when);
}

const perPosition = (node: NormNode, context: LowerContext): boolean => hasLength(node.type) && context.entry !== "step";

export const normRows: Schedule = schedule<NormNode>({
  name: "norm-rows",
  doc: "whole sequences: a lane a position; neighbouring lanes read neighbouring time steps",
  op: "norm",
  applies: (node, _, context) => perPosition(node, context),
  lower: lowerRows,
});

/** Sequences enough to fill lanes with one each, and adapters whose barriers are slow. */
const manySequences = "(d.B>=64||d.W<64)";

export const normGroup: Schedule = schedule<NormNode>({
  name: "norm-group",
  doc: "one step: a workgroup a sequence, sums over its lanes; a lane a sequence where there are many",
  op: "norm",
  applies: (node, _, context) => !perPosition(node, context),
  lower: (node, id, context) => {
    lowerGroup(node, id, context, `!${manySequences}`);
    lowerRows(node, id, context, manySequences);
  },
});
