/**
 * Attention without barriers: a lane a query and a block of its head's channels, the steps it sees one after the other with
 * a running maximum. For adapters that run lanes one after the other; on others it leaves most of the work undivided.
 */
import {
  below,
  type AttentionJob,
  type Cache,
  cacheIndex,
  firstSeen,
  placeOf,
  queryElements,
  segmentsOf,
  stepsNeeded,
  stepsSeen,
  weightOf,
} from "./attention-job.ts";
import { add, and, dim, div, f32, fma, gt, type KernelBuilder, kernelBuilder, type KExpr, lane, lt, min, mod, mul } from "./kit.ts";
import {
  applyPost,
  flatGrid,
  flatGroup,
  flatLane,
  flopsOf,
  groupsOf,
  postBytes,
  read,
  stepTime,
  type ValueRef,
  write,
} from "./schedule.ts";

const lanes = 64;
/** The most channels whose sums a lane keeps. */
const mostChannels = 32;

const across = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i);

/** Which query and which channels a lane has. */
interface Place {
  readonly b: KExpr;
  readonly head: KExpr;
  readonly block: KExpr;
  readonly l: KExpr;
}

/** Blocks that the channels of a head are cut into, and channels of one. */
function blocksOf({ width }: AttentionJob): { readonly blocks: number; readonly size: number } {
  const blocks = Math.ceil(width / mostChannels);
  return { blocks, size: Math.ceil(width / blocks) };
}

/** Runs `body` in every lane that has a query; those of a workgroup have queries that follow each other, or, of one step, other heads. */
function everyQuery(k: KernelBuilder, job: AttentionJob, body: (place: Place) => void): void {
  const { node, context } = job;
  const { blocks } = blocksOf(job);
  const count = mul(dim("B"), node.heads * blocks);
  const places = (rest: KExpr, l: KExpr): Place => {
    const row = k.let("row", div(rest, blocks));
    return { b: k.let("b", div(row, node.heads)), head: k.let("head", mod(row, node.heads)), block: k.let("block", mod(rest, blocks)), l };
  };
  if (context.entry === "step") {
    const i = k.let("i", flatLane(lanes));
    k.if(lt(i, count), () => body(places(i, stepTime())));
    return;
  }
  const tiles = k.let("tiles", div(add(dim("L"), lanes - 1), lanes));
  const tile = k.let("tile", flatGroup());
  const l = k.let("l", add(mul(mod(tile, tiles), lanes), lane));
  const rest = k.let("rest", div(tile, tiles));
  k.if(and(lt(rest, count), lt(l, dim("L"))), () => body(places(rest, l)));
}

/** Attends from the queries `q` to the steps in `fresh`, and of a window in its ring. */
export function attendByRows(job: AttentionJob, q: ValueRef, fresh: Cache, when: string | undefined): void {
  const { node, id, context, width } = job;
  const { blocks, size } = blocksOf(job);
  const k = kernelBuilder("attention_rows", lanes);
  everyQuery(k, job, ({ b, head, block, l }) => {
    const place = k.let("place", placeOf(job, l));
    const first = k.let("first", mul(head, width));
    const source = k.let("source", mul(div(head, node.heads / node.kvHeads), width));
    const channels = across(size).map((i) => k.let(`c${i}`, min(add(mul(block, size), i), width - 1)));
    const [most, sum] = [k.var("most", f32(below)), k.var("sum", f32(0))];
    const sums = channels.map((_, i) => k.var(`y${i}`, f32(0)));
    for (const { cache, from, to } of segmentsOf(job, fresh, firstSeen(job, place), add(place, 1))) {
      const buffer = k.bind(cache.buffer);
      k.for("s", from, to, (s) => {
        const slot = k.let("slot", cache.slot(s));
        const dot = k.var("dot", f32(0));
        k.for("c", 0, width, (c) => {
          const key = k.load(buffer, cacheIndex(job, cache, "key", b, slot, add(source, c)));
          k.assign(dot, fma(read(k, q, { b, l, c: add(first, c) }), key, dot));
        });
        const score = k.let("score", mul(dot, node.scale));
        k.if(gt(score, most), () => {
          const keep = k.let("keep", weightOf(k, most, score));
          for (const part of [sum, ...sums]) k.assign(part, mul(part, keep));
          k.assign(most, score);
        });
        const weight = k.let("weight", weightOf(k, score, most));
        k.assign(sum, add(sum, weight));
        channels.forEach((c, i) => {
          const value = k.load(buffer, cacheIndex(job, cache, "value", b, slot, add(source, c)));
          const part = sums[i] ?? sum;
          k.assign(part, fma(weight, value, part));
        });
      });
    }
    sums.forEach((part, i) => {
      const c = add(mul(block, size), i);
      const finish = (): void => {
        const at = { b, l, c: k.let("c", add(first, c)) };
        write(k, context.result(id), at, applyPost(k, node, [div(part, sum)], at, context));
      };
      if (blocks * size === width) finish();
      else k.if(lt(c, width), finish);
    });
  });
  const step = context.entry === "step";
  const count = `d.B*${node.heads * blocks}`;
  const groups = step ? groupsOf(count, lanes) : `${count}*Math.ceil(d.L/${lanes})`;
  const steps = stepsSeen(job, lanes);
  const kept = step
    ? `d.B*${node.kvHeads}*${Math.ceil(((node.heads / node.kvHeads) * blocks) / lanes)}*${2 * width}*${steps}`
    : `${count}*${width + size}*${steps}`;
  const queries = queryElements(job);
  const rest = `4*${queries}+${postBytes(node, context.entry, context)}`;
  context.emit({
    built: k.finish(),
    grid: flatGrid(groups),
    cost: {
      flops: `d.B*${node.heads * blocks}*${2 * width + 2 * size + 6}*${stepsSeen(job, 1)}+${1 + flopsOf(node.post)}*${queries}`,
      bytes: `4*${step ? 1 : blocks}*${queries}+4*${kept}+${rest}`,
      minimum: `4*${queries}+8*d.B*${job.inner}*${stepsNeeded(job)}+${rest}`,
      serial: `${width}*(${stepsNeeded(job)})`,
    },
    ...(when === undefined ? {} : { when }),
  });
}
