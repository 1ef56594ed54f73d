/**
 * Layer and RMS norm over channels. `group`: lanes of a workgroup share the channels of a position and join their sums. `rows`: a lane a
 * position, channels one after the other.
 */
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
  select,
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
  flatGroup,
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
import { oneAfterAnother, type Team } from "./team.ts";

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

const perPosition = (node: NormNode, context: LowerContext): boolean => hasLength(node.type) && context.entry !== "step";

/** Lanes of a workgroup, of which `splits` share the channels of one position and others have the positions beside it. */
interface Shape {
  readonly lanes: number;
  readonly splits: number;
}

function lowerShape(node: NormNode, id: number, context: LowerContext, { lanes, splits }: Shape, when: string | undefined): void {
  const { groups = 1 } = node;
  const channels = channelsOf(node.type) / groups;
  const beside = lanes / splits;
  const x = context.value(node.args[0] ?? bug("norm"));
  const k = kernelBuilder(`norm_${node.kind}_${splits === 1 ? "rows" : "group"}`, lanes);
  const position = k.let("p", splits === 1 ? flatLane(lanes) : add(mul(flatGroup(), beside), mod(lane, beside)));
  const at = positionCoords(k, position, hasLength(node.type), context.entry);
  const first = groups === 1 ? u32(0) : k.let("first", mul(group(2), channels));
  const inside = lt(position, mul(dim("B"), perPosition(node, context) ? dim("L") : 1));
  const from = splits === 1 ? first : k.let("from", add(first, div(lane, beside)));
  const normalize = (end: KExpr, joined: (sum: KExpr) => KExpr): void => {
    const eachChannel = (body: (c: KExpr) => void): void => k.for("c", from, end, body, splits);
    let mean: KExpr = f32(0);
    if (node.kind === "layer") {
      const sum = k.var("sum", f32(0));
      eachChannel((c) => k.assign(sum, add(sum, read(k, x, { ...at, c }))));
      mean = k.let("mean", mul(joined(sum), f32(1 / channels)));
    }
    const squares = k.var("squares", f32(0));
    eachChannel((c) => {
      const v = k.let("v", sub(read(k, x, { ...at, c }), mean));
      k.assign(squares, fma(v, v, squares));
    });
    const scale = k.let("scale", scaleOf(joined(squares), channels, node.eps));
    eachChannel((c) => {
      const value = k.let("y", mul(sub(read(k, x, { ...at, c }), mean), scale));
      write(k, context.result(id), { ...at, c }, applyPost(k, node, [value], { ...at, c }, context));
    });
  };
  const parts = splits > 16 ? 8 : splits;
  const last = add(first, channels);
  if (splits === 1) k.if(inside, () => normalize(last, (sum) => sum));
  else {
    // Barriers stand outside of branches: lanes beyond the last position have no channels instead.
    normalize(k.let("end", select(inside, last, u32(0))), (sum) =>
      joinLanes(k, k.shared("sums", lanes), lanes, sum, add, { parts, apart: beside }),
    );
  }
  // Every lane of a position joins the sums.
  const [flops, joins] = node.kind === "layer" ? [6, 2 * parts + 2] : [3, parts + 2];
  const count = elements(node.type, context.entry);
  const places = positions(node.type, context.entry);
  const [wide, high] = flatGrid(groupsOf(`(${places})`, beside));
  const minimum = `8*${count}+${postBytes(node, context.entry, context)}`;
  const post = node.args.slice(ownArity(node)).map((arg) => context.graph.nodes[arg]?.type ?? bug("no node"));
  const parameters = post.filter((type) => !type.dims.some((d) => d.size === "B")).reduce((sum, type) => sum + channelsOf(type), 0);
  context.emit({
    built: k.finish(),
    grid: [wide, high, groups],
    ...(when === undefined ? {} : { when }),
    cost: {
      flops: `${flops + flopsOf(node.post)}*${count}+${splits * joins}*${places}`,
      bytes: `${minimum}+${4 * parameters}*(${wide}*${high}-1)`,
      minimum,
      serial: 3 * Math.ceil(channels / splits) + (splits > 1 ? 12 : 0),
    },
  });
}

/** The largest power of two not above `size`, and not below 1. */
const powerWithin = (size: number): number => 2 ** Math.floor(Math.log2(Math.max(size, 1)));

function lower(node: NormNode, id: number, context: LowerContext): void {
  const channels = channelsOf(node.type) / (node.groups ?? 1);
  // Neighbouring lanes read what lies side by side: time steps of a sequence, channels of a step.
  const shape = perPosition(node, context)
    ? { lanes: 256, splits: powerWithin(Math.min(16, channels / 8)) }
    : { lanes: 64, splits: powerWithin(Math.min(64, channels)) };
  if (shape.splits > 1) lowerShape(node, id, context, shape, `!(${oneAfterAnother})`);
  lowerShape(node, id, context, { lanes: 64, splits: 1 }, shape.splits > 1 ? oneAfterAnother : undefined);
}

export const normSchedule: Schedule = schedule<NormNode>({
  name: "norm-lanes",
  doc: "lanes share the channels of a position and join their sums; a lane a position on software adapters",
  op: "norm",
  applies: () => true,
  lower,
});
