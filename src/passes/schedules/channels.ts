/** Planes that turn, and running sums. */
import { bug } from "../../ir/error.ts";
import type { CumulateNode, RotateNode, ValueId } from "../../ir/graph.ts";
import { everyElement } from "./elements.ts";
import {
  add,
  and,
  dim,
  div,
  eq,
  f32,
  fma,
  kernelBuilder,
  type KernelBuilder,
  type KExpr,
  lt,
  max,
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

function lowerCumulate(node: CumulateNode, id: ValueId, context: LowerContext): void {
  const [x = bug("cumulate"), f] = node.args;
  const { entry } = context;
  const channels = channelsOf(node.type);
  const k = kernelBuilder(`cumulate_${node.kind.replace("-", "_")}`, 64);
  const state = entry === "whole" ? undefined : k.bind(context.state(id, `d.B*${channels}`), "read_write");
  const i = k.let("i", flatLane(64));
  k.if(lt(i, mul(dim("B"), channels)), () => {
    const [b, c] = [k.let("b", div(i, channels)), k.let("c", mod(i, channels))];
    const total = k.var("total", state === undefined ? f32(0) : k.load(state, i));
    const step = (l: KExpr, first: KExpr): void => {
      const value = k.let("x", computed(k, x, { b, l, c }, context));
      if (node.kind === "max-plus") {
        const grown = add(total, computed(k, f ?? bug("cumulate without f"), { b, l, c }, context));
        k.assign(total, select(first, value, max(grown, value)));
      } else k.assign(total, node.kind === "sum" ? add(total, value) : wrapped(k, add(total, value)));
      write(k, context.result(id), { b, l, c }, total);
    };
    const begun = eq(dim("pos"), 0);
    if (entry === "step") step(dim("t"), begun);
    else k.for("l", 0, dim("L"), (l) => step(l, state === undefined ? eq(l, 0) : and(begun, eq(l, 0))));
    if (state !== undefined) k.store(state, i, total);
  });
  const size = elements(node.type, entry);
  const flops = { sum: 1, turn: 8, "max-plus": 2 }[node.kind] + absorbedFlops(node, context);
  const bytes = `4*${size}+${operandsBytes(operandsOf(node, context), entry, context)}+${entry === "whole" ? 0 : 8 * channels}*d.B`;
  context.emit({
    built: k.finish(),
    grid: flatGrid(groupsOf(`d.B*${channels}`, 64)),
    cost: {
      flops: `${flops}*${size}`,
      bytes,
      minimum: bytes,
      serial: entry === "step" ? 1 : "d.L",
    },
  });
}

export const cumulateSchedule: Schedule = schedule<CumulateNode>({
  name: "cumulate-lanes",
  doc: "a lane a channel, along time",
  op: "cumulate",
  applies: () => true,
  // Along time a lane has all the steps of its channel to itself: there maps are better computed before.
  absorbs: (node, id, context) => (context.entry === "step" ? lightMaps(node, id, context) : []),
  lower: lowerCumulate,
});
