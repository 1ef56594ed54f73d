/**
 * A selective recurrence, a lane a column, one time step after the other: whole sequences with the state in the lane, one step
 * with the state in place. Every family runs so; where columns are few and the recurrence is plain, `selective-slices` is faster,
 * and `selective-step` for one step where rows are many.
 */
import type { SsmNode, ValueId } from "../../ir/graph.ts";
import { bug } from "../../ir/error.ts";
import { add, dim, group, kernelBuilder, type KernelBuilder, type KExpr, lane, lt, mul } from "./kit.ts";
import { numberOf } from "./product.ts";
import { applyPost, type Coords, flopsOf, groupsOf, type LowerContext, schedule, type Schedule, write } from "./schedule.ts";
import {
  advance,
  bufferColumn,
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
import { alone } from "./team.ts";
import type { Wide } from "./weight.ts";

/** Lanes of a workgroup: no more than there are columns. */
export const lanesFor = (columns: number): number => Math.min(64, 2 ** Math.ceil(Math.log2(Math.max(columns, 4))));

/** Writes the results of a step, behind the epilogue. */
export function writeResults(
  k: KernelBuilder,
  s: Selective,
  node: SsmNode,
  id: ValueId,
  at: Omit<Coords, "c">,
  { columns }: Place,
  results: readonly KExpr[],
  context: LowerContext,
): void {
  for (const [i, column] of columns.entries())
    for (const [r, y] of results.entries()) {
      const here = { ...at, c: add(column, r * s.columns) };
      write(k, context.result(id), here, applyPost(k, node, [numberOf(y, i)], here, context));
    }
}

/** Emits the kernel; it runs only where `when` says so, where that is given. `wide` columns a lane, of one group: they share what is read of k and q. */
export function lowerLanes(node: SsmNode, id: ValueId, context: LowerContext, when?: string, wide: Wide = 1): void {
  const s = selectiveOf(node, context);
  const { entry } = context;
  const N = s.form.state;
  const lanes = lanesFor(s.columns / wide);
  const k = kernelBuilder(entry === "step" ? "selective_step" : "selective_lanes", lanes);
  const state = entry === "whole" ? undefined : k.bind(context.state(id, `d.B*${N * s.columns}`), "read_write");
  const b = group(1);
  const first = k.let("column", mul(add(mul(group(0), lanes), lane), wide));
  k.if(lt(first, s.columns), () => {
    const place = placeOf(k, s, first, entry !== "step", wide);
    const kept = state === undefined ? undefined : bufferColumn(k, state, N, (n) => stateIndex(s, b, n, first));
    const step = (l: KExpr, column: Column): void => {
      s.begin(k, { b, l }, place, alone);
      const results = advance(k, s, { b, l }, { place, state: column }, { reads: true });
      writeResults(k, s, node, id, { b, l }, place, results, context);
    };
    if (entry === "step") return step(dim("t"), kept ?? bug("a step without a state"));
    const own = ownColumn(k, N, wide);
    if (kept !== undefined) own.each((n) => own.set(n, kept.get(n)));
    k.for("l", 0, dim("L"), (l) => step(l, own));
    if (kept !== undefined) own.each((n) => kept.set(n, own.get(n)));
  });
  const seen = wordsSeen(s, lanes * wide, true);
  const steps = entry === "step" ? "1" : "d.L";
  const stateBytes = entry === "whole" ? 0 : 8 * N * s.columns;
  context.emit({
    built: k.finish(),
    grid: [groupsOf(s.columns / wide, lanes), "d.B", 1],
    ...(when === undefined ? {} : { when }),
    cost: {
      flops: `d.B*${steps}*${s.columns * (stepFlops(s, true, wide) + s.form.reads * flopsOf(node.post))}`,
      bytes: `d.B*(${4 * seen.step}*${steps}+${4 * seen.once + stateBytes})`,
      minimum: `${leastBytes(s, node, context)}+${stateBytes}*d.B`,
      serial: `${steps}*${serialSteps(s, entry === "step")}`,
    },
  });
}

/** What software adapters run over whole sequences: a lane a column, or four where columns of one group are many. */
export function lowerColumns(node: SsmNode, id: ValueId, context: LowerContext, when: string): void {
  const { form, columns } = selectiveOf(node, context);
  const many = (columns / form.groups) % 4 === 0 && columns >= 32;
  lowerLanes(node, id, context, when, form.state <= registerRows && many ? 4 : 1);
}

export const selectiveLanes: Schedule = schedule<SsmNode>({
  name: "selective-lanes",
  doc: "a lane a column of a head's state, which it keeps",
  op: "ssm",
  applies: (node, _, context) => node.form.stage === "selective" && context.entry !== "step" && context.mode === "scan",
  lower: (node, id, context) => lowerLanes(node, id, context),
});
