/** Causal attention: queries and keys to their places, keys and values into the cache, then every query over the steps it sees. */
import type { AttentionNode, ValueId } from "../../ir/graph.ts";
import { freshCache, jobOf } from "./attention-job.ts";
import { attendByRows } from "./attention-rows.ts";
import { keepWindow, storeSteps, turnedQueries } from "./attention-turn.ts";
import { type LowerContext, schedule, type Schedule } from "./schedule.ts";

function lower(node: AttentionNode, id: ValueId, context: LowerContext): void {
  const job = jobOf(node, id, context);
  const fresh = freshCache(job);
  const q = turnedQueries(job);
  storeSteps(job, fresh);
  attendByRows(job, q, fresh, undefined);
  if (context.entry === "resume" && node.window !== undefined) keepWindow(job, fresh);
}

export const attentionSchedule: Schedule = schedule<AttentionNode>({
  name: "attention",
  doc: "a lane a query, the steps it sees one after the other with a running maximum",
  op: "attention",
  applies: () => true,
  lower,
});
