/**
 * Chunked mode of a selective recurrence with decays only: all chunks of a sequence run from zero at once, a short recurrence
 * joins their ends, and all run again from the states they start from. Three dispatches; the operands are read twice.
 */
import type { SsmNode, ValueId } from "../../ir/graph.ts";
import { add, dim, div, f32, fma, group, kernelBuilder, type KExpr, lane, lt, min, mod, mul, unary } from "./kit.ts";
import { flopsOf, groupsOf, type LowerContext, schedule, type Schedule } from "./schedule.ts";
import { lanesFor, writeResults } from "./selective-lanes.ts";
import {
  advance,
  bufferColumn,
  leastBytes,
  ownColumn,
  placeOf,
  rated,
  type Selective,
  selectiveOf,
  serialSteps,
  stateIndex,
  stepFlops,
  wordsSeen,
} from "./selective.ts";

/**
 * Time steps of a chunk: few keep more lanes busy for less long, many write fewer states. On an H100 512 columns take 76 us
 * with 32 at L = 1,024 and 131 us at 4,096; with 64 120 and 175, with 16 62 and 144.
 */
const steps = 32;
const chunks = `Math.ceil(d.L/${steps})`;
const chunksHere = (): KExpr => div(add(dim("L"), steps - 1), steps);

/** Where the ends of chunks are, `[B][chunks][N][H P]`, and their sums of decays, `[B][chunks][1 or N][H P]`. */
interface Ends {
  readonly ends: number;
  readonly sums: number;
}

function lower(node: SsmNode, id: ValueId, context: LowerContext): void {
  const s = selectiveOf(node, context);
  const { state: N } = s.form;
  const buffers: Ends = {
    ends: context.temp(`d.B*${chunks}*${N * s.columns}`),
    sums: context.temp(`d.B*${chunks}*${sumRows(s) * s.columns}`),
  };
  reduce(s, buffers, context);
  carry(s, id, buffers, context);
  apply(s, node, id, buffers, context);
}

const sumRows = (s: Selective): number => (s.rows("decay") ? s.form.state : 1);

/** Every chunk from zero, to its end. */
function reduce(s: Selective, { ends, sums }: Ends, context: LowerContext): void {
  const { state: N } = s.form;
  const lanes = lanesFor(s.columns);
  const k = kernelBuilder("selective_reduce", lanes);
  const [endsBuffer, sumsBuffer] = [k.bind(ends, "read_write"), k.bind(sums, "read_write")];
  const b = group(2);
  const chunk = group(1);
  const column = k.let("column", add(mul(group(0), lanes), lane));
  k.if(lt(column, s.columns), () => {
    const place = placeOf(k, s, column, true);
    const own = ownColumn(k, N);
    const total = sumRows(s) === 1 ? undefined : k.array("sum", N);
    const sum = total === undefined ? k.var("sum", f32(0)) : undefined;
    const onDecay = (decay: KExpr, n: KExpr): void => {
      if (sum !== undefined) k.assign(sum, add(sum, decay));
      else if (total !== undefined) k.storeElement(total, n, add(k.element(total, n), decay));
    };
    const begin = k.let("begin", mul(chunk, steps));
    const end = min(add(begin, steps), dim("L"));
    k.for("l", begin, end, (l) => void advance(k, s, { b, l }, { place, state: own }, { reads: false, onDecay }));
    const first = k.let("first", add(mul(b, chunksHere()), chunk));
    own.each((n) => k.store(endsBuffer, stateIndex(s, first, n, column), own.get(n)));
    if (sum !== undefined) k.store(sumsBuffer, add(mul(first, s.columns), column), sum);
    else if (total !== undefined) own.each((n) => k.store(sumsBuffer, stateIndex(s, first, n, column), k.element(total, n)));
  });
  const seen = wordsSeen(s, lanes, false);
  const written = 4 * (N + sumRows(s)) * s.columns;
  context.emit({
    built: k.finish(),
    grid: [groupsOf(s.columns, lanes), chunks, "d.B"],
    cost: {
      flops: `d.B*d.L*${s.columns * stepFlops(s, false)}`,
      bytes: `d.B*(${4 * seen.step}*d.L+${chunks}*${4 * seen.once + written})`,
      minimum: `d.B*(${4 * wordsSeen(s, s.columns, false).step}*d.L+${chunks}*${written})+${4 * wordsSeen(s, s.columns, false).once}`,
      serial: steps * serialSteps(s),
    },
  });
}

