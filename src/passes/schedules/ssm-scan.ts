/**
 * Scan mode of a diagonal time-invariant system: a workgroup walks its channels' sequence in chunks and carries the state
 * in registers, a lane a stored state; per chunk the lanes leave their contributions in workgroup memory and then, a lane
 * a time step, sum them. States are never written to device memory, but for the last one of a resumed stream.
 */
import type { SsmNode, ValueId } from "../../ir/graph.ts";
import { advance, assignState, loadPole, loadState, statePlace, stateVariables, stepFlops, storeState } from "./ssm-state.ts";
import {
  add,
  and,
  dim,
  div,
  f32,
  fma,
  group,
  kernelBuilder,
  type KernelBuilder,
  type KExpr,
  lane,
  lt,
  min,
  mod,
  mul,
  sub,
  u32,
} from "./kit.ts";
import { type Lti, ltiOf, stateOf } from "./lti.ts";
import { applyPost, elements, flopsOf, type LowerContext, postBytes, read, schedule, type Schedule, write } from "./schedule.ts";

/** Lanes of a workgroup: several channels where states are few. */
function shapeFor(lti: Lti): { readonly heads: number; readonly lanes: number; readonly chunk: number } {
  const heads = Math.max(1, Math.min(lti.channels, Math.floor(64 / lti.states)));
  const lanes = heads * lti.states;
  return { heads, lanes, chunk: Math.min(32, lti.states < 8 ? 8 : lti.states) };
}

function lower(node: SsmNode, id: ValueId, context: LowerContext): void {
  const lti = ltiOf(node, context);
  const { heads, lanes, chunk } = shapeFor(lti);
  const state = context.entry === "resume" ? stateOf(id, lti, context) : undefined;
  const k = kernelBuilder("ssm_scan", lanes);
  const stateName = state === undefined ? undefined : k.bind(state, "read_write");
  const contributions = k.shared("contributions", chunk * (lanes + 1));
  const b = group(1);
  const n = k.let("n", mod(lane, lti.states));
  const channel = k.let("channel", add(mul(group(0), heads), div(lane, lti.states)));
  const h = k.let("h", min(channel, lti.channels - 1));
  const pole = loadPole(k, lti, n, h);
  const stored = stateName === undefined ? undefined : { buffer: stateName, place: statePlace(k, lti, b, n, h) };
  const x = stateVariables(k, lti, stored && loadState(k, lti, stored.buffer, stored.place));
  k.for(
    "first",
    0,
    dim("L"),
    (first) => {
      const count = k.let("count", min(u32(chunk), sub(dim("L"), first)));
      k.for("i", 0, count, (i) => {
        const next = advance(k, pole, x, { re: k.let("u", read(k, lti.u, { b, c: h, l: add(first, i) })), im: f32(0) });
        assignState(k, x, next);
        k.storeShared(contributions, fma(i, lanes + 1, lane), sub(mul(pole.gain.re, next.re), mul(pole.gain.im, next.im)));
      });
      k.barrier();
      k.for(
        "o",
        lane,
        mul(count, heads),
        (o) => emitOutput(k, node, id, lti, context, { o, count, first, b, heads, lanes, contributions }),
        lanes,
      );
      k.barrier();
    },
    chunk,
  );
  if (stored !== undefined) k.if(lt(channel, lti.channels), () => storeState(k, lti, stored.buffer, stored.place, x));
  const size = elements(node.type, context.entry);
  const own = `8*${size}+${state === undefined ? 0 : `d.B*${8 * lti.kept * lti.channels}`}+${postBytes(node, context.entry, context)}`;
  const poles = 24 * lti.states * lti.channels + 4 * lti.channels;
  context.emit({
    built: k.finish(),
    grid: [Math.ceil(lti.channels / heads), "d.B", 1],
    cost: {
      flops: `(${stepFlops(lti) * lti.states + 2 + flopsOf(node.post)})*${size}`,
      bytes: `${own}+${poles}*d.B`,
      minimum: `${own}+${poles}`,
      serial: "d.L",
    },
  });
}

interface OutputPlace {
  readonly o: KExpr;
  readonly count: KExpr;
  readonly first: KExpr;
  readonly b: KExpr;
  readonly heads: number;
  readonly lanes: number;
  readonly contributions: string;
}

/** Sums the contributions of one time step of one channel, adds d u, applies the epilogue. */
function emitOutput(k: KernelBuilder, node: SsmNode, id: ValueId, lti: Lti, context: LowerContext, place: OutputPlace): void {
  const head = k.let("own_head", div(place.o, place.count));
  const i = k.let("own_i", sub(place.o, mul(head, place.count)));
  const c = k.let("own_c", add(mul(group(0), place.heads), head));
  k.if(and(lt(c, lti.channels), lt(i, place.count)), () => {
    const at = { b: place.b, c, l: k.let("own_l", add(place.first, i)) };
    const sum = k.var("sum", mul(k.load(k.bind(lti.skip), mul(c, lti.headStride)), read(k, lti.u, at)));
    const base = k.let("base", add(mul(i, place.lanes + 1), mul(head, lti.states)));
    k.for("m", 0, lti.states, (m) => k.assign(sum, add(sum, k.loadShared(place.contributions, add(base, m)))));
    write(k, context.result(id), at, applyPost(k, node, [sum], at, context));
  });
}

export const ssmScan: Schedule = schedule<SsmNode>({
  name: "ssm-scan",
  doc: "chunks with the state carried in registers, a lane a stored state",
  op: "ssm",
  applies: (node, _, context) =>
    context.mode === "scan" &&
    context.entry !== "step" &&
    node.form.stage === "discrete" &&
    node.form.structure === "diagonal" &&
    node.form.state <= 256,
  lower,
});
