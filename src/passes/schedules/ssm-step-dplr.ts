/** One recurrence step of a system of normal plus low rank, state in place: a lane a channel. */
import type { SsmNode, ValueId } from "../../ir/graph.ts";
import { dim, div, fma, kernelBuilder, lt, mod, mul } from "./kit.ts";
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
import { dplrStepFlops, dplrTableBytes, emitDplrStep } from "./ssm-dplr.ts";
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

export const ssmStepDplr: Schedule = schedule<SsmNode>({
  name: "ssm-step-dplr",
  doc: "a lane a channel, its states twice: for the low rank, then to advance",
  op: "ssm",
  applies: (node, _, context) => context.entry === "step" && node.form.stage === "discrete" && node.form.structure === "dplr",
  lower,
});
