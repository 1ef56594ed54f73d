/** Planes that turn, and running sums. */
import { bug } from "../../ir/error.ts";
import type { CumulateNode, RotateNode, ValueId } from "../../ir/graph.ts";
import { everyElement } from "./elements.ts";
import {
  add,
  dim,
  div,
  eq,
  f32,
  fma,
  group,
  kernelBuilder,
  type KernelBuilder,
  type KExpr,
  lane,
  lt,
  max,
  min,
  mod,
  mul,
  neg,
  select,
  sub,
  u32,
  unary,
} from "./kit.ts";
import {
  absorbedFlops,
  channelsOf,
  computed,
  type Coords,
  type Cost,
  elements,
  flatGrid,
  flatLane,
  groupsOf,
  lightMaps,
  type LowerContext,
  operandsBytes,
  operandsOf,
  schedule,
  type Schedule,
  write,
} from "./schedule.ts";
import { ownTraffic } from "./traffic.ts";

/** Where neighbouring lanes are time steps, the other channel of a plane and the angle are read by workgroups of their own. */
function rotateCost(node: RotateNode, id: ValueId, context: LowerContext): Cost {
  const { entry } = context;
  const count = elements(node.type, entry);
  const [, angles = bug("rotate")] = node.args;
  const operands = operandsOf(node, context);
  const own = operands.filter((operand) => operand !== angles);
  const inner = entry !== "step" && context.result(id).layout === "BCL" ? "time" : "channel";
  const [times, turns] =
    inner === "time" ? [1 + (2 * node.planes) / node.size, `4*${count}`] : [1, operandsBytes([angles], entry, context)];
  return {
    flops: `${20 + 2 * absorbedFlops(node, context)}*${count}`,
    bytes: `4*${count}+${times}*(${ownTraffic(own, node, inner, entry, context)})+${turns}`,
    minimum: `4*${count}+${operandsBytes(operands, entry, context)}`,
  };
}

export const rotateSchedule: Schedule = schedule<RotateNode>({
  name: "rotate-elements",
  doc: "a lane an element, which reads the other of its plane",
  op: "rotate",
  applies: () => true,
  absorbs: (node, id, context) => lightMaps(node, id, context).filter((map) => map === node.args[0]),
  lower: (node, id, context) => {
    const [x = bug("rotate"), angles = bug("rotate")] = node.args;
    const { size, planes, pairs } = node;
    const turned = channelsOf(context.graph.nodes[angles]?.type ?? bug("no node")) / planes;
    everyElement("rotate", node, id, context, rotateCost(node, id, context), (k, at) => {
      const n = k.let("n", mod(at.c, size));
      const [plane, second, apart] =
        pairs === "neighbours" ? [div(n, 2), eq(mod(n, 2), 1), 1] : [mod(n, size / 2), lt(u32(size / 2 - 1), n), size / 2];
      const head = mod(div(at.c, size), turned);
      const turns = k.let("turns", lt(plane, planes));
      const own = k.let("own", computed(k, x, at, context));
      const across = k.let("across", select(turns, select(second, sub(at.c, apart), add(at.c, apart)), at.c));
      const other = k.let("other", computed(k, x, { ...at, c: across }, context));
      const angle = k.let("angle", computed(k, angles, { ...at, c: add(mul(head, planes), select(turns, plane, u32(0))) }, context));
      const sine = k.let("sine", unary("sin", angle));
      const value = fma(own, unary("cos", angle), mul(other, select(second, sine, neg(sine))));
      write(k, context.result(id), at, select(turns, value, own));
    });
  },
});

/** 2 pi in two floats: the first has so few digits that a small multiple of it is exact. */
const turn = { high: 6.28125, low: 2 * Math.PI - 6.28125 };

/** An angle from -pi to pi. */
function wrapped(k: KernelBuilder, angle: KExpr): KExpr {
  const whole = k.let("angle", angle);
  const turns = k.let("turns", unary("floor", fma(whole, f32(1 / (2 * Math.PI)), f32(0.5))));
  return sub(sub(whole, mul(turns, f32(turn.high))), mul(turns, f32(turn.low)));
}

/** The total of no steps. */
const nothing = ({ kind }: CumulateNode): KExpr => f32(kind === "max-plus" ? -3e38 : 0);

/** Two totals of a kind without decays as one. */
const plus = (k: KernelBuilder, { kind }: CumulateNode, a: KExpr, b: KExpr): KExpr => (kind === "turn" ? wrapped(k, add(a, b)) : add(a, b));

/** What a step makes of the total before it, and the decay it brings, of `max-plus` only. */
function stepOf(
  k: KernelBuilder,
  node: CumulateNode,
  total: KExpr,
  at: Coords,
  context: LowerContext,
): { readonly total: KExpr; readonly decay: KExpr } {
  const [value, decay = f32(0)] = node.args.map((arg, i) => k.let(i === 0 ? "x" : "f", computed(k, arg, at, context)));
  if (value === undefined) return bug("cumulate");
  return { total: node.kind === "max-plus" ? max(add(total, decay), value) : plus(k, node, total, value), decay };
}

