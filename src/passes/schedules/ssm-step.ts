/**
 * One recurrence step of a time-invariant system, state in place. Diagonal: lanes share the states of a channel, or on software adapters
 * and of few states a lane a channel. Dense: a workgroup a channel.
 */
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
import { add, and, dim, div, f32, fma, group, kernelBuilder, type KExpr, lane, lt, min, mod, mul, sub, u32 } from "./kit.ts";
import { ltiOf, stateOf } from "./lti.ts";
import {
  applyPost,
  flatGrid,
  flatGroup,
  flopsOf,
  groupsOf,
  type LowerContext,
  postBytes,
  read,
  schedule,
  type Schedule,
  write,
} from "./schedule.ts";
import { alone, oneAfterAnother, teamOf } from "./team.ts";
import { channelsSeen } from "./traffic.ts";

/** Channels of a workgroup, and the lanes that share the states of one. */
interface Shape {
  readonly channels: number;
  readonly parts: number;
}

/** Of teams: as few channels as are a sector of a cache line, and as many lanes as every device has. */
const most: Shape = { channels: 8, parts: 32 };
/** States that one lane may as well have by itself. */
const fewStates = 4;

function lowerShape(node: SsmNode, id: ValueId, context: LowerContext, { channels, parts }: Shape, when?: string): void {
  const lti = ltiOf(node, context);
  const single = parts === 1;
  const k = kernelBuilder(single ? "ssm_step" : "ssm_step_team", channels * parts);
  const buffer = k.bind(stateOf(id, lti, context), "read_write");
  const team = single ? alone : teamOf(k, channels, parts);
  const i = k.let("i", add(mul(flatGroup(), channels), single ? lane : mod(lane, channels)));
  const total = mul(dim("B"), lti.channels);
  const inside = lt(i, total);
  /** Lanes beyond the last channel have its numbers, and store none: they too reach the barrier. */
  const step = (own: KExpr, guarded: (store: () => void, first?: KExpr) => void): void => {
    const at = { b: k.let("b", div(own, lti.channels)), c: k.let("h", mod(own, lti.channels)), l: dim("t") };
    const u = k.let("u", read(k, lti.u, at));
    const sum = k.var("sum", f32(0));
    k.for(
      "n",
      team.part,
      lti.states,
      (n) => {
        const pole = loadPole(k, lti, n, at.c);
        const place = statePlace(k, lti, at.b, n, at.c);
        const held = loadState(k, lti, buffer, place);
        const x: State = { ...held, ...k.letComplex("x", held) };
        const next = advance(k, pole, x, { re: u, im: f32(0) });
        guarded(() => storeState(k, lti, buffer, place, next));
        k.assign(sum, sub(fma(pole.gain.re, next.re, sum), mul(pole.gain.im, next.im)));
      },
      parts,
    );
    const totals = team.gather([sum]);
    guarded(
      () => {
        const results = totals().map((y) => k.let("y", fma(k.load(k.bind(lti.skip), at.c), u, y)));
        write(k, context.result(id), at, applyPost(k, node, results, at, context));
      },
      lt(lane, channels),
    );
  };
  if (single) k.if(inside, () => step(i, (store) => store()));
  else step(k.let("own", min(i, sub(total, 1))), (store, first) => k.if(first === undefined ? inside : and(first, inside), store));
  const items = `d.B*${lti.channels}`;
  const own = `${items}*${8 + 8 * lti.kept}+${postBytes(node, context.entry, context)}`;
  const poles = 24 * lti.states * lti.channels + 4 * lti.channels;
  context.emit({
    built: k.finish(),
    grid: flatGrid(groupsOf(items, channels)),
    ...(when === undefined ? {} : { when }),
    cost: {
      flops: `${items}*${stepFlops(lti) * lti.states + 2 + flopsOf(node.post) + (single ? 0 : parts)}`,
      bytes: `${own}+${24 * lti.states + 4}*${channelsSeen(items, lti.channels, channels)}`,
      minimum: `${own}+${poles}`,
      serial: Math.ceil(lti.states / parts) + (single ? 0 : Math.ceil(parts / 4)),
    },
  });
}

function lowerDiagonal(node: SsmNode, id: ValueId, context: LowerContext): void {
  const single: Shape = { channels: 64, parts: 1 };
  const { states } = ltiOf(node, context);
  if (states <= fewStates) return lowerShape(node, id, context, single);
  lowerShape(node, id, context, { ...most, parts: Math.min(most.parts, states) }, `!(${oneAfterAnother})`);
  lowerShape(node, id, context, single, oneAfterAnother);
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
  doc: "lanes share the states of a channel; on software adapters, and of few states, a lane a channel",
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
