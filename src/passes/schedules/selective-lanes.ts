/**
 * A selective recurrence, a lane a column, one time step after the other: whole sequences with the state in the lane, one step
 * with the state in place. Every family runs so; where columns are few and the recurrence is plain, `selective-slices` is faster.
 */
import type { SsmNode, ValueId } from "../../ir/graph.ts";
import { bug } from "../../ir/error.ts";
import { add, dim, group, kernelBuilder, type KernelBuilder, type KExpr, lane, lt, mul } from "./kit.ts";
import { applyPost, type Coords, flopsOf, groupsOf, type LowerContext, schedule, type Schedule, write } from "./schedule.ts";
import {
  advance,
  bufferColumn,
  type Column,
  type Lane,
  leastBytes,
  ownColumn,
  type Place,
  placeOf,
  registerRows,
  type Selective,
  selectiveOf,
  stateIndex,
  stepFlops,
  stepOperands,
  wordsSeen,
} from "./selective.ts";

/** Lanes of a workgroup: no more than there are columns. */
export const lanesFor = (columns: number): number => Math.min(64, 2 ** Math.ceil(Math.log2(Math.max(columns, 4))));

/** Writes the results of a step, behind the epilogue. */
export function writeResults(
  k: KernelBuilder,
  s: Selective,
  node: SsmNode,
  id: ValueId,
  at: Omit<Coords, "c">,
  { column }: Place,
  results: readonly KExpr[],
  context: LowerContext,
): void {
  for (const [r, y] of results.entries()) {
    const here = { ...at, c: add(column, r * s.columns) };
    write(k, context.result(id), here, applyPost(k, node, [y], here, context));
  }
}

/** Columns that a lane may run side by side: they share what is read of k and q. */
const sideBySide = 4;

/** Emits the kernel; it runs only where `when` says so, where that is given. `per` columns a lane, of one group. */
export function lowerLanes(node: SsmNode, id: ValueId, context: LowerContext, when?: string, per = 1): void {
  const s = selectiveOf(node, context);
  const { entry } = context;
  const N = s.form.state;
  const lanes = lanesFor(s.columns / per);
  const k = kernelBuilder(entry === "step" ? "selective_step" : "selective_lanes", lanes);
  const state = entry === "whole" ? undefined : k.bind(context.state(id, `d.B*${N * s.columns}`), "read_write");
  const b = group(1);
  const first = k.let("column", mul(add(mul(group(0), lanes), lane), per));
  k.if(lt(first, s.columns), () => {
    const places = Array.from({ length: per }, (_, i) => placeOf(k, s, k.let("column", add(first, i)), entry !== "step"));
    /** The column's place in a stream's state. */
    const keptAt = (from: string, { column }: Place): Column => bufferColumn(k, from, N, (n) => stateIndex(s, b, n, column));
    const step = (l: KExpr, own: readonly Lane[]): void => {
      const results = advance(k, s, { b, l }, own, { reads: true });
      own.forEach(({ place }, i) => writeResults(k, s, node, id, { b, l }, place, results[i] ?? [], context));
    };
    if (entry === "step") {
      s.begin(k, { b, l: dim("t") });
      return step(
        dim("t"),
        places.map((place) => ({ place, state: keptAt(state ?? bug("a step without a state"), place) })),
      );
    }
    const own = places.map((place) => ({ place, state: ownColumn(k, N) }));
    const kept = state === undefined ? [] : own.map(({ place, state: column }) => ({ column, at: keptAt(state, place) }));
    for (const { column, at } of kept) column.each((n) => column.set(n, at.get(n)));
    k.for("l", 0, dim("L"), (l) => step(l, own));
    for (const { column, at } of kept) column.each((n) => at.set(n, column.get(n)));
  });
  const seen = wordsSeen(s, lanes * per, true);
  const steps = entry === "step" ? "1" : "d.L";
  const stateBytes = entry === "whole" ? 0 : 8 * N * s.columns;
  context.emit({
    built: k.finish(),
    grid: [groupsOf(s.columns / per, lanes), "d.B", 1],
    ...(when === undefined ? {} : { when }),
    cost: {
      flops: `d.B*${steps}*${s.columns * (stepFlops(s, true) + s.form.reads * flopsOf(node.post))}`,
      bytes: `d.B*(${4 * seen.step}*${steps}+${4 * seen.once + stateBytes})`,
      minimum: `${leastBytes(s, node, context)}+${stateBytes}*d.B`,
      serial: entry === "step" ? N : `d.L*${Math.ceil(N / 4)}`,
    },
  });
}

/**
 * What software adapters run: a lane a column, or over whole sequences several where columns of one group are many. Streams keep
 * to one: loading and storing the states of several is much text.
 */
export function lowerColumns(node: SsmNode, id: ValueId, context: LowerContext, when?: string): void {
  const { form, columns } = selectiveOf(node, context);
  const many = (columns / form.groups) % sideBySide === 0 && columns >= 8 * sideBySide;
  const several = context.entry === "whole" && form.state <= registerRows && many;
  lowerLanes(node, id, context, when, several ? sideBySide : 1);
}

export const selectiveLanes: Schedule = schedule<SsmNode>({
  name: "selective-lanes",
  doc: "a lane a column of a head's state, which it keeps",
  op: "ssm",
  applies: (node, _, context) => node.form.stage === "selective" && (context.entry === "step" || context.mode === "scan"),
  lower: (node, id, context) => lowerLanes(node, id, context),
  absorbs: (node, _, context) => (context.entry === "step" ? stepOperands(node, context) : []),
});
