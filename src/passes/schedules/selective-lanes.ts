/**
 * A selective recurrence, a lane a column, one time step after the other: whole sequences with the state in the lane, one step
 * with the state in place. Every family runs so; where columns are few and the recurrence is plain, `selective-slices` is faster.
 */
import type { SsmNode, ValueId } from "../../ir/graph.ts";
import { add, dim, group, kernelBuilder, type KernelBuilder, type KExpr, lane, lt, mul } from "./kit.ts";
import { applyPost, type Coords, flopsOf, groupsOf, type LowerContext, schedule, type Schedule, write } from "./schedule.ts";
import {
  advance,
  bufferColumn,
  type Column,
  leastBytes,
  ownColumn,
  type Place,
  placeOf,
  type Selective,
  selectiveOf,
  stateIndex,
  stepFlops,
  stepProduct,
  wordsSeen,
} from "./selective.ts";

/** Lanes of a workgroup: no more than there are columns. */
export const lanesFor = ({ columns }: Selective): number => Math.min(64, 2 ** Math.ceil(Math.log2(Math.max(columns, 4))));

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

/** Copies a column. */
export const copyColumn = (from: Column, to: Column): void => from.each((n) => to.set(n, from.get(n)));

/** Emits the kernel; it runs only where `when` says so, where that is given. */
export function lowerLanes(node: SsmNode, id: ValueId, context: LowerContext, when?: string): void {
  const s = selectiveOf(node, context);
  const { entry } = context;
  const N = s.form.state;
  const lanes = lanesFor(s);
  const k = kernelBuilder(entry === "step" ? "selective_step" : "selective_lanes", lanes);
  const state = entry === "whole" ? undefined : k.bind(context.state(id, `d.B*${N * s.columns}`), "read_write");
  const b = group(1);
  const column = k.let("column", add(mul(group(0), lanes), lane));
  k.if(lt(column, s.columns), () => {
    const place = placeOf(k, s, column);
    const kept = state === undefined ? undefined : bufferColumn(k, state, N, (n) => stateIndex(s, b, n, column));
    const step = (l: KExpr, own: Column): void => {
      const results = advance(k, s, { b, l }, place, own, { reads: true });
      writeResults(k, s, node, id, { b, l }, place, results, context);
    };
    if (entry === "step" && kept !== undefined) return step(dim("t"), kept);
    const own = ownColumn(k, N);
    if (kept !== undefined) own.each((n) => own.set(n, kept.get(n)));
    k.for("l", 0, dim("L"), (l) => step(l, own));
    if (kept !== undefined) own.each((n) => kept.set(n, own.get(n)));
  });
  const seen = wordsSeen(s, lanes, true);
  const steps = entry === "step" ? "1" : "d.L";
  const stateBytes = entry === "whole" ? 0 : 8 * N * s.columns;
  context.emit({
    built: k.finish(),
    grid: [groupsOf(s.columns, lanes), "d.B", 1],
    ...(when === undefined ? {} : { when }),
    cost: {
      flops: `d.B*${steps}*${s.columns * (stepFlops(s, true) + s.form.reads * flopsOf(node.post))}`,
      bytes: `d.B*(${4 * seen.step}*${steps}+${4 * seen.once + stateBytes})`,
      minimum: `${leastBytes(s, node, context)}+${stateBytes}*d.B`,
      serial: entry === "step" ? N : `d.L*${Math.ceil(N / 4)}`,
    },
  });
}

export const selectiveLanes: Schedule = schedule<SsmNode>({
  name: "selective-lanes",
  doc: "a lane a column of a head's state, which it keeps",
  op: "ssm",
  applies: (node, _, context) => node.form.stage === "selective" && (context.entry === "step" || context.mode === "scan"),
  lower: lowerLanes,
  absorbs: (node, _, context) => (context.entry === "step" ? stepProduct(node, context) : []),
});
