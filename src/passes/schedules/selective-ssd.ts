/**
 * A selective recurrence with one decay a head, in chunks of Q steps as matrix products: products of queries and keys once a
 * group, the state that every chunk leaves by itself, the states carried from chunk to chunk, and the results. Decays of a
 * span are sums over its steps, never differences of sums from the start, and no exp is of a positive sum of what decays.
 * Source: Dao and Gu, Mamba-2, 2024, section 6.
 */
import { selectiveRoles, type SsmNode, type ValueId } from "../../ir/graph.ts";
import { type LowerContext, schedule, type Schedule } from "./schedule.ts";
import { chunkSteps } from "./chunk-steps.ts";
import { selectiveOf } from "./selective.ts";
import { emitApply } from "./ssd-apply.ts";
import { emitCarry } from "./ssd-carry.ts";
import { emitScores } from "./ssd-scores.ts";
import { emitStates } from "./ssd-states.ts";
import { chunksSource, type Ssd } from "./ssd.ts";
import { tileSide } from "./tile.ts";

function lower(node: SsmNode, id: ValueId, context: LowerContext): void {
  const s = selectiveOf(node, context);
  const { heads: H, groups: G, reads: R, writes: W, state: N, width: P } = s.form;
  const chunk = chunkSteps(s.form);
  const steps = Math.min(32, chunk);
  const sides = { steps: tileSide(steps), state: tileSide(N), width: tileSide(P) };
  const C = chunksSource(chunk);
  const gains = s.has("gain") ? W : 0;
  const ssd: Ssd = {
    node,
    id,
    context,
    s,
    chunk,
    steps,
    sides,
    tiles: { state: Math.ceil(N / sides.state), width: Math.ceil(P / sides.width) },
    gains,
    packed: context.temp(`d.B*${H}*(${1 + gains}*d.L+${C})`),
    scores: context.temp(`d.B*${G * R * W * chunk * chunk}*${C}`),
    states: context.temp(`d.B*${N * s.columns}*${C}`),
  };
  emitScores(ssd);
  emitStates(ssd);
  emitCarry(ssd);
  emitApply(ssd);
}

/** Buffers that the results' kernel binds. */
function buffersOf(node: SsmNode, context: LowerContext): number {
  const own = selectiveRoles(selectiveOf(node, context).form);
  const read = node.args.filter((_, i) => ["v", "q", undefined].includes(own[i]));
  // And the result, decays, products and states.
  return 4 + new Set(read.map((id) => context.value(id).buffer)).size;
}

export const selectiveSsd: Schedule = schedule<SsmNode>({
  name: "selective-ssd",
  doc: "one decay a head: chunks as matrix products, states carried between them",
  op: "ssm",
  applies: (node, _, context) => {
    if (context.mode !== "chunked" || context.entry === "step" || node.form.stage !== "selective") return false;
    const { width, correction, before, bonus } = node.form;
    const s = selectiveOf(node, context);
    return width > 1 && !correction && !before && !bonus && !s.rows("decay") && !s.rows("rates") && buffersOf(node, context) <= 8;
  },
  lower,
});
