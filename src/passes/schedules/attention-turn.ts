/**
 * Rotary places and the cache of an attention node: queries turned into a buffer of their own, keys turned and stored with
 * their values, and the ring of a window's steps brought up to date. A lane an element each.
 *
 * The angle t theta_i is the sum of those of t's digits to the base 256, so its cosine and sine are a product of entries of a
 * table made in float64: exact to a few units of the last place at any t.
 */
import { bug } from "../../ir/error.ts";
import type { ValueRef as Ref } from "./schedule.ts";
import { type AttentionJob, type Cache, cacheIndex, keptCache, placeOf, queryElements } from "./attention-job.ts";
import {
  add,
  bitand,
  cmul,
  type Complex,
  dim,
  div,
  eq,
  ge,
  type KernelBuilder,
  kernelBuilder,
  type KExpr,
  lt,
  mod,
  mul,
  neg,
  select,
  shr,
  sub,
  fma,
} from "./kit.ts";
import { channelsOf, type Coords, elements, flatGrid, flatLane, groupsOf, indexOf, read, type Size, stepTime } from "./schedule.ts";

const lanes = 64;
const radix = 256;

/** Digits of the largest place: a stream with a window has no end but that of a u32. */
const digitsOf = ({ node, context }: AttentionJob): number =>
  node.window === undefined ? Math.max(1, Math.ceil(Math.log(context.maxLength) / Math.log(radix))) : 4;

/** Operations that turn one channel. */
const turnFlops = (job: AttentionJob): number => (job.node.rope === undefined ? 0 : 6 * (digitsOf(job) - 1) + 4);

/** Bytes that turning `size` channels reads beyond them: of the table, and of each pair's other channel where another workgroup has it. */
function turnBytes(job: AttentionJob, size: Size): { readonly bytes: string; readonly minimum: string } {
  const { rope } = job.node;
  if (rope === undefined) return { bytes: "0", minimum: "0" };
  const digits = digitsOf(job);
  const part = rope.dims / job.width;
  return job.context.entry === "step"
    ? {
        bytes: `${4 * rope.dims * digits}*${groupsOf(size, lanes)}+${job.width > lanes ? 4 * part : 0}*${size}`,
        minimum: `${4 * rope.dims * digits}`,
      }
    : {
        bytes: `${part}*(12*${size}+${8 * (digits - 1)}*${groupsOf(size, lanes)})`,
        minimum: `${4 * rope.dims}*Math.min(${radix * digits},d.L+${digits - 1})`,
      };
}

/** cos and sin of the angle of pair `i` at `place`. */
function angle(k: KernelBuilder, job: AttentionJob, i: KExpr, place: KExpr): Complex {
  const { dims, base } = job.node.rope ?? bug("no rotary places");
  const digits = digitsOf(job);
  const { turns = bug("no table") } = job.context.table({
    maker: "rotary",
    tensors: {},
    options: { dims, base, digits },
    sizes: { turns: digits * radix * dims },
  });
  const table = k.bind(turns);
  const of = (digit: number): Complex => {
    const row = add(bitand(shr(place, 8 * digit), radix - 1), digit * radix);
    const at = k.let("turn", add(mul(row, dims), mul(i, 2)));
    return k.letComplex("turn", { re: k.load(table, at), im: k.load(table, add(at, 1)) });
  };
  return Array.from({ length: digits }, (_, digit) => of(digit)).reduce((a, b) => k.letComplex("angle", cmul(a, b)));
}

/** The value at a place of q or k, turned. */
export function turned(k: KernelBuilder, job: AttentionJob, ref: Ref, at: Coords, place: KExpr): KExpr {
  const { rope } = job.node;
  const x = read(k, ref, at);
  if (rope === undefined) return x;
  const pairs = rope.dims / 2;
  const y = k.var("y", x);
  const c = k.let("c", mod(at.c, job.width));
  const turn = (): void => {
    const second = k.let("second", rope.interleaved ? eq(mod(c, 2), 1) : ge(c, pairs));
    const { re, im } = angle(k, job, k.let("pair", rope.interleaved ? div(c, 2) : mod(c, pairs)), place);
    const apart = rope.interleaved ? 1 : pairs;
    const other = read(k, ref, { ...at, c: k.let("other", select(second, sub(at.c, apart), add(at.c, apart))) });
    k.assign(y, fma(re, y, mul(select(second, im, neg(im)), other)));
  };
  if (rope.dims === job.width) turn();
  else k.if(lt(c, rope.dims), turn);
  return y;
}

