/**
 * The state around a convolution: the response of the state a stream arrives with (before the convolution, which adds
 * it), and the state it leaves with (after). Not a schedule of its own; `ssm-convolution.ts` uses it when resuming.
 */
import type { ValueId } from "../../ir/graph.ts";
import { add, cmul, dim, div, f32, fma, group, kernelBuilder, lane, lt, mod, mul } from "./kit.ts";
import { type Lti, stateOf } from "./lti.ts";
import { emitBlockCarry } from "./ssm-carry-blocks.ts";
import { advance, assignState, loadPole, loadState, statePlace, stateVariables, stepFlops, storeState } from "./ssm-state.ts";
import { flatGrid, flatLane, groupsOf, type LowerContext, read } from "./schedule.ts";
import { channelsSeen, rowsSeen } from "./traffic.ts";

export interface Carry {
  /** `[B H P L]`: y_l = C Abar^(l+1) x. */
  readonly response: number;
  /** Emits what must come after the convolution. */
  readonly finish: () => void;
}

export function emitCarry(id: ValueId, lti: Lti, context: LowerContext): Carry {
  const state = stateOf(id, lti, context);
  const response = context.temp(`d.B*${lti.channels * lti.outputs}*d.L`);
  if (lti.structure !== "diagonal") {
    emitBlockCarry(lti, context, state, response);
    return { response, finish: () => undefined };
  }
  emitResponse(lti, context, state, response);
  return { response, finish: () => emitFinalState(lti, context, state) };
}

function emitResponse(lti: Lti, context: LowerContext, state: number, response: number): void {
  const k = kernelBuilder("ssm_response", 64);
  const [left, right, x, out] = [k.bind(lti.left), k.bind(lti.right), k.bind(state), k.bind(response, "read_write")];
  const l = k.let("l", add(mul(group(0), 64), lane));
  const [h, b] = [group(1), group(2)];
  k.if(lt(l, dim("L")), () => {
    const leftBase = k.let("left_base", add(mul(h, lti.components * lti.block), mod(l, lti.block)));
    const rightBase = k.let("right_base", mul(add(mul(h, lti.blocks), div(l, lti.block)), lti.components));
    const sum = k.var("sum", f32(0));
    k.for("n", 0, lti.states, (n) => {
      const pole = loadPole(k, lti, n, h);
      const first = advance(k, pole, k.letComplex("x", loadState(k, lti, x, statePlace(k, lti, b, n, h))), { re: f32(0), im: f32(0) });
      const m = k.let("m", mul(n, 2));
      const jump = k.letComplex("jump", { re: k.load(right, add(rightBase, m)), im: k.load(right, add(rightBase, add(m, 1))) });
      const z = k.letComplex("z", cmul(jump, first));
      const row = k.let("row", add(leftBase, mul(m, lti.block)));
      k.assign(sum, add(sum, fma(k.load(left, row), z.re, mul(k.load(left, add(row, lti.block)), z.im))));
    });
    k.store(out, add(mul(add(mul(b, lti.channels), h), dim("L")), l), sum);
  });
  const tables = `${4 * lti.channels * lti.components}*(Math.min(d.L,${lti.block})+Math.ceil(d.L/${lti.block})+3)`;
  const own = `d.B*${lti.channels}*(4*d.L+${4 * lti.components})`;
  context.emit({
    built: k.finish(),
    grid: [groupsOf("d.L", 64), lti.channels, "d.B"],
    cost: {
      flops: `${24 * lti.states * lti.channels}*d.B*d.L`,
      bytes: `d.B*${lti.channels}*(${4 + 4 * lti.components}*d.L+${20 * lti.components}*Math.ceil(d.L/64))`,
      minimum: `${own}+${tables}`,
      serial: lti.states,
    },
  });
}

/** x <- Abar^L x + sum_j Abar^(L-1-j) u_j, by Horner's rule: one lane a stored state. */
function emitFinalState(lti: Lti, context: LowerContext, state: number): void {
  const k = kernelBuilder("ssm_final_state", 64);
  const buffer = k.bind(state, "read_write");
  const i = k.let("i", flatLane(64));
  const perSequence = lti.channels * lti.states;
  k.if(lt(i, mul(dim("B"), perSequence)), () => {
    const b = k.let("b", div(i, perSequence));
    const rest = k.let("rest", mod(i, perSequence));
    const h = k.let("h", div(rest, lti.states));
    const n = k.let("n", mod(rest, lti.states));
    const pole = loadPole(k, lti, n, h);
    const place = statePlace(k, lti, b, n, h);
    const x = stateVariables(k, lti, loadState(k, lti, buffer, place));
    k.for("l", 0, dim("L"), (l) => {
      assignState(k, x, advance(k, pole, x, { re: k.let("u", read(k, lti.u, { b, c: h, l })), im: f32(0) }));
    });
    storeState(k, lti, buffer, place, x);
  });
  const states = `${8 * lti.kept * lti.channels}*d.B`;
  context.emit({
    built: k.finish(),
    grid: flatGrid(groupsOf(`d.B*${perSequence}`, 64)),
    cost: {
      flops: `${(stepFlops(lti) - 4) * perSequence}*d.B*d.L`,
      bytes: `${states}+4*d.L*${rowsSeen(`d.B*${lti.channels}`, lti.states)}+24*${channelsSeen(`d.B*${perSequence}`, perSequence)}`,
      minimum: `${states}+4*d.L*d.B*${lti.channels}+${24 * perSequence}`,
      serial: "d.L",
    },
  });
}