/** The total a program starts from. */
const before = (k: KernelBuilder, node: CumulateNode, state: string | undefined, i: KExpr): KExpr =>
  state === undefined ? nothing(node) : select(eq(dim("pos"), 0), nothing(node), k.load(state, i));

const cumulateFlops = { sum: 1, turn: 8, "max-plus": 2 } as const;

function cumulateBytes(node: CumulateNode, context: LowerContext): string {
  const { entry } = context;
  const state = entry === "whole" ? 0 : 8 * channelsOf(node.type);
  return `4*${elements(node.type, entry)}+${operandsBytes(operandsOf(node, context), entry, context)}+${state}*d.B`;
}

/** A lane a channel. */
function lowerStep(node: CumulateNode, id: ValueId, context: LowerContext): void {
  const channels = channelsOf(node.type);
  const k = kernelBuilder(`cumulate_${node.kind.replace("-", "_")}_step`, 64);
  const state = k.bind(context.state(id, `d.B*${channels}`), "read_write");
  const i = k.let("i", flatLane(64));
  k.if(lt(i, mul(dim("B"), channels)), () => {
    const at = { b: k.let("b", div(i, channels)), c: k.let("c", mod(i, channels)), l: dim("t") };
    const total = k.let("total", stepOf(k, node, before(k, node, state, i), at, context).total);
    write(k, context.result(id), at, total);
    k.store(state, i, total);
  });
  const bytes = cumulateBytes(node, context);
  context.emit({
    built: k.finish(),
    grid: flatGrid(groupsOf(`d.B*${channels}`, 64)),
    cost: {
      flops: `${cumulateFlops[node.kind] + absorbedFlops(node, context)}*${elements(node.type, context.entry)}`,
      bytes,
      minimum: bytes,
    },
  });
}

/** A workgroup a channel, a lane a slice of time: each goes over its slice for its total, joins those before it, and goes over it again. */
function lowerSlices(node: CumulateNode, id: ValueId, context: LowerContext): void {
  const slices = 64;
  const { entry } = context;
  const channels = channelsOf(node.type);
  const decays = node.kind === "max-plus";
  const k = kernelBuilder(`cumulate_${node.kind.replace("-", "_")}`, slices);
  const [c, b] = [group(0), group(1)];
  const i = add(mul(b, channels), c);
  const state = entry === "whole" ? undefined : k.bind(context.state(id, `d.B*${channels}`), "read_write");
  const steps = k.let("steps", div(add(dim("L"), slices - 1), slices));
  const begin = k.let("begin", mul(lane, steps));
  const end = k.let("end", min(add(begin, steps), dim("L")));
  const carry = k.var("carry", nothing(node));
  if (state !== undefined) k.if(eq(lane, 0), () => k.assign(carry, before(k, node, state, i)));
  const total = k.var("total", carry);
  const decay = k.var("decay", f32(0));
  k.for("l", begin, end, (l) => {
    const step = stepOf(k, node, total, { b, l, c }, context);
    k.assign(total, step.total);
    if (decays) k.assign(decay, add(decay, step.decay));
  });
  const totals = k.shared("totals", slices);
  k.storeShared(totals, lane, total);
  const sums = decays ? k.shared("sums", slices) : undefined;
  if (sums !== undefined) k.storeShared(sums, lane, decay);
  k.barrier();
  const join = (part: KExpr): void => {
    const own = k.loadShared(totals, part);
    k.assign(carry, sums === undefined ? plus(k, node, carry, own) : max(add(carry, k.loadShared(sums, part)), own));
  };
  k.for("part", 0, lane, join);
  k.for("l", begin, end, (l) => {
    k.assign(carry, stepOf(k, node, carry, { b, l, c }, context).total);
    write(k, context.result(id), { b, l, c }, carry);
  });
  if (state !== undefined)
    k.if(eq(lane, 0), () => {
      k.assign(carry, nothing(node));
      k.for("part", 0, slices, join);
      k.store(state, i, carry);
    });
  const flops = cumulateFlops[node.kind];
  const bytes = cumulateBytes(node, context);
  context.emit({
    built: k.finish(),
    grid: [channels, "d.B", 1],
    cost: {
      flops: `${2 * flops + (decays ? 1 : 0)}*${elements(node.type, entry)}+${(flops * channels * slices * slices) / 2}*d.B`,
      bytes,
      minimum: bytes,
      serial: `2*Math.ceil(d.L/${slices})+${slices}`,
    },
  });
}

export const cumulateSchedule: Schedule = schedule<CumulateNode>({
  name: "cumulate-slices",
  doc: "a lane a slice of time of a channel, joined in the workgroup; in a step a lane a channel",
  op: "cumulate",
  applies: () => true,
  // Along time a lane has all the steps of its slice to itself: there maps are better computed before.
  absorbs: (node, id, context) => (context.entry === "step" ? lightMaps(node, id, context) : []),
  lower: (node, id, context) => {
    const steps = context.entry === "step";
    return steps ? lowerStep(node, id, context) : lowerSlices(node, id, context);
  },
});
