/**
 * Attention of many queries: a workgroup takes 16 queries of one head over the steps they see, 32 at a time. A lane has two
 * queries throughout: four of the tile's scores for each, later an eighth of the channels. Weights pass from the one to the
 * other through workgroup memory; the running maxima and sums stay in registers. Three barriers a tile of steps.
 */
import { bug } from "../../ir/error.ts";
import {
  below,
  type AttentionJob,
  type Cache,
  cacheIndex,
  firstSeen,
  placeOf,
  queryElements,
  type Segment,
  segmentsOf,
  stepsNeeded,
  stepsSeen,
  weightOf,
} from "./attention-job.ts";
import {
  add,
  and,
  dim,
  div,
  f32,
  fma,
  ge,
  type KernelBuilder,
  kernelBuilder,
  type KExpr,
  lane,
  le,
  lt,
  max,
  min,
  mod,
  mul,
  select,
  sub,
} from "./kit.ts";
import { applyPost, flatGrid, flatGroup, flopsOf, postBytes, read, type ValueRef, write } from "./schedule.ts";

/** Queries and steps of a tile, queries of a lane, and lanes side by side over steps or channels. */
const tile = { rows: 16, steps: 32, perLane: 2, across: 8 };
const lanes = (tile.rows / tile.perLane) * tile.across;
/** Words from one step's weights to the next's: no two of them that are read at once share a bank. */
const stride = tile.rows + 1;
/** The most channels of a head that one workgroup sums. */
const mostChannels = 128;

const range = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i);

/** What a lane keeps of one of its queries. */
interface Row {
  /** In the tile. */
  readonly row: KExpr;
  readonly l: KExpr;
  readonly place: KExpr;
  readonly first: KExpr;
  /** Running maximum, and the sum of the weights this lane made. */
  readonly most: KExpr;
  readonly sum: KExpr;
  /** Sums of weighted values, for each of the lane's channels. */
  readonly values: readonly KExpr[];
}

