/**
 * HiPPO-LegS as it varies in time; the algebra is in `ir/scaled-legs.ts`: a step is two sums along the states. Two ways:
 *
 * - walking: a lane a channel, steps and states one after the other; the state lies in device memory, where each lane reads
 *   what it wrote itself. One step, adapters whose barriers are slow, and states too many for a workgroup.
 * - skewed: a lane a state, which keeps it in a register. Lane n is one step behind lane n - 1 and takes the sums from it,
 *   so that L steps take L + N rounds of one barrier.
 */
import { bug } from "../../ir/error.ts";
import type { SsmForm, SsmNode, ValueId } from "../../ir/graph.ts";
import {
  add,
  and,
  dim,
  div,
  eq,
  f32,
  float,
  fma,
  group,
  gt,
  type KernelBuilder,
  kernelBuilder,
  type KExpr,
  lane,
  lt,
  max,
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
  type DispatchSpec,
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
  type Size,
  type ValueRef,
  write,
} from "./schedule.ts";

type ScaledForm = Extract<SsmForm, { stage: "scaled" }>;

/** Lanes of a workgroup that is skewed: several channels where states are few. */
const lanesWanted = 64;
/** The most lanes a workgroup has on every device. */
const mostLanes = 256;
/** Adapters whose lanes run one after the other switch between them at every barrier. */
const cheapBarriers = "d.W>=64";

interface Job {
  readonly node: SsmNode;
  readonly id: ValueId;
  readonly form: ScaledForm;
  readonly u: ValueRef;
  readonly channels: number;
  readonly context: LowerContext;
}

function lower(node: SsmNode, id: ValueId, context: LowerContext): void {
  if (node.form.stage !== "scaled") return bug("the schedule of scaled systems was given another");
  const u = context.value(node.args[0] ?? bug("ssm without input"));
  const job: Job = { node, id, form: node.form, u, channels: channelsOf(u.type), context };
  const skewed = context.entry !== "step" && node.form.state <= mostLanes;
  emitWalking(job, skewed ? `!(${cheapBarriers})` : undefined);
  if (skewed) emitSkewed(job);
}

/** Elements of the state of all channels, `[B][N][H]`. */
const stateSize = ({ form, channels }: Job): string => `d.B*${form.state * channels}`;
const stateIndex = ({ form, channels }: Job, b: KExpr, n: KExpr, h: KExpr): KExpr => add(mul(add(mul(b, form.state), n), channels), h);

function writeResult(k: KernelBuilder, { node, id, form, context }: Job, { b, l, c }: Coords, n: KExpr, x: KExpr): void {
  const at: Coords = { b, l, c: k.let("c", add(mul(c, form.state), n)) };
  write(k, context.result(id), at, applyPost(k, node, [x], at, context));
}

/** What a step of state n reads: 1/k, n + 1 and 2n + 1, the state and the input before it, the sums over the states below. */
interface StepValues {
  readonly inverse: KExpr;
  readonly order: KExpr;
  readonly y: KExpr;
  readonly u: KExpr;
  readonly old: KExpr;
  readonly fresh: KExpr;
}

/** y at this step. */
function nextState(k: KernelBuilder, alpha: number, { inverse, order, y, u, old, fresh }: StepValues): KExpr {
  const explicit = mul(fma(order, y, old), 1 - alpha);
  const slope = k.let("slope", sub(sub(u, explicit), mul(fresh, alpha)));
  return k.let("next", div(fma(inverse, slope, y), fma(mul(inverse, order), f32(alpha), f32(1))));
}

/** 1/k at the step behind `position` others. */
const stepSize = (position: KExpr): KExpr => div(f32(1), float(add(position, 1)));

function emitWalking(job: Job, when: string | undefined): void {
  const { form, u: input, channels, context } = job;
  const k = kernelBuilder("ssm_scaled", 64);
  const whole = context.entry === "whole";
  const buffer = k.bind(whole ? context.temp(stateSize(job)) : context.state(job.id, stateSize(job)), "read_write");
  const i = k.let("i", flatLane(64));
  k.if(lt(i, mul(dim("B"), channels)), () => {
    const [b, h] = [k.let("b", div(i, channels)), k.let("h", mod(i, channels))];
    const step = (l: KExpr, position: KExpr): void => {
      const first = k.let("first", eq(position, 0));
      const inverse = k.let("step", stepSize(position));
      const u = k.let("u", read(k, input, { b, c: h, l }));
      const [old, fresh] = [k.var("old", f32(0)), k.var("fresh", f32(0))];
      k.for("n", 0, form.state, (n) => {
        const place = k.let("place", stateIndex(job, b, n, h));
        const y = k.let("y", select(first, f32(0), k.load(buffer, place)));
        const weight = k.let("weight", float(add(mul(n, 2), 1)));
        const next = nextState(k, form.alpha, { inverse, order: k.let("order", float(add(n, 1))), y, u, old, fresh });
        k.assign(old, fma(weight, y, old));
        k.assign(fresh, fma(weight, next, fresh));
        k.store(buffer, place, next);
        writeResult(k, job, { b, l, c: h }, n, mul(unary("sqrt", weight), next));
      });
    };
    if (context.entry === "step") step(dim("t"), dim("pos"));
    else k.for("l", 0, dim("L"), (l) => step(l, add(dim("pos"), l)));
  });
  emitJob(job, k, flatGrid(groupsOf(`d.B*${channels}`, 64)), context.entry === "step" ? form.state : `${form.state}*d.L`, when);
}

