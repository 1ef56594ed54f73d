/**
 * The state around a convolution of a system whose states are coupled (dense, or normal plus low rank), by the blocks of its
 * tables: what each block's input adds to the state, then one product with Abar^block a block, then the steps left over; and
 * the response of the state the stream arrived with, from where each block starts. Not a schedule of its own.
 */
import { bug } from "../../ir/error.ts";
import {
  add,
  dim,
  div,
  eq,
  f32,
  fma,
  group,
  kernelBuilder,
  type KernelBuilder,
  type KExpr,
  lane,
  lt,
  mod,
  mul,
  select,
  sub,
  u32,
} from "./kit.ts";
import { type Lti, outputOf } from "./lti.ts";
import { groupsOf, type LowerContext, read } from "./schedule.ts";
import { lostOffset, stateIndex } from "./ssm-state.ts";
import { denseStepper, dplrStepper, every, lanes, type Stepper } from "./ssm-stepper.ts";

/** Whole blocks of a push, and the steps after them. */
const blocksOf = (lti: Lti): string => `Math.floor(d.L/${lti.block})`;

export function emitBlockCarry(lti: Lti, context: LowerContext, state: number, response: number): void {
  const rows = `d.B*${lti.channels}*${lti.components}`;
  const driven = context.temp(`Math.max(1,${rows}*${blocksOf(lti)})`);
  const free = context.temp(`${rows}*(${blocksOf(lti)}+1)`);
  emitBlockInputs(lti, context, driven);
  emitBlockStates(lti, context, state, driven, free);
  emitBlockResponse(lti, context, free, response);
}

/** `[B H J S]`: what the inputs of block j alone leave in the state. */
function emitBlockInputs(lti: Lti, context: LowerContext, out: number): void {
  const { components, block, channels } = lti;
  const k = kernelBuilder("ssm_block_inputs", lanes);
  const [table, to] = [k.bind(lti.jumps?.inputs ?? bug("no jumps")), k.bind(out, "read_write")];
  const [j, h, b] = [group(0), group(1), group(2)];
  const head = k.let("head", mul(mul(h, lti.headStride), block * components));
  const blocks = k.let("blocks", div(dim("L"), block));
  const last = k.let("last", add(mul(j, block), block - 1));
  every(k, components, (m) => {
    const sum = k.var("sum", f32(0));
    k.for("i", 0, block, (i) =>
      k.assign(sum, fma(k.load(table, add(head, add(mul(i, components), m))), read(k, lti.u, { b, c: h, l: sub(last, i) }), sum)),
    );
    k.store(to, add(mul(add(mul(add(mul(b, channels), h), blocks), j), components), m), sum);
  });
  const [groups, J] = [`d.B*${channels}*${blocksOf(lti)}`, blocksOf(lti)];
  const moved = `4*${groups}*${components + block}`;
  const tables = 4 * block * components;
  context.emit({
    built: k.finish(),
    grid: [`Math.max(1,${J})`, channels, "d.B"],
    when: `d.L>=${block}`,
    cost: {
      flops: `${2 * components * block}*${groups}`,
      bytes: `${moved}+${tables}*${groups}`,
      minimum: `${moved}+${tables * (lti.headStride === 1 ? channels : 1)}`,
      serial: block,
    },
  });
}

