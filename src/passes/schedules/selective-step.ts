/**
 * One step of a selective recurrence, state in place. The lanes of a team share the rows of a column, so that a lane waits for few
 * loads, most of them at once; on software adapters, where the barrier costs 16 times the step, a lane has a column, as in `selective-lanes`.
 */
import type { SsmNode, ValueId } from "../../ir/graph.ts";
import { add, and, dim, group, kernelBuilder, lane, lt, min, mod, mul } from "./kit.ts";
import { flopsOf, type LowerContext, schedule, type Schedule } from "./schedule.ts";
import { lowerLanes, writeResults } from "./selective-lanes.ts";
import {
  advance,
  leastBytes,
  placeOf,
  type Selective,
  selectiveOf,
  sharedColumn,
  stateIndex,
  stepFlops,
  stepOperands,
  wordsSeen,
} from "./selective.ts";
import { oneAfterAnother, teamOf } from "./team.ts";

/** Columns of a workgroup, as few as are half a cache line of states, and the most lanes of one column. */
const shape = { columns: 16, parts: 16 };
/** Rows that one lane may as well have by itself; results of a column that workgroup memory has room for, one for each lane. */
const limits = { rows: 4, reads: 8 };

function lowerTeams(node: SsmNode, id: ValueId, context: LowerContext, s: Selective): void {
  const N = s.form.state;
  const rows = Math.ceil(N / shape.parts);
  const [columns, parts] = [Math.min(shape.columns, s.columns), Math.ceil(N / rows)];
  const k = kernelBuilder("selective_step_team", columns * parts);
  const buffer = k.bind(context.state(id, `d.B*${N * s.columns}`), "read_write");
  const at = { b: group(1), l: dim("t") };
  const team = teamOf(k, columns, parts);
  const own = k.let("own", add(mul(group(0), columns), mod(lane, columns)));
  const whole = s.columns % columns === 0;
  const column = whole ? own : k.let("column", min(own, s.columns - 1));
  const state = sharedColumn(k, buffer, N, team, (n) => stateIndex(s, at.b, n, column), whole ? undefined : lt(own, s.columns));
  const place = placeOf(k, s, column, false);
  s.begin(k, at, place, team);
  const totals = team.gather(advance(k, s, at, { place, state }, { reads: true, team }));
  const first = lt(lane, columns);
  k.if(whole ? first : and(first, lt(own, s.columns)), () => writeResults(k, s, node, id, at, place, totals(), context));
  const seen = wordsSeen(s, columns, true);
  // Every lane knows what all rows share, and gives its sums.
  const product = s.product?.shared === false ? s.product.flops : 0;
  const repeated = (s.rows("decay") || s.rows("rates") ? 0 : 2) + (s.has("gain") ? s.form.writes : 0) + product;
  const summed = s.form.reads * (s.form.bonus ? 3 : 1) + (s.form.correction ? 1 : 0);
  const flops = stepFlops(s, true) + s.form.reads * flopsOf(node.post) + parts * (repeated + summed);
  context.emit({
    built: k.finish(),
    grid: [Math.ceil(s.columns / columns), "d.B", 1],
    when: `!(${oneAfterAnother})`,
    cost: {
      flops: `d.B*${s.columns * flops}`,
      bytes: `d.B*${4 * (seen.step + seen.once) + 8 * N * s.columns}`,
      minimum: `${leastBytes(s, node, context)}+${8 * N * s.columns}*d.B`,
      serial: rows + Math.ceil(parts / 4),
    },
  });
}

function lower(node: SsmNode, id: ValueId, context: LowerContext): void {
  const s = selectiveOf(node, context);
  if (s.form.state <= limits.rows || s.form.reads > limits.reads) return lowerLanes(node, id, context);
  lowerTeams(node, id, context, s);
  lowerLanes(node, id, context, oneAfterAnother);
}

export const selectiveStep: Schedule = schedule<SsmNode>({
  name: "selective-step",
  doc: "one step: lanes share the rows of a column; on software adapters, and of few rows, a lane a column",
  op: "ssm",
  applies: (node, _, context) => node.form.stage === "selective" && context.entry === "step",
  lower,
  absorbs: (node, _, context) => stepOperands(node, context),
});
