/**
 * Causal attention: queries and keys to their places, keys and values into the cache, then every query over the steps it sees: in
 * tiles, a step in parts, and where barriers are slow a lane a query.
 */
import type { AttentionNode, ValueId } from "../../ir/graph.ts";
import { freshCache, jobOf } from "./attention-job.ts";
import { attendByRows } from "./attention-rows.ts";
import { attendFromStep } from "./attention-step.ts";
import { attendByTiles } from "./attention-tiles.ts";
import { keepWindow, storeSteps, turnedQueries } from "./attention-turn.ts";
import { type LowerContext, schedule, type Schedule } from "./schedule.ts";

/** Adapters whose lanes run one after the other switch between them at every barrier. */
const cheapBarriers = "d.W>=64";

function lower(node: AttentionNode, id: ValueId, context: LowerContext): void {
  const job = jobOf(node, id, context);
  const fresh = freshCache(job);
  const q = turnedQueries(job);
  storeSteps(job, fresh);
  attendByRows(job, q, fresh, `!(${cheapBarriers})`);
  if (context.entry === "step") attendFromStep(job, q, fresh, cheapBarriers);
  else attendByTiles(job, q, fresh, cheapBarriers);
  if (context.entry === "resume" && node.window !== undefined) keepWindow(job, fresh);
}

export const attentionSchedule: Schedule = schedule<AttentionNode>({
  name: "attention",
  doc: "tiles of queries and steps, one step in parts of what it sees; or a lane a query, the steps it sees one after the other",
  op: "attention",
  applies: () => true,
  lower,
});
