/**
 * HiPPO-LegS as it varies in time: a lane a channel walks along its sequence, and along its states by two running sums.
 * The algebra is in `ir/scaled-legs.ts`. The state lies in device memory, where each lane reads what it wrote itself.
 */
import { bug } from "../../ir/error.ts";
import type { SsmForm, SsmNode, ValueId } from "../../ir/graph.ts";
import {
  add,
  dim,
  div,
  eq,
  f32,
  float,
  fma,
  type KernelBuilder,
  kernelBuilder,
  type KExpr,
  lt,
  mod,
  mul,
  select,
  sub,
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
  type LowerContext,
  postBytes,
  read,
  schedule,
  type Schedule,
  write,
} from "./schedule.ts";

type ScaledForm = Extract<SsmForm, { stage: "scaled" }>;

function lower(node: SsmNode, id: ValueId, context: LowerContext): void {
  const { form } = node;
  if (form.stage !== "scaled") return bug("the schedule of scaled systems was given another");
  const u = context.value(node.args[0] ?? bug("ssm without input"));
  const channels = channelsOf(u.type);
  const size = `d.B*${form.state * channels}`;
  const k = kernelBuilder("ssm_scaled", 64);
  const buffer = k.bind(context.entry === "whole" ? context.temp(size) : context.state(id, size), "read_write");
  const i = k.let("i", flatLane(64));
  k.if(lt(i, mul(dim("B"), channels)), () => {
    const [b, h] = [k.let("b", div(i, channels)), k.let("h", mod(i, channels))];
    const stateAt = (n: KExpr): KExpr => add(mul(add(mul(b, form.state), n), channels), h);
    const step = (l: KExpr, position: KExpr): void => {
      const result = (c: KExpr, x: KExpr): void => {
        const at: Coords = { b, l, c: add(mul(h, form.state), c) };
        write(k, context.result(id), at, applyPost(k, node, [x], at, context));
      };
      emitStep(k, form, { buffer, stateAt, position, input: read(k, u, { b, c: h, l }) }, result);
    };
    if (context.entry === "step") step(dim("t"), dim("pos"));
    else k.for("l", 0, dim("L"), (l) => step(l, add(dim("pos"), l)));
  });
  const steps = context.entry === "step" ? "1" : "d.L";
  const count = elements(node.type, context.entry);
  const own = `4*${count}+${postBytes(node, context.entry, context)}+4*${elements(u.type, context.entry)}`;
  context.emit({
    built: k.finish(),
    grid: flatGrid(groupsOf(`d.B*${channels}`, 64)),
    cost: {
      flops: `${18 + flopsOf(node.post)}*${count}`,
      bytes: `${own}+8*${size}*${steps}`,
      minimum: `${own}+8*${size}`,
      serial: `${form.state}*${steps}`,
    },
  });
}

interface StepPlace {
  readonly buffer: string;
  readonly stateAt: (n: KExpr) => KExpr;
  /** Steps before this one. */
  readonly position: KExpr;
  readonly input: KExpr;
}

/** One step of one channel; at the first of a stream the state is zero, whatever the buffer holds. */
function emitStep(
  k: KernelBuilder,
  { state, alpha }: ScaledForm,
  { buffer, stateAt, position, input }: StepPlace,
  result: (n: KExpr, x: KExpr) => void,
): void {
  const first = k.let("first", eq(position, 0));
  const inverse = k.let("step", div(f32(1), float(add(position, 1))));
  const u = k.let("u", input);
  const [old, fresh] = [k.var("old", f32(0)), k.var("fresh", f32(0))];
  k.for("n", 0, state, (n) => {
    const y = k.let("y", select(first, f32(0), k.load(buffer, stateAt(n))));
    const order = k.let("order", float(add(n, 1)));
    const weight = k.let("weight", float(add(mul(n, 2), 1)));
    const explicit = mul(fma(order, y, old), 1 - alpha);
    const slope = k.let("slope", sub(sub(u, explicit), mul(fresh, alpha)));
    const next = k.let("next", div(fma(inverse, slope, y), fma(mul(inverse, order), f32(alpha), f32(1))));
    k.assign(old, fma(weight, y, old));
    k.assign(fresh, fma(weight, next, fresh));
    k.store(buffer, stateAt(n), next);
    result(n, mul(unary("sqrt", weight), next));
  });
}

/** The modes are those of time-invariant systems; this one runs beside them as it is, and alone it is a scan. */
const besideOthers = ({ graph }: LowerContext): boolean => graph.nodes.some((n) => n.op === "ssm" && n.form.stage === "discrete");

export const ssmScaled: Schedule = schedule<SsmNode>({
  name: "ssm-scaled",
  doc: "a lane a channel, its steps and states one after the other",
  op: "ssm",
  applies: (node, _, context) =>
    node.form.stage === "scaled" && (context.entry === "step" || context.mode === "scan" || besideOthers(context)),
  lower,
});