/** Walks the blocks: the driven state in place, the free state at the start of each block (one step on) to `[B H J+1 S]`. */
function emitBlockStates(lti: Lti, context: LowerContext, state: number, driven: number, free: number): void {
  const { components: S, block, channels } = lti;
  const k = kernelBuilder("ssm_block_states", lanes);
  const [buffer, out] = [k.bind(state, "read_write"), k.bind(free, "read_write")];
  const [added, jump] = [k.bind(driven), k.bind(lti.jumps?.jump ?? bug("no jumps"))];
  const [h, b] = [group(0), group(1)];
  const stepper = lti.structure === "dense" ? denseStepper(k, lti, h) : dplrStepper(k, lti, h);
  const [x, f] = [k.shared("x", 2 * S), k.shared("f", 2 * S)];
  const lost = lti.compensated ? k.shared("lost_parts", S) : undefined;
  const lostPlace = (m: KExpr): KExpr => add(stateIndex(lti, b, m, h), lostOffset(lti));
  const blocks = k.let("blocks", div(dim("L"), block));
  const sequence = k.let("sequence", add(mul(b, channels), h));
  every(k, S, (m) => {
    const value = k.let("value", k.load(buffer, stateIndex(lti, b, m, h)));
    k.storeShared(x, m, value);
    k.storeShared(f, add(m, S), value);
    // A product with a power rounds the state by itself: nothing of it is left over.
    if (lost !== undefined) k.storeShared(lost, m, select(eq(blocks, 0), k.load(buffer, lostPlace(m)), f32(0)));
  });
  k.barrier();
  stepper.step(f, u32(S), u32(0));
  const half = (i: KExpr): KExpr => mul(mod(i, 2), S);
  const keep = (j: KExpr): void =>
    every(k, S, (m) => k.store(out, add(mul(add(mul(sequence, add(blocks, 1)), j), S), m), k.loadShared(f, add(half(j), m))));
  const head = k.let("head_base", mul(mul(h, lti.headStride), S * S));
  k.for("j", 0, blocks, (j) => {
    keep(j);
    const [from, to] = [k.let("from", half(j)), k.let("to", half(add(j, 1)))];
    every(k, S, (m) => {
      const sum = k.var("sum", k.load(added, add(mul(add(mul(sequence, blocks), j), S), m)));
      const response = k.var("response", f32(0));
      k.for("column", 0, S, (column) => {
        const value = k.let("power", k.load(jump, add(head, add(mul(column, S), m))));
        k.assign(sum, fma(value, k.loadShared(x, add(from, column)), sum));
        k.assign(response, fma(value, k.loadShared(f, add(from, column)), response));
      });
      k.storeShared(x, add(to, m), sum);
      k.storeShared(f, add(to, m), response);
    });
    k.barrier();
  });
  keep(blocks);
  const left = k.let("left", sub(dim("L"), mul(blocks, block)));
  k.for("l", 0, left, (l) => {
    const at = k.let("at", add(blocks, l));
    const u = k.let("u", read(k, lti.u, { b, c: h, l: add(mul(blocks, block), l) }));
    stepper.step(x, half(at), half(add(at, 1)), u, lost);
  });
  const last = k.let("end", half(add(blocks, left)));
  every(k, S, (m) => {
    k.store(buffer, stateIndex(lti, b, m, h), k.loadShared(x, add(last, m)));
    if (lost !== undefined) k.store(buffer, lostPlace(m), k.loadShared(lost, m));
  });
  emitStatesCost(lti, context, stepper, k);
}

function emitStatesCost(lti: Lti, context: LowerContext, { flops, tableBytes }: Stepper, k: KernelBuilder): void {
  const { components: S, block, channels } = lti;
  const [J, left] = [blocksOf(lti), `(d.L%${block})`];
  const own = `d.B*${channels}*(${8 * lti.kept}+${4 * S}*(1+2*${J})+4*${left})`;
  const used = `(${tableBytes}+(${J}>0?${4 * S * S}:0))`;
  context.emit({
    built: k.finish(),
    grid: [channels, "d.B", 1],
    cost: {
      flops: `d.B*${channels}*(${4 * S * S}*${J}+${flops}*(${left}+1))`,
      bytes: `${own}+${used}*d.B*${channels}`,
      minimum: `${own}+${used}*${lti.headStride === 1 ? channels : 1}`,
      serial: `${S}*${J}+${lti.structure === "dense" ? S : lti.states}*(${left}+1)`,
    },
  });
}

/** `[B H P L]`: C Abar^(l+1) x of the state the stream arrived with. */
function emitBlockResponse(lti: Lti, context: LowerContext, free: number, response: number): void {
  const { components: S, block, outputs } = lti;
  const channels = lti.channels * outputs;
  const k = kernelBuilder("ssm_block_response", lanes);
  const [left, states, out] = [k.bind(lti.left), k.bind(free), k.bind(response, "read_write")];
  const l = k.let("l", add(mul(group(0), lanes), lane));
  const [h, b] = [group(1), group(2)];
  k.if(lt(l, dim("L")), () => {
    const sequence = k.let("sequence", add(mul(b, channels), h));
    const blocks = k.let("blocks", add(div(dim("L"), block), 1));
    const start = k.let("start", mul(add(mul(div(sequence, outputs), blocks), div(l, block)), S));
    const row = k.let("row", add(mul(outputOf(k, lti, h).row, S * block), mod(l, block)));
    const sum = k.var("sum", f32(0));
    k.for("m", 0, S, (m) => k.assign(sum, fma(k.load(left, add(row, mul(m, block))), k.load(states, add(start, m)), sum)));
    k.store(out, add(mul(sequence, dim("L")), l), sum);
  });
  const used = `Math.ceil(d.L/${block})`;
  const own = `d.B*(${4 * channels}*d.L+${4 * S * lti.channels}*${used})`;
  const table = `${4 * S}*Math.min(d.L,${block})`;
  context.emit({
    built: k.finish(),
    grid: [groupsOf("d.L", lanes), channels, "d.B"],
    cost: {
      flops: `${2 * S * channels}*d.B*d.L`,
      bytes: `d.B*${channels}*(${4 + 4 * S}*d.L+${4 * S}*Math.ceil(d.L/${lanes}))`,
      minimum: `${own}+${table}*${lti.headStride === 1 ? channels : outputs}`,
      serial: S,
    },
  });
}