/** Attends from the queries `q` to the steps in `fresh`, and of a window in its ring. */
export function attendByTiles(job: AttentionJob, q: ValueRef, fresh: Cache, when: string): void {
  const { node, id, context, width } = job;
  const blocks = Math.ceil(width / mostChannels);
  const size = Math.ceil(width / blocks);
  const k = kernelBuilder("attention_tiles", lanes);
  const weights = k.shared("weights", tile.steps * stride);
  const peaks = k.shared("peaks", tile.rows * tile.across);
  const tiles = k.let("tiles", div(add(dim("L"), tile.rows - 1), tile.rows));
  const flat = k.let("flat", min(flatGroup(), sub(mul(mul(dim("B"), node.heads * blocks), tiles), 1)));
  const begin = k.let("begin", mul(mod(flat, tiles), tile.rows));
  const rest = k.let("rest", div(flat, tiles));
  const head = k.let("head", mod(div(rest, blocks), node.heads));
  const at = {
    b: k.let("b", div(rest, node.heads * blocks)),
    head,
    source: k.let("source", mul(div(head, node.heads / node.kvHeads), width)),
  };
  const firstChannel = k.let("channel", mul(mod(rest, blocks), size));
  const column = k.let("column", mod(lane, tile.across));
  const channels = range(Math.ceil(size / tile.across)).map((i) =>
    k.let(`c${i}`, min(add(firstChannel, add(column, i * tile.across)), width - 1)),
  );
  const rows = range(tile.perLane).map((i): Row => {
    const row = k.let(`row${i}`, add(mul(div(lane, tile.across), tile.perLane), i));
    const l = k.let(`l${i}`, min(add(begin, row), sub(dim("L"), 1)));
    const place = k.let(`place${i}`, placeOf(job, l));
    const first = k.let(`first${i}`, firstSeen(job, place));
    const values = channels.map((_, j) => k.var(`y${i}_${j}`, f32(0)));
    return { row, l, place, first, most: k.var(`most${i}`, f32(below)), sum: k.var(`sum${i}`, f32(0)), values };
  });
  const from = k.let("from", firstSeen(job, placeOf(job, begin)));
  const to = k.let("to", add(placeOf(job, min(add(begin, tile.rows - 1), sub(dim("L"), 1))), 1));
  for (const segment of segmentsOf(job, fresh, from, to)) {
    const cache = k.bind(segment.cache.buffer);
    k.for(
      "start",
      segment.from,
      segment.to,
      (start) => {
        scoreTile(k, job, { q, at, rows, column, segment, start, cache, weights, peaks });
        k.barrier();
        const steps = k.let("steps", min(tile.steps, sub(segment.to, start)));
        const sums = (hidden: boolean): void => sumTile(k, job, { at, rows, channels, segment, start, steps, cache, weights }, hidden);
        const past = le(add(start, steps), add(placeOf(job, begin), 1));
        k.if(
          node.window === undefined ? past : and(past, ge(start, firstSeen(job, sub(to, 1)))),
          () => sums(false),
          () => sums(true),
        );
        k.barrier();
      },
      tile.steps,
    );
  }
  // The lanes of a query have each summed the weights they made.
  for (const { row, sum } of rows) k.storeShared(peaks, add(mul(row, tile.across), column), sum);
  k.barrier();
  rows.forEach(({ row, l, values }) => {
    const parts = range(tile.across).map((i) => k.loadShared(peaks, add(mul(row, tile.across), i)));
    const total = k.let(
      "total",
      parts.reduce((a, b) => add(a, b)),
    );
    k.if(lt(add(begin, row), dim("L")), () =>
      values.forEach((value, n) => {
        const c = add(firstChannel, add(column, n * tile.across));
        const finish = (): void => {
          const here = { b: at.b, l, c: k.let("c", add(mul(head, width), c)) };
          write(k, context.result(id), here, applyPost(k, node, [div(value, total)], here, context));
        };
        const own = add(column, n * tile.across);
        if (size % tile.across === 0 && blocks * size === width) finish();
        else k.if(and(lt(own, size), lt(c, width)), finish);
      }),
    );
  });
  const queries = queryElements(job);
  const groups = `d.B*${node.heads * blocks}`;
  const own = `4*${queries}+${postBytes(node, context.entry, context)}`;
  context.emit({
    built: k.finish(),
    grid: flatGrid(`${groups}*Math.ceil(d.L/${tile.rows})`),
    cost: {
      flops: `${groups}*${2 * width + 2 * size + 4}*${stepsSeen(job, 1)}+${1 + flopsOf(node.post)}*${queries}`,
      bytes: `4*${blocks}*${queries}+4*${groups}*${width + size}*${stepsSeen(job, tile.rows)}+${own}`,
      minimum: `4*${queries}+8*d.B*${job.inner}*${stepsNeeded(job)}+${own}`,
      serial: `${width + tile.steps}*Math.ceil(${stepsNeeded(job)}/${tile.steps})`,
    },
    when,
  });
}

interface SumTile extends Pick<ScoreTile, "at" | "rows" | "segment" | "start" | "cache" | "weights"> {
  readonly channels: readonly KExpr[];
  readonly steps: KExpr;
}

/** Adds the tile's weighted values; of steps that some query does not see where `hidden`, so that no infinity of theirs meets its 0. */
function sumTile(
  k: KernelBuilder,
  job: AttentionJob,
  { at, rows, channels, segment, start, steps, cache, weights }: SumTile,
  hidden: boolean,
): void {
  k.for("j", 0, steps, (j) => {
    const step = k.let("step", add(start, j));
    const slot = k.let("slot", segment.cache.slot(step));
    const of = rows.map((row, i) => ({
      weight: k.let(`w${i}`, k.loadShared(weights, add(mul(j, stride), row.row))),
      visible: hidden ? k.let(`v${i}`, seen(job, row, step, segment)) : undefined,
      values: row.values,
    }));
    channels.forEach((c, n) => {
      const value = k.let("value", k.load(cache, cacheIndex(job, segment.cache, "value", at.b, slot, add(at.source, c))));
      for (const { weight, visible, values } of of) {
        const sum = values[n] ?? bug("no sum");
        const more = fma(weight, value, sum);
        k.assign(sum, visible === undefined ? more : select(visible, more, sum));
      }
    });
  });
}

