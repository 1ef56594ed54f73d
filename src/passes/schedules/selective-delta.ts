/**
 * A selective recurrence with the delta rule, in chunks of Q steps: what a chunk does without the state it starts from, for
 * all chunks at once, with the inverse of a triangular matrix; then the state from chunk to chunk, as matrix products.
 */
import { bug } from "../../ir/error.ts";
import { selectiveRoles, type SsmNode, type ValueId } from "../../ir/graph.ts";
import { chunkSteps } from "./chunk-steps.ts";
import { blocksSharedWords, emitBlocks } from "./delta-blocks.ts";
import { emitChunks, sharedWords } from "./delta-chunks.ts";
import { deltaChunks, layoutOf } from "./delta.ts";
import { type LowerContext, schedule, type Schedule } from "./schedule.ts";
import { type Selective, selectiveOf } from "./selective.ts";
import { tileSide } from "./tile.ts";

/** Words of workgroup memory on every device. */
const memory = 4096;

/** Columns of a state that a workgroup keeps: as many as fit, up to 16. */
function columnsOf(s: Selective, chunk: number): number | undefined {
  const most = tileSide(Math.min(16, s.form.width));
  return [most, 8].find((columns) => sharedWords(s, chunk, columns) <= memory);
}

function lower(node: SsmNode, id: ValueId, context: LowerContext): void {
  const s = selectiveOf(node, context);
  const chunk = chunkSteps(s.form);
  const columns = columnsOf(s, chunk) ?? bug("no columns fit");
  const blocks = context.temp(`d.B*${s.form.heads * layoutOf({ s, chunk }).size}*${deltaChunks(chunk)}`);
  const delta = { node, id, context, s, chunk, columns, blocks };
  emitBlocks(delta);
  emitChunks(delta);
}

/** Buffers that each of the kernels binds. */
function buffersOf(node: SsmNode, context: LowerContext, s: Selective): readonly number[] {
  const own = selectiveRoles(s.form);
  const count = (ofBlocks: boolean): number =>
    new Set(node.args.filter((_, i) => ["v", undefined].includes(own[i]) !== ofBlocks).map((id) => context.value(id).buffer)).size;
  // And the blocks; the second kernel also has the result and the state.
  return [count(true) + 1, count(false) + 3];
}

export const selectiveDelta: Schedule = schedule<SsmNode>({
  name: "selective-delta",
  doc: "the delta rule: chunks as matrix products around a small triangular inverse",
  op: "ssm",
  applies: (node, _, context) => {
    if (context.mode !== "chunked" || context.entry === "step" || node.form.stage !== "selective") return false;
    const s = selectiveOf(node, context);
    if (!s.form.correction || s.form.bonus || s.form.width === 1) return false;
    const chunk = chunkSteps(s.form);
    return (
      columnsOf(s, chunk) !== undefined && blocksSharedWords(s, chunk) <= memory && buffersOf(node, context, s).every((count) => count <= 8)
    );
  },
  lower,
});
