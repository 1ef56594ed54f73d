/**
 * Attention of one step: a workgroup takes 128 steps of what the query sees, a lane a step for the scores, then a lane a
 * channel for the weighted values, for several heads that share keys. It leaves maximum, sum and sums of values; a second
 * dispatch joins those of all workgroups. So a single sequence fills a device, and keys and values are read once.
 */
import { below, type AttentionJob, type Cache, cacheIndex, firstSeen, queryElements, stepsNeeded, weightOf } from "./attention-job.ts";
import {
  add,
  dim,
  div,
  f32,
  fma,
  type KernelBuilder,
  kernelBuilder,
  type KExpr,
  lane,
  lt,
  max,
  min,
  mod,
  mul,
  select,
  sub,
  u32,
} from "./kit.ts";
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

const lanes = 128;
/** Lanes that look for one head's maximum. */
const seekers = 8;
/** Words of workgroup memory that queries may take. */
const queryWords = 1024;

const range = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i);

/** Heads of one workgroup: some that read the same keys. */
function headsTogether({ node, width }: AttentionJob): number {
  const shared = node.heads / node.kvHeads;
  const most = Math.max(1, Math.min(8, Math.floor(queryWords / width)));
  return range(most + 1).findLast((count) => count > 0 && shared % count === 0) ?? 1;
}

/** Workgroups that the steps so far take, as source and in a kernel. */
const splitsOf = (job: AttentionJob): string => `Math.ceil(${stepsNeeded(job)}/${lanes})`;
function splitsIn(k: KernelBuilder, job: AttentionJob): { readonly first: KExpr; readonly splits: KExpr } {
  const first = k.let("first", firstSeen(job, dim("pos")));
  return { first, splits: k.let("splits", div(add(sub(dim("pos"), first), lanes), lanes)) };
}

/** Where a workgroup leaves its part of a head: sums of values, then their weights' sum and maximum. */
const partIndex = ({ node, width }: AttentionJob, b: KExpr, head: KExpr, splits: KExpr, split: KExpr): KExpr =>
  mul(add(mul(add(mul(b, node.heads), head), splits), split), width + 2);

/** Attends from the queries `q` of one step to the steps in `cache`. */
export function attendFromStep(job: AttentionJob, q: ValueRef, cache: Cache, when: string): void {
  const { node, context, width } = job;
  const most = node.window ?? context.maxLength;
  const parts = context.temp(`d.B*${node.heads * Math.ceil(most / lanes) * (width + 2)}`);
  attendPart(job, q, cache, parts, when);
  joinParts(job, parts, when);
}