/** From the ends of chunks to the states they start from, in place, a lane a row of a column. */
function carry(s: Selective, id: ValueId, { ends, sums }: Ends, context: LowerContext): void {
  const { state: N } = s.form;
  const k = kernelBuilder("selective_carry", 64);
  const [endsBuffer, sumsBuffer] = [k.bind(ends, "read_write"), k.bind(sums)];
  const state = context.entry === "whole" ? undefined : k.bind(context.state(id, `d.B*${N * s.columns}`), "read_write");
  const b = group(1);
  const i = k.let("i", add(mul(group(0), 64), lane));
  k.if(lt(i, N * s.columns), () => {
    const [n, column] = [k.let("n", div(i, s.columns)), k.let("column", mod(i, s.columns))];
    const place = placeOf(k, s, column, false);
    const kept = stateIndex(s, b, n, column);
    const carried = k.var("carried", state === undefined ? f32(0) : k.load(state, kept));
    k.for("chunk", 0, chunksHere(), (chunk) => {
      const first = k.let("first", add(mul(b, chunksHere()), chunk));
      const at = k.let("at", stateIndex(s, first, n, column));
      const end = k.let("end", k.load(endsBuffer, at));
      const sum = k.load(sumsBuffer, sumRows(s) === 1 ? add(mul(first, s.columns), column) : at);
      k.store(endsBuffer, at, carried);
      k.assign(carried, fma(unary("exp", rated(s, place, n, sum)), carried, end));
    });
    if (state !== undefined) k.store(state, kept, carried);
  });
  const stateBytes = state === undefined ? 0 : 8 * N * s.columns;
  const rates = s.has("rates") ? 4 * s.form.heads * (s.rows("rates") ? N : 1) : 0;
  const sumBytes = 4 * s.columns * (sumRows(s) === 1 ? Math.ceil(N / Math.max(1, Math.floor(64 / s.columns))) : N);
  context.emit({
    built: k.finish(),
    grid: [groupsOf(N * s.columns, 64), "d.B", 1],
    cost: {
      flops: `d.B*${chunks}*${(s.has("rates") ? 4 : 3) * N * s.columns}`,
      bytes: `d.B*(${chunks}*${8 * N * s.columns + sumBytes}+${stateBytes + rates})`,
      minimum: `d.B*(${chunks}*${8 * N * s.columns + 4 * sumRows(s) * s.columns}+${stateBytes})+${rates}`,
      serial: chunks,
    },
  });
}

/** Every chunk from the state it starts from, to its results. */
function apply(s: Selective, node: SsmNode, id: ValueId, { ends }: Ends, context: LowerContext): void {
  const { state: N } = s.form;
  const lanes = lanesFor(s.columns);
  const k = kernelBuilder("selective_apply", lanes);
  const endsBuffer = k.bind(ends);
  const b = group(2);
  const chunk = group(1);
  const column = k.let("column", add(mul(group(0), lanes), lane));
  k.if(lt(column, s.columns), () => {
    const place = placeOf(k, s, column, true);
    const first = k.let("first", add(mul(b, chunksHere()), chunk));
    const start = bufferColumn(k, endsBuffer, N, (n) => stateIndex(s, first, n, column));
    const own = ownColumn(k, N);
    own.each((n) => own.set(n, start.get(n)));
    const begin = k.let("begin", mul(chunk, steps));
    k.for("l", begin, min(add(begin, steps), dim("L")), (l) => {
      const results = advance(k, s, { b, l }, { place, state: own }, { reads: true });
      writeResults(k, s, node, id, { b, l }, place, results, context);
    });
  });
  const seen = wordsSeen(s, lanes, true);
  context.emit({
    built: k.finish(),
    grid: [groupsOf(s.columns, lanes), chunks, "d.B"],
    cost: {
      flops: `d.B*d.L*${s.columns * (stepFlops(s, true) + s.form.reads * flopsOf(node.post))}`,
      bytes: `d.B*(${4 * seen.step}*d.L+${chunks}*${4 * seen.once + 4 * N * s.columns})`,
      minimum: `${leastBytes(s, node, context)}+d.B*${chunks}*${4 * N * s.columns}`,
      serial: steps * serialSteps(s),
    },
  });
}

export const selectiveChunks: Schedule = schedule<SsmNode>({
  name: "selective-chunks",
  doc: "all chunks of a sequence at once, twice: from zero to their ends, and from the states these give",
  op: "ssm",
  applies: (node, _, context) =>
    node.form.stage === "selective" && context.entry !== "step" && context.mode === "chunked" && !node.form.correction,
  lower,
});
