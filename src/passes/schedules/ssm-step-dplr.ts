/** One recurrence step of a system of normal plus low rank, state in place: a lane a channel, or a workgroup where each has several outputs. */
import type { SsmNode, ValueId } from "../../ir/graph.ts";
import { add, dim, div, f32, fma, group, kernelBuilder, type KExpr, lt, mod, mul, u32 } from "./kit.ts";
import { ltiOf, stateOf } from "./lti.ts";
import {
  applyPost,
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
import { dplrStepFlops, dplrTableBytes, emitDplrStep, outputEntry, realProduct } from "./ssm-dplr.ts";
import { lostOffset, stateIndex } from "./ssm-state.ts";
import { dplrStepper, every, lanes } from "./ssm-stepper.ts";
import { channelsSeen } from "./traffic.ts";

function lower(node: SsmNode, id: ValueId, context: LowerContext): void {
  const lti = ltiOf(node, context);
  const k = kernelBuilder("ssm_step_dplr", 64);
  const buffer = k.bind(stateOf(id, lti, context), "read_write");
  const i = k.let("i", flatLane(64));
  k.if(lt(i, mul(dim("B"), lti.channels)), () => {
    const at = { b: k.let("b", div(i, lti.channels)), c: k.let("h", mod(i, lti.channels)), l: dim("t") };
    const u = k.let("u", read(k, lti.u, at));
    const y = emitDplrStep(k, lti, buffer, at.b, at.c, u);
    const result = k.let("y", fma(k.load(k.bind(lti.skip), at.c), u, y));
    write(k, context.result(id), at, applyPost(k, node, [result], at, context));
  });
  const own = `d.B*${lti.channels}*${8 + 8 * lti.kept}+${postBytes(node, context.entry, context)}`;
  const table = dplrTableBytes(lti) + 4;
  context.emit({
    built: k.finish(),
    grid: flatGrid(groupsOf(`d.B*${lti.channels}`, 64)),
    cost: {
      flops: `d.B*${lti.channels}*${dplrStepFlops(lti) + 2 + flopsOf(node.post)}`,
      bytes: `${own}+${table}*${channelsSeen(`d.B*${lti.channels}`, lti.channels)}`,
      minimum: `${own}+${table * lti.channels}`,
      serial: 2 * lti.states,
    },
  });
}

function lowerOutputs(node: SsmNode, id: ValueId, context: LowerContext): void {
  const lti = ltiOf(node, context);
  const { components: S, outputs } = lti;
  const k = kernelBuilder("ssm_step_dplr_outputs", lanes);
  const buffer = k.bind(stateOf(id, lti, context), "read_write");
  const [h, b] = [group(0), group(1)];
  const x = k.shared("x", 2 * S);
  const lost = lti.compensated ? k.shared("lost_parts", S) : undefined;
  const place = (m: KExpr): KExpr => stateIndex(lti, b, m, h);
  const u = k.let("u", read(k, lti.u, { b, c: h, l: dim("t") }));
  const stepper = dplrStepper(k, lti, h);
  every(k, S, (m) => {
    k.storeShared(x, m, k.load(buffer, place(m)));
    if (lost !== undefined) k.storeShared(lost, m, k.load(buffer, add(place(m), lostOffset(lti))));
  });
  k.barrier();
  stepper.step(x, u32(0), u32(S), u, lost);
  every(k, S, (m) => {
    k.store(buffer, place(m), k.loadShared(x, add(m, S)));
    if (lost !== undefined) k.store(buffer, add(place(m), lostOffset(lti)), k.loadShared(lost, m));
  });
  every(k, outputs, (p) => {
    const at = { b, c: k.let("c", add(mul(h, outputs), p)), l: dim("t") };
    const sum = k.var("sum", f32(0));
    k.for("n", 0, lti.states, (n) => {
      const state = { re: k.loadShared(x, add(mul(n, 2), S)), im: k.loadShared(x, add(mul(n, 2), S + 1)) };
      k.assign(sum, realProduct(k.letComplex("c", outputEntry(k, lti, p, n, h)), k.letComplex("state", state), sum));
    });
    const result = k.let("y", fma(k.load(k.bind(lti.skip), at.c), u, sum));
    write(k, context.result(id), at, applyPost(k, node, [result], at, context));
  });
  const own = `d.B*${lti.channels}*${4 + 4 * outputs + 8 * lti.kept}+${postBytes(node, context.entry, context)}`;
  const table = dplrTableBytes(lti) + 4 * outputs;
  context.emit({
    built: k.finish(),
    grid: [lti.channels, "d.B", 1],
    cost: {
      flops: `d.B*${lti.channels}*${stepper.flops + (4 * lti.states + 2 + flopsOf(node.post)) * outputs}`,
      bytes: `${own}+${table * lti.channels}*d.B`,
      minimum: `${own}+${table * lti.channels}`,
      serial: lti.states * (1 + Math.ceil(outputs / lanes)),
    },
  });
}

export const ssmStepDplr: Schedule = schedule<SsmNode>({
  name: "ssm-step-dplr",
  doc: "a lane a channel, its states twice: for the low rank, then to advance; with several outputs a workgroup, a lane a state, then an output",
  op: "ssm",
  applies: (node, _, context) => context.entry === "step" && node.form.stage === "discrete" && node.form.structure === "dplr",
  lower: (node, id, context) =>
    (node.form.stage === "discrete" && node.form.outputs !== undefined ? lowerOutputs : lower)(node, id, context),
});
