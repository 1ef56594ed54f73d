/** One recurrence step of a time-invariant system, state in place. Diagonal: a lane a channel. Dense: a workgroup a channel. */
import type { SsmNode, ValueId } from "../../ir/graph.ts";
import {
  advance,
  denseRow,
  denseTable,
  loadPole,
  loadState,
  type State,
  stateIndex,
  statePlace,
  stepFlops,
  storeState,
} from "./ssm-state.ts";
import { dim, div, f32, fma, group, kernelBuilder, type KExpr, lane, lt, mod, mul, sub, add, u32 } from "./kit.ts";
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
import { channelsSeen } from "./traffic.ts";

function lowerDiagonal(node: SsmNode, id: ValueId, context: LowerContext): void {
  const lti = ltiOf(node, context);
  const k = kernelBuilder("ssm_step", 64);
  const buffer = k.bind(stateOf(id, lti, context), "read_write");
  const i = k.let("i", flatLane(64));
  k.if(lt(i, mul(dim("B"), lti.channels)), () => {
    const at = { b: k.let("b", div(i, lti.channels)), c: k.let("h", mod(i, lti.channels)), l: dim("t") };
    const u = k.let("u", read(k, lti.u, at));
    const sum = k.var("sum", mul(k.load(k.bind(lti.skip), at.c), u));
    k.for("n", 0, lti.states, (n) => {
      const pole = loadPole(k, lti, n, at.c);
      const place = statePlace(k, lti, at.b, n, at.c);
      const held = loadState(k, lti, buffer, place);
      const x: State = { ...held, ...k.letComplex("x", held) };
      const next = advance(k, pole, x, { re: u, im: f32(0) });
      storeState(k, lti, buffer, place, next);
      k.assign(sum, sub(fma(pole.gain.re, next.re, sum), mul(pole.gain.im, next.im)));
    });
    write(k, context.result(id), at, applyPost(k, node, [sum], at, context));
  });
  const own = `d.B*${lti.channels}*${8 + 8 * lti.kept}+${postBytes(node, context.entry, context)}`;
  const poles = 24 * lti.states * lti.channels + 4 * lti.channels;
  context.emit({
    built: k.finish(),
    grid: flatGrid(groupsOf(`d.B*${lti.channels}`, 64)),
    cost: {
      flops: `d.B*${lti.channels}*${stepFlops(lti) * lti.states + 2 + flopsOf(node.post)}`,
      bytes: `${own}+${24 * lti.states + 4}*${channelsSeen(`d.B*${lti.channels}`, lti.channels)}`,
      minimum: `${own}+${poles}`,
      serial: lti.states,
    },
  });
}

function lowerDense(node: SsmNode, id: ValueId, context: LowerContext): void {
  const lti = ltiOf(node, context);
  const { states: n, outputs } = lti;
  const k = kernelBuilder("ssm_step_dense", 64);
  const buffer = k.bind(stateOf(id, lti, context), "read_write");
  const at = { b: group(1), c: group(0), l: dim("t") };
  const table = denseTable(k, lti, at.c);
  const old = k.shared("old", n);
  const fresh = k.shared("fresh", n);
  const everyState = (body: (m: KExpr) => void): void => k.for("m", lane, n, body, 64);
  const u = k.let("u", read(k, lti.u, at));
  everyState((m) => k.storeShared(old, m, k.load(buffer, stateIndex(lti, at.b, m, at.c))));
  k.barrier();
  everyState((m) => {
    const value = k.let("next", add(denseRow(k, lti, table, old, u32(0), m), mul(table.input(m), u)));
    k.store(buffer, stateIndex(lti, at.b, m, at.c), value);
    k.storeShared(fresh, m, value);
  });
  k.barrier();
  k.for(
    "p",
    lane,
    outputs,
    (p) => {
      const own = { ...at, c: k.let("c", add(mul(at.c, outputs), p)) };
      const skip = k.load(k.bind(lti.skip), add(mul(mul(at.c, lti.headStride), outputs), p));
      const sum = k.var("sum", mul(skip, u));
      k.for("m", 0, n, (m) => k.assign(sum, fma(table.output(p, m), k.loadShared(fresh, m), sum)));
      write(k, context.result(id), own, applyPost(k, node, [sum], own, context));
    },
    64,
  );
  const own = `d.B*${lti.channels}*${4 + 4 * outputs + 8 * n}+${postBytes(node, context.entry, context)}`;
  const tableBytes = 4 * n * (2 * n + 1 + outputs) + 4 * outputs;
  context.emit({
    built: k.finish(),
    grid: [lti.channels, "d.B", 1],
    cost: {
      flops: `d.B*${lti.channels}*${4 * n * n + 2 * n + (2 * n + flopsOf(node.post)) * outputs}`,
      bytes: `${own}+${tableBytes * lti.channels}*d.B`,
      minimum: `${own}+${tableBytes * (lti.headStride === 1 ? lti.channels : 1)}`,
      serial: n,
    },
  });
}

export const ssmStep: Schedule = schedule<SsmNode>({
  name: "ssm-step",
  doc: "a lane a channel, its states one after the other",
  op: "ssm",
  applies: (node, _, context) => context.entry === "step" && node.form.stage === "discrete" && node.form.structure === "diagonal",
  lower: lowerDiagonal,
});

export const ssmStepDense: Schedule = schedule<SsmNode>({
  name: "ssm-step-dense",
  doc: "a workgroup a channel, a lane a row of Abar, then an output",
  op: "ssm",
  applies: (node, _, context) => context.entry === "step" && node.form.stage === "discrete" && node.form.structure === "dense",
  lower: lowerDense,
});
