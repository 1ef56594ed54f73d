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
import { channelsOf, elements, flatGrid, flatLane, groupsOf, type LowerContext, read, schedule, type Schedule, write } from "./schedule.ts";

export const rotateSchedule: Schedule = schedule<RotateNode>({
  name: "rotate-elements",
  doc: "a lane an element, which reads the other of its plane",
  op: "rotate",
  applies: () => true,
  lower: (node, id, context) => {
    const [x, angles] = node.args.map(context.value);
    if (x === undefined || angles === undefined) return bug("rotate");
    const { size, planes, pairs } = node;
    const turned = channelsOf(angles.type) / planes;
    everyElement("rotate", node, id, context, 20, (k, at) => {
      const n = k.let("n", mod(at.c, size));
      const [plane, second, apart] =
        pairs === "neighbours" ? [div(n, 2), eq(mod(n, 2), 1), 1] : [mod(n, size / 2), lt(u32(size / 2 - 1), n), size / 2];
      const head = mod(div(at.c, size), turned);
      const turns = k.let("turns", lt(plane, planes));
      const own = k.let("own", read(k, x, at));
      const other = k.let("other", read(k, x, { ...at, c: select(turns, select(second, sub(at.c, apart), add(at.c, apart)), at.c) }));
      const angle = k.let("angle", read(k, angles, { ...at, c: add(mul(head, planes), select(turns, plane, u32(0))) }));
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
  const [x, f] = node.args.map(context.value);
  const { entry } = context;
  const channels = channelsOf(node.type);
  const k = kernelBuilder(`cumulate_${node.kind.replace("-", "_")}`, 64);
  const state = entry === "whole" ? undefined : k.bind(context.state(id, `d.B*${channels}`), "read_write");
  const i = k.let("i", flatLane(64));
  k.if(lt(i, mul(dim("B"), channels)), () => {
    const [b, c] = [k.let("b", div(i, channels)), k.let("c", mod(i, channels))];
    const total = k.var("total", state === undefined ? f32(0) : k.load(state, i));
    const step = (l: KExpr, first: KExpr): void => {
      const value = k.let("x", read(k, x ?? bug("cumulate"), { b, l, c }));
      if (node.kind === "max-plus") {
        const grown = add(total, read(k, f ?? bug("cumulate without f"), { b, l, c }));
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
  const bytes = `${4 * (node.args.length + 1)}*${size}+${entry === "whole" ? 0 : 8 * channels}*d.B`;
  context.emit({
    built: k.finish(),
    grid: flatGrid(groupsOf(`d.B*${channels}`, 64)),
    cost: {
      flops: `${{ sum: 1, turn: 8, "max-plus": 2 }[node.kind]}*${size}`,
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
  lower: lowerCumulate,
});
