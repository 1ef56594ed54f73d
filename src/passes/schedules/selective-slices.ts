/**
 * A selective recurrence with time in slices, for devices that run many lanes at once: a workgroup walks along time in blocks,
 * of which each lane has one slice of one column. It runs its slice from zero, the workgroup joins the slices' ends, and it
 * runs it again from the state it starts from. Operands come from device memory once; states never leave the workgroup.
 */
import type { SsmNode, ValueId } from "../../ir/graph.ts";
import {
  add,
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
  select,
  u32,
  unary,
} from "./kit.ts";
import { flopsOf, groupsOf, type LowerContext, schedule, type Schedule } from "./schedule.ts";
import { lowerColumns, writeResults } from "./selective-lanes.ts";
import {
  advance,
  type Column,
  leastBytes,
  ownColumn,
  type Place,
  placeOf,
  registerRows,
  type Selective,
  selectiveOf,
  serialSteps,
  stateIndex,
  stepFlops,
  wordsSeen,
} from "./selective.ts";
import { oneAfterAnother } from "./team.ts";

/** Columns of a workgroup, slices of a block, and time steps of a slice. */
const shape = { columns: 32, slices: 8, steps: 16 };
const lanes = shape.columns * shape.slices;
/** Rows whose slices are joined at once: a lane each, and 16 KB of workgroup memory. */
const joined = lanes / shape.columns;

function lower(node: SsmNode, id: ValueId, context: LowerContext): void {
  const s = selectiveOf(node, context);
  // Streams take one kernel on every device: a second one is much text.
  const whole = context.entry === "whole";
  if (whole) lowerColumns(node, id, context, oneAfterAnother);
  const N = s.form.state;
  const k = kernelBuilder("selective_slices", lanes);
  const state = whole ? undefined : k.bind(context.state(id, `d.B*${N * s.columns}`), "read_write");
  const b = group(1);
  const own = k.let("own", mod(lane, shape.columns));
  const slice = k.let("slice", div(lane, shape.columns));
  const column = k.let("column", add(mul(group(0), shape.columns), own));
  const inside = k.let("inside", lt(column, s.columns));
  const place = placeOf(k, s, k.let("safe", min(column, s.columns - 1)), true);
  const scanning = placeOf(k, s, place.column, false);
  const ends = k.shared("ends", joined * lanes);
  const sums = k.shared("sums", (s.rows("decay") ? joined : 1) * lanes);
  const rounds = Array.from({ length: Math.ceil(N / joined) }, (_, r) => r);
  /** While slices are joined, lane `slice` of a column has row `slice` of the round. */
  const rowOf = (round: number): KExpr => min(add(slice, round * joined), N - 1);
  const carries = rounds.map((round) =>
    k.var("carry", state === undefined ? f32(0) : k.load(state, stateIndex(s, b, rowOf(round), place.column))),
  );
  const column_ = ownColumn(k, N);
  const given = s.rows("decay") ? Array.from({ length: N }, (_, n) => k.var(`sum${n}`, f32(0))) : [k.var("sum", f32(0))];
  k.for(
    "first",
    0,
    dim("L"),
    (first) => {
      const begin = k.let("begin", add(first, mul(slice, shape.steps)));
      const end = k.let("end", select(inside, min(add(begin, shape.steps), dim("L")), u32(0)));
      column_.each((n) => column_.set(n, f32(0)));
      given.forEach((sum) => k.assign(sum, f32(0)));
      const onDecay = (decay: KExpr, n: KExpr): void => {
        const sum = given[n.op === "lit" ? n.value : 0];
        if (sum !== undefined) k.assign(sum, add(sum, decay));
      };
      k.for("l", begin, end, (l) => void advance(k, s, { b, l }, { place, state: column_ }, { reads: false, onDecay }));
      rounds.forEach((round) =>
        join(k, s, { scanning, slice, own, round, ends, sums, given, rowOf, carry: carries[round] ?? f32(0) }, column_),
      );
      k.for("l", begin, end, (l) => {
        const results = advance(k, s, { b, l }, { place, state: column_ }, { reads: true });
        writeResults(k, s, node, id, { b, l }, place, results, context);
      });
    },
    shape.steps * shape.slices,
  );
  if (state !== undefined)
    rounds.forEach((round) => {
      const row = add(slice, round * joined);
      k.if(lt(row, select(inside, u32(N), u32(0))), () => k.store(state, stateIndex(s, b, row, place.column), carries[round] ?? f32(0)));
    });
  const seen = wordsSeen(s, shape.columns, true);
  const stateBytes = state === undefined ? 0 : 8 * N * s.columns;
  const flops = stepFlops(s, true) + stepFlops(s, false) + s.form.reads * flopsOf(node.post) + Math.ceil((4 * N) / shape.steps);
  context.emit({
    built: k.finish(),
    grid: [groupsOf(s.columns, shape.columns), "d.B", 1],
    ...(whole ? { when: `!(${oneAfterAnother})` } : {}),
    cost: {
      flops: `d.B*d.L*${s.columns * flops}`,
      bytes: `d.B*(${4 * seen.step}*d.L+${4 * seen.once + stateBytes})`,
      minimum: `${leastBytes(s, node, context)}+${stateBytes}*d.B`,
      serial: `(d.L/${shape.slices}+${shape.steps})*${2 * serialSteps(s)}`,
    },
  });
}