/** Runs `body` at every element of `channels` channels of this execution. */
function everyChannel(name: string, job: AttentionJob, channels: number, body: (k: KernelBuilder, at: Coords) => void) {
  const k = kernelBuilder(name, lanes);
  const i = k.let("i", flatLane(lanes));
  const step = job.context.entry === "step";
  const count = mul(dim("B"), channels);
  k.if(lt(i, step ? count : mul(count, dim("L"))), () => {
    const rest = step ? i : k.let("rest", div(i, dim("L")));
    const l = step ? stepTime() : k.let("l", mod(i, dim("L")));
    body(k, { b: k.let("b", div(rest, channels)), c: k.let("c", mod(rest, channels)), l });
  });
  return k.finish();
}

/** The queries as the attending kernels read them; turned ones in a buffer of their own. */
export function turnedQueries(job: AttentionJob): Ref {
  const { node, context } = job;
  const q = context.value(node.args[0] ?? bug("attention without q"));
  if (node.rope === undefined) return q;
  const size = queryElements(job);
  const layout = context.entry === "step" ? "BC" : "BCL";
  const target: Ref = { ...q, buffer: context.temp(size), layout, channels: channelsOf(q.type), place: (c) => c, reversed: false };
  const built = everyChannel("attention_turn", job, channelsOf(q.type), (k, at) =>
    k.store(k.bind(target.buffer, "read_write"), indexOf(target, at), turned(k, job, q, at, k.let("place", placeOf(job, at.l)))),
  );
  emitElements(job, built, size, `8*${size}`, turnBytes(job, size), turnFlops(job));
  return target;
}

/** Stores keys, turned, and values of this execution. */
export function storeSteps(job: AttentionJob, fresh: Cache): void {
  const { context, inner } = job;
  const built = everyChannel("attention_store", job, inner, (k, at) => {
    const place = k.let("place", placeOf(job, at.l));
    const slot = k.let("slot", fresh.slot(place));
    const cache = k.bind(fresh.buffer, "read_write");
    k.store(cache, cacheIndex(job, fresh, "key", at.b, slot, at.c), turned(k, job, job.k, at, place));
    k.store(cache, cacheIndex(job, fresh, "value", at.b, slot, at.c), read(k, job.v, at));
  });
  const size = elements(job.k.type, context.entry);
  const reads = new Set(job.node.args.slice(1, 3)).size;
  emitElements(job, built, size, `${8 + 4 * reads}*${size}`, turnBytes(job, size), turnFlops(job));
}

/** Brings the ring of a window up to date with the steps of this execution. */
export function keepWindow(job: AttentionJob, fresh: Cache): void {
  const { node, inner } = job;
  const window = node.window ?? bug("a ring without a window");
  const ring = keptCache(job);
  const k = kernelBuilder("attention_keep", lanes);
  const i = k.let("i", flatLane(lanes));
  const steps = `Math.min(d.L,${window})`;
  const last = add(dim("pos"), dim("L"));
  k.if(lt(i, mul(dim("B"), inner * window)), () => {
    const rest = k.let("rest", div(i, window));
    const [b, c] = [k.let("b", div(rest, inner)), k.let("c", mod(rest, inner))];
    // The steps of this execution, counted back from its last.
    const back = k.let("back", mod(i, window));
    k.if(lt(back, dim("L")), () => {
      const place = k.let("place", sub(sub(last, 1), back));
      for (const part of ["key", "value"] as const)
        k.store(
          k.bind(ring.buffer, "read_write"),
          cacheIndex(job, ring, part, b, ring.slot(place), c),
          k.load(k.bind(fresh.buffer), cacheIndex(job, fresh, part, b, fresh.slot(place), c)),
        );
    });
  });
  emitElements(job, k.finish(), `d.B*${inner * window}`, `16*d.B*${inner}*${steps}`, { bytes: "0", minimum: "0" }, 0);
}

function emitElements(
  { context }: AttentionJob,
  built: ReturnType<KernelBuilder["finish"]>,
  size: Size,
  own: string,
  more: { readonly bytes: string; readonly minimum: string },
  flops: number,
): void {
  const cost = { flops: `${flops}*${size}`, bytes: `${own}+${more.bytes}`, minimum: `${own}+${more.minimum}` };
  context.emit({ built, grid: flatGrid(groupsOf(size, lanes)), cost });
}