/** Whether a query sees a step. */
function seen({ node }: AttentionJob, row: Row, step: KExpr, { to }: Segment): KExpr {
  const past = and(le(step, row.place), lt(step, to));
  return node.window === undefined ? past : and(past, ge(step, row.first));
}

interface ScoreTile {
  readonly q: ValueRef;
  readonly at: { readonly b: KExpr; readonly head: KExpr; readonly source: KExpr };
  readonly rows: readonly Row[];
  readonly column: KExpr;
  readonly segment: Segment;
  readonly start: KExpr;
  readonly cache: string;
  readonly weights: string;
  readonly peaks: string;
}

/** Scores of a lane's queries with an eighth of the tile's steps each; the maxima move on, and the weights lie in workgroup memory. */
function scoreTile(k: KernelBuilder, job: AttentionJob, { q, at, rows, column, segment, start, cache, weights, peaks }: ScoreTile): void {
  const { width, node } = job;
  const steps = range(tile.steps / tile.across).map((i) => {
    const s = k.let(`s${i}`, add(start, add(column, i * tile.across)));
    return { s, slot: k.let(`slot${i}`, segment.cache.slot(min(s, sub(segment.to, 1)))) };
  });
  const scores = rows.map((_, i) => steps.map((__, j) => k.var(`score${i}_${j}`, f32(0))));
  k.for("c", 0, width, (c) => {
    const own = k.let("own", add(mul(at.head, width), c));
    const queries = rows.map(({ l }, i) => k.let(`q${i}`, read(k, q, { b: at.b, l, c: own })));
    const keyed = k.let("keyed", add(at.source, c));
    steps.forEach(({ slot }, j) => {
      const key = k.let("key", k.load(cache, cacheIndex(job, segment.cache, "key", at.b, slot, keyed)));
      queries.forEach((query, i) => {
        const score = scores[i]?.[j] ?? bug("no score");
        k.assign(score, fma(query, key, score));
      });
    });
  });
  rows.forEach((row, i) => {
    steps.forEach(({ s }, j) => {
      const score = scores[i]?.[j] ?? bug("no score");
      k.assign(score, select(seen(job, row, s, segment), mul(score, node.scale), f32(below)));
      k.storeShared(weights, add(mul(add(column, j * tile.across), stride), row.row), score);
    });
    const highest = (scores[i] ?? []).reduce((a, b) => max(a, b));
    k.storeShared(peaks, add(mul(row.row, tile.across), column), highest);
  });
  k.barrier();
  const moved = rows.map((row, i) => {
    const highest = range(tile.across)
      .map((n) => k.loadShared(peaks, add(mul(row.row, tile.across), n)))
      .reduce((a, b) => max(a, b));
    const most = k.let(`peak${i}`, max(row.most, highest));
    const keep = k.let(`keep${i}`, weightOf(k, row.most, most));
    k.assign(row.most, most);
    k.assign(row.sum, mul(row.sum, keep));
    for (const value of row.values) k.assign(value, mul(value, keep));
    return most;
  });
  // A loop, and the scores from workgroup memory: written out, so many exponentials take some adapters minutes to compile.
  k.for(
    "s",
    column,
    tile.steps,
    (s) => {
      const step = k.let("step", add(start, s));
      rows.forEach((row, i) => {
        const at = k.let("at", add(mul(s, stride), row.row));
        const weight = k.let(
          "weight",
          select(seen(job, row, step, segment), weightOf(k, k.loadShared(weights, at), moved[i] ?? row.most), f32(0)),
        );
        k.assign(row.sum, add(row.sum, weight));
        k.storeShared(weights, at, weight);
      });
    },
    tile.across,
  );
}