interface Joining {
  /** The column's place, its rates not in registers: which row is known at run time only. */
  readonly scanning: Place;
  readonly slice: KExpr;
  readonly own: KExpr;
  readonly round: number;
  readonly ends: string;
  readonly sums: string;
  readonly given: readonly KExpr[];
  readonly rowOf: (round: number) => KExpr;
  readonly carry: KExpr;
}

/**
 * From what every slice makes of a zero state to the states they start from, for the rows of one round: lane `slice` walks
 * over the slices of row `slice`, and `carry` is the state after the last.
 */
function join(k: KernelBuilder, s: Selective, j: Joining, column: Column): void {
  const { slice, own, round, ends, sums, carry } = j;
  const rows = Array.from({ length: Math.min(joined, s.form.state - round * joined) }, (_, i) => i);
  const at = (row: KExpr | number, index: KExpr): KExpr => add(mul(row, lanes), index);
  for (const i of rows) {
    const n = u32(round * joined + i);
    k.storeShared(ends, at(u32(i), lane), column.get(n));
    if (s.rows("decay")) k.storeShared(sums, at(u32(i), lane), j.given[n.op === "lit" ? n.value : 0] ?? f32(0));
  }
  if (!s.rows("decay") && round === 0) k.storeShared(sums, lane, j.given[0] ?? f32(0));
  k.barrier();
  const n = k.let("joined_row", j.rowOf(round));
  const rate = s.has("rates") ? k.let("joined_rate", j.scanning.rate(n)) : undefined;
  k.if(lt(slice, rows.length), () =>
    k.for("part", 0, shape.slices, (part) => {
      const index = k.let("index", add(mul(part, shape.columns), own));
      const end = k.let("slice_end", k.loadShared(ends, at(slice, index)));
      const sum = k.loadShared(sums, s.rows("decay") ? at(slice, index) : index);
      k.storeShared(ends, at(slice, index), carry);
      k.assign(carry, fma(unary("exp", rate === undefined ? sum : mul(sum, rate)), carry, end));
    }),
  );
  k.barrier();
  for (const i of rows) column.set(u32(round * joined + i), k.loadShared(ends, at(u32(i), lane)));
  k.barrier();
}

export const selectiveSlices: Schedule = schedule<SsmNode>({
  name: "selective-slices",
  doc: "a lane a slice of time of a column, joined in the workgroup; on software adapters a lane a column or a few",
  op: "ssm",
  applies: (node, _, context) =>
    node.form.stage === "selective" &&
    context.entry !== "step" &&
    context.mode === "scan" &&
    !node.form.correction &&
    node.form.state <= registerRows,
  lower,
});