function emitSkewed(job: Job): void {
  const { form, u: input, channels, context } = job;
  const N = form.state;
  const heads = Math.max(1, Math.min(channels, Math.floor(lanesWanted / N)));
  const lanes = heads * N;
  const k = kernelBuilder("ssm_scaled_skewed", lanes);
  const buffer = context.entry === "resume" ? k.bind(context.state(job.id, stateSize(job)), "read_write") : undefined;
  const passed = k.shared("passed", 4 * lanes);
  const b = group(1);
  const n = k.let("n", mod(lane, N));
  const h = k.let("h", add(mul(group(0), heads), div(lane, N)));
  const live = k.let("live", lt(h, channels));
  const [order, weight] = [k.let("order", float(add(n, 1))), k.let("weight", float(add(mul(n, 2), 1)))];
  const root = k.let("root", unary("sqrt", weight));
  const y = k.var("y", f32(0));
  if (buffer !== undefined) k.if(and(live, gt(dim("pos"), 0)), () => k.assign(y, k.load(buffer, stateIndex(job, b, n, h))));
  k.for("round", 0, add(dim("L"), N - 1), (round) => {
    const l = k.let("l", sub(round, n));
    // Before its first step a lane's l wraps around to more than any length.
    k.if(and(lt(l, dim("L")), live), () => {
      const from = k.let("from", add(mul(2 * lanes, mod(add(round, 1), 2)), sub(max(lane, 1), 1)));
      const to = k.let("to", add(mul(2 * lanes, mod(round, 2)), lane));
      const below = (place: KExpr): KExpr => select(eq(n, 0), f32(0), k.loadShared(passed, place));
      const [old, fresh] = [k.let("old", below(from)), k.let("fresh", below(add(from, lanes)))];
      const inverse = k.let("step", stepSize(add(dim("pos"), l)));
      const u = k.let("u", read(k, input, { b, c: h, l }));
      const next = nextState(k, form.alpha, { inverse, order, y, u, old, fresh });
      k.storeShared(passed, to, fma(weight, y, old));
      k.storeShared(passed, add(to, lanes), fma(weight, next, fresh));
      k.assign(y, next);
      writeResult(k, job, { b, l, c: h }, n, mul(root, next));
    });
    k.barrier();
  });
  if (buffer !== undefined) k.if(live, () => k.store(buffer, stateIndex(job, b, n, h), y));
  emitJob(job, k, [Math.ceil(channels / heads), "d.B", 1], `d.L+${N}`, cheapBarriers);
}

function emitJob(job: Job, k: KernelBuilder, grid: DispatchSpec["grid"], serial: Size, when: string | undefined): void {
  const { node, u, context } = job;
  const count = elements(node.type, context.entry);
  const state = context.entry === "whole" && when === cheapBarriers ? "0" : `8*${stateSize(job)}`;
  const bytes = `4*${count}+${postBytes(node, context.entry, context)}+4*${elements(u.type, context.entry)}+${state}`;
  context.emit({
    built: k.finish(),
    grid,
    cost: { flops: `${18 + flopsOf(node.post)}*${count}`, bytes, minimum: bytes, serial },
    ...(when === undefined ? {} : { when }),
  });
}

/** The modes are those of time-invariant systems; this one runs beside them as it is, and alone it is a scan. */
const besideOthers = ({ graph }: LowerContext): boolean => graph.nodes.some((n) => n.op === "ssm" && n.form.stage === "discrete");

export const ssmScaled: Schedule = schedule<SsmNode>({
  name: "ssm-scaled",
  doc: "a lane a state, each one step behind the one below; or a lane a channel, its steps and states one after the other",
  op: "ssm",
  applies: (node, _, context) =>
    node.form.stage === "scaled" && (context.entry === "step" || context.mode === "scan" || besideOthers(context)),
  lower,
});
