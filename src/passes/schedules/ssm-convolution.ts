/**
 * Convolution mode of a time-invariant state space model. A resumed stream adds the response of its state, and leaves the
 * final state behind (`ssm-carry.ts`).
 */
import type { SsmNode } from "../../ir/graph.ts";
import { emitConvolution } from "./convolution.ts";
import { convolutionKernel, ltiOf } from "./lti.ts";
import { div, type KExpr } from "./kit.ts";
import { schedule, type Schedule } from "./schedule.ts";
import { emitCarry } from "./ssm-carry.ts";

export const ssmConvolution: Schedule = schedule<SsmNode>({
  name: "ssm-convolution",
  doc: "direct sums, or an FFT in one dispatch, or one in three, by length and workgroup memory",
  op: "ssm",
  applies: (node, _, context) => context.mode === "convolution" && context.entry !== "step" && node.form.stage === "discrete",
  lower: (node, id, context) => {
    const lti = ltiOf(node, context);
    const carry = context.entry === "resume" ? emitCarry(id, lti, context) : undefined;
    const taps = convolutionKernel(id, lti, context);
    const u = lti.outputs === 1 ? lti.u : { ...lti.u, place: (c: KExpr) => lti.u.place(div(c, lti.outputs)) };
    emitConvolution({ node, id, channels: lti.channels * lti.outputs, u, taps, context, response: carry?.response });
    carry?.finish();
  },
});