function attendPart(job: AttentionJob, q: ValueRef, cache: Cache, parts: number, when: string): void {
  const { node, context, width } = job;
  const together = headsTogether(job);
  const blocks = node.heads / together;
  const k = kernelBuilder("attention_part", lanes);
  const queries = k.shared("queries", together * width);
  const weights = k.shared("weights", together * lanes);
  const peaks = k.shared("peaks", together * seekers);
  const { first, splits } = splitsIn(k, job);
  const flat = k.let("flat", min(flatGroup(), sub(mul(mul(dim("B"), blocks), splits), 1)));
  const split = k.let("split", mod(flat, splits));
  const rest = k.let("rest", div(flat, splits));
  const b = k.let("b", div(rest, blocks));
  const head = k.let("head", mul(mod(rest, blocks), together));
  const source = k.let("source", mul(div(head, node.heads / node.kvHeads), width));
  const start = k.let("start", add(first, mul(split, lanes)));
  const count = k.let("count", min(sub(add(dim("pos"), 1), start), lanes));
  const buffer = k.bind(cache.buffer);
  k.for(
    "i",
    lane,
    together * width,
    (i) => k.storeShared(queries, i, read(k, q, { b, l: stepTime(), c: add(mul(head, width), i) })),
    lanes,
  );
  k.barrier();
  const slot = k.let("slot", cache.slot(add(start, min(lane, sub(count, 1)))));
  const scores = range(together).map((h) => k.var(`score${h}`, f32(0)));
  k.for("c", 0, width, (c) => {
    const key = k.let("key", k.load(buffer, cacheIndex(job, cache, "key", b, slot, add(source, c))));
    scores.forEach((score, h) => k.assign(score, fma(k.loadShared(queries, add(c, h * width)), key, score)));
  });
  scores.forEach((score, h) => {
    k.assign(score, select(lt(lane, count), mul(score, node.scale), f32(below)));
    k.storeShared(weights, add(lane, h * lanes), score);
  });
  k.barrier();
  k.if(lt(lane, together * seekers), () => {
    const highest = k.var("highest", f32(below));
    k.for("i", 0, lanes / seekers, (i) => k.assign(highest, max(highest, k.loadShared(weights, add(mul(lane, lanes / seekers), i)))));
    k.storeShared(peaks, lane, highest);
  });
  k.barrier();
  const peak = (h: KExpr): KExpr =>
    range(seekers)
      .map((i) => k.loadShared(peaks, add(mul(h, seekers), i)))
      .reduce((a, c) => max(a, c));
  scores.forEach((score, h) => k.storeShared(weights, add(lane, h * lanes), weightOf(k, score, k.let(`peak${h}`, peak(u32(h))))));
  k.barrier();
  const out = k.bind(parts, "read_write");
  k.for(
    "i",
    lane,
    together * width,
    (i) => {
      const [h, c] = [k.let("h", div(i, width)), k.let("c", mod(i, width))];
      const [value, sum] = [k.var("value", f32(0)), k.var("sum", f32(0))];
      k.for("j", 0, count, (j) => {
        const weight = k.let("weight", k.loadShared(weights, add(mul(h, lanes), j)));
        k.assign(sum, add(sum, weight));
        const at = cacheIndex(job, cache, "value", b, cache.slot(add(start, j)), add(source, c));
        k.assign(value, fma(weight, k.load(buffer, at), value));
      });
      const part = k.let("part", partIndex(job, b, add(head, h), splits, split));
      k.store(out, add(part, c), value);
      k.if(lt(c, 1), () => {
        k.store(out, add(part, width), sum);
        k.store(out, add(part, width + 1), peak(h));
      });
    },
    lanes,
  );
  const queryCount = queryElements(job);
  const groups = `d.B*${blocks}`;
  const left = `4*d.B*${node.heads * (width + 2)}*${splitsOf(job)}`;
  context.emit({
    built: k.finish(),
    grid: flatGrid(`${groups}*${splitsOf(job)}`),
    cost: {
      flops: `d.B*${node.heads}*${5 * width + 4}*${stepsNeeded(job)}`,
      bytes: `4*${queryCount}*${splitsOf(job)}+8*${groups}*${width}*${stepsNeeded(job)}+${left}`,
      minimum: `4*${queryCount}+8*d.B*${job.inner}*${stepsNeeded(job)}+${left}`,
      serial: `${width + lanes * Math.ceil((together * width) / lanes)}`,
    },
    when,
  });
}

function joinParts(job: AttentionJob, parts: number, when: string): void {
  const { node, id, context, width } = job;
  const k = kernelBuilder("attention_join", 64);
  const i = k.let("i", flatLane(64));
  k.if(lt(i, mul(dim("B"), node.heads * width)), () => {
    const { splits } = splitsIn(k, job);
    const rest = k.let("rest", div(i, width));
    const [b, head, c] = [k.let("b", div(rest, node.heads)), k.let("head", mod(rest, node.heads)), k.let("c", mod(i, width))];
    const buffer = k.bind(parts);
    const load = (split: KExpr, at: KExpr): KExpr => k.load(buffer, add(partIndex(job, b, head, splits, split), at));
    const most = k.var("most", f32(below));
    k.for("split", 0, splits, (split) => k.assign(most, max(most, load(split, u32(width + 1)))));
    const [value, sum] = [k.var("value", f32(0)), k.var("sum", f32(0))];
    k.for("split", 0, splits, (split) => {
      const weight = k.let("weight", weightOf(k, k.let("peak", load(split, u32(width + 1))), most));
      k.assign(value, fma(weight, load(split, c), value));
      k.assign(sum, fma(weight, load(split, u32(width)), sum));
    });
    const at = { b, l: stepTime(), c: k.let("channel", add(mul(head, width), c)) };
    write(k, context.result(id), at, applyPost(k, node, [div(value, sum)], at, context));
  });
  const count = queryElements(job);
  const rest = `4*${count}+${postBytes(node, context.entry, context)}`;
  const words = `4*d.B*${node.heads}*${splitsOf(job)}`;
  context.emit({
    built: k.finish(),
    grid: flatGrid(groupsOf(count, 64)),
    cost: {
      flops: `${8 + flopsOf(node.post)}*${count}*${splitsOf(job)}`,
      bytes: `${words}*${width + 2 * Math.ceil(width / 64)}+${rest}`,
      minimum: `${words}*${width + 2}+${rest}`,
      serial: `2*${splitsOf(job)}`,
    },
    when,
  });
}
