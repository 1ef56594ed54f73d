/**
 * What the kernels of one attention node share: its sizes, where keys and values of which steps lie, and costs of sums over
 * pairs of steps. Keys lie channel-major, so that lanes over steps read neighbours; values step-major, so that lanes over
 * channels do: a cache of S steps is, for each sequence, keys `[inner][S]`, then values `[S][inner]`. No kernel, no schedule.
 */
import { bug } from "../../ir/error.ts";
import type { AttentionNode, ValueId } from "../../ir/graph.ts";
import { add, dim, f32, ge, type KernelBuilder, type KExpr, lt, max, mod, mul, select, sub, u32, unary } from "./kit.ts";
import { channelsOf, type LowerContext, type Size, type ValueRef } from "./schedule.ts";

/** One node in one entry point. */
export interface AttentionJob {
  readonly node: AttentionNode;
  readonly id: ValueId;
  readonly context: LowerContext;
  /** Channels of a head. */
  readonly width: number;
  /** Channels of k, and of v. */
  readonly inner: number;
  readonly k: ValueRef;
  readonly v: ValueRef;
}

export function jobOf(node: AttentionNode, id: ValueId, context: LowerContext): AttentionJob {
  const [, k = bug("attention without k"), v = bug("attention without v")] = node.args;
  const width = channelsOf(node.type) / node.heads;
  return { node, id, context, width, inner: node.kvHeads * width, k: context.value(k), v: context.value(v) };
}

/** Keys and values of some steps in a buffer. */
export interface Cache {
  readonly buffer: number;
  /** Steps it has room for. */
  readonly slots: KExpr;
  /** Where a step lies, by its place in the stream. */
  readonly slot: (place: KExpr) => KExpr;
}

/** Where the keys and values of this execution are written. */
export function freshCache(job: AttentionJob): Cache {
  const { context } = job;
  if (context.entry === "step" || (context.entry === "resume" && job.node.window === undefined)) return keptCache(job);
  const first = context.entry === "whole" ? u32(0) : dim("pos");
  const buffer = context.temp(`d.B*${2 * job.inner}*d.L`);
  return { buffer, slots: dim("L"), slot: (place) => sub(place, first) };
}

/** What a stream keeps: all steps up to the longest stream, or a ring of a window's. */
export function keptCache({ node, id, context, inner }: AttentionJob): Cache {
  const steps = node.window ?? context.maxLength;
  const buffer = context.state(id, `d.B*${2 * inner * steps}`);
  return { buffer, slots: u32(steps), slot: (place) => (node.window === undefined ? place : mod(place, steps)) };
}

/** The element of channel `c` of a step's key, or of its value. */
export function cacheIndex({ inner }: AttentionJob, { slots }: Cache, part: "key" | "value", b: KExpr, slot: KExpr, c: KExpr): KExpr {
  const first = mul(mul(b, 2 * inner), slots);
  return part === "key" ? add(first, add(mul(c, slots), slot)) : add(first, add(mul(inner, add(slots, slot)), c));
}

/** The place of time step `l` of this execution in its stream. */
export const placeOf = ({ context }: AttentionJob, l: KExpr): KExpr =>
  context.entry === "whole" ? l : context.entry === "step" ? dim("pos") : add(dim("pos"), l);

/** The first step that the query at `place` sees. */
export const firstSeen = ({ node: { window } }: AttentionJob, place: KExpr): KExpr =>
  window === undefined ? u32(0) : select(ge(place, window), sub(place, window - 1), u32(0));

/** Places that lie in one cache. */
export interface Segment {
  readonly cache: Cache;
  readonly from: KExpr;
  readonly to: KExpr;
}

/** The caches that hold the steps from place `from` up to before `to`, which is one of this execution. */
export function segmentsOf(job: AttentionJob, fresh: Cache, from: KExpr, to: KExpr): readonly Segment[] {
  if (job.context.entry !== "resume" || job.node.window === undefined) return [{ cache: fresh, from, to }];
  const begin = max(from, dim("pos"));
  return [
    { cache: keptCache(job), from, to: begin },
    { cache: fresh, from: begin, to },
  ];
}

/** Steps before this execution, as source. */
export const before = ({ context }: AttentionJob): string => (context.entry === "whole" ? "0" : "d.pos");
/** Time steps of this execution, as source. */
export const lengthOf = ({ context }: AttentionJob): string => (context.entry === "step" ? "1" : "d.L");

/** The sum over blocks of `rows` queries of the steps they see together, as source. */
export function stepsSeen(job: AttentionJob, rows: number): string {
  const { window } = job.node;
  const [P, L] = [before(job), lengthOf(job)];
  const blocks = `Math.ceil(${L}/${rows})`;
  if (window === undefined) return `(${blocks}*${P}+${rows / 2}*${blocks}*(${blocks}-1)+${L})`;
  const [first, end] = [`Math.max(0,${P}+${rows}*i-${window - 1})`, `${P}+Math.min(${L},${rows}*i+${rows})`];
  return `Array.from({length:${blocks}},(_,i)=>${end}-${first}).reduce((a,b)=>a+b,0)`;
}

/** Steps whose keys and values this execution needs, as source. */
export const stepsNeeded = (job: AttentionJob): string =>
  job.node.window === undefined
    ? `(${before(job)}+${lengthOf(job)})`
    : `(${lengthOf(job)}+Math.min(${before(job)},${job.node.window - 1}))`;

/** Elements of the queries, or of the result. */
export const queryElements = ({ node, context }: AttentionJob): Size =>
  `d.B*${channelsOf(node.type)}${context.entry === "step" ? "" : "*d.L"}`;

/** Below any score. */
export const below = -3.4e38;

/** What `e^-x` of a larger x is to a sum that holds a 1: nothing. */
const nothing = 87;

/** e^(score - most), 0 where that is lost in any sum; most is not below the score. */
export function weightOf(k: KernelBuilder, score: KExpr, most: KExpr): KExpr {
  const less = k.let("less", sub(score, most));
  return select(lt(less, f32(-nothing)), f32(0), unary("exp", less));
}
