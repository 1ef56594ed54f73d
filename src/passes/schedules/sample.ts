/**
 * The next token of every sequence, chosen from its logits: a workgroup a sequence, no sort. The chosen id goes where the
 * next step reads its own, unless an id is there already. Not a schedule of a node: it follows a step of a language model.
 *
 * Tokens are ordered by their logits as integers (`keyOf`). The k-th largest, and the least one of the fewest that hold a
 * share p of the probability, are found bit by bit: 32 passes over the logits, each a count or a sum. Equal logits stay or
 * go together. Of what is left the greatest logit / T + noise wins, which draws by probability.
 * Source: Gumbel, Statistical theory of extreme values (1954); the noise is MurmurHash3's finalizer over a counter.
 */
import type { Kernel } from "../../ir/kernel.ts";
import {
  add,
  and,
  bits,
  bitand,
  bitxor,
  dim,
  eq,
  f32,
  float,
  fma,
  fromBits,
  ge,
  group,
  gt,
  type KernelBuilder,
  kernelBuilder,
  type KExpr,
  lane,
  lt,
  max,
  min,
  mul,
  neg,
  or,
  override,
  select,
  shr,
  sub,
  u32,
  unary,
} from "./kit.ts";
import { joinLanes } from "./schedule.ts";

/** Words of the settings: bits of 1/T (0: greedy) and of p (1: all), k (0: all), seed. */
export const settingsSize = 4;
const setting = { inverse: 0, share: 1, most: 2, seed: 3 } as const;

/** What the sampler reads and writes, by buffers of the plan. */
export interface SampleBuffers {
  readonly logits: number;
  readonly ids: number;
  readonly settings: number;
}

/** Ids from here on are none: the place of one to be chosen, or `fault`. */
const none = 0x80000000;
/** In the place of an id: the logits have no largest, because of NaN or infinity. */
const fault = 0xfffffffe;

const SIGN = 0x80000000;
const INFINITY = 0x7f800000;

/** A u32 that orders floats as they are ordered, both zeros equal, every NaN above all. */
export function keyOf(k: KernelBuilder, x: KExpr): KExpr {
  const raw = k.let("raw", bits(x));
  const size = k.let("size", bitand(raw, SIGN - 1));
  const key = select(ge(raw, SIGN), sub(u32(SIGN), size), add(u32(SIGN), size));
  return k.let("key", select(gt(size, INFINITY), u32(0xffffffff), key));
}

/** MurmurHash3's finalizer. */
function mix(k: KernelBuilder, value: KExpr): KExpr {
  const first = k.let("h", value);
  const second = k.let("h", mul(bitxor(first, shr(first, 16)), u32(0x85ebca6b)));
  const third = k.let("h", mul(bitxor(second, shr(second, 13)), u32(0xc2b2ae35)));
  return k.let("h", bitxor(third, shr(third, 16)));
}

/** An odd number near 2^32 / golden ratio: its multiples spread. */
const SPREAD = 0x9e3779b9;

/**
 * -log(1 - u) of a hash u in (0, 1), to all digits where it is small, for the least of many decides. Powers of it over the
 * probabilities race, the first is drawn.
 */
function exponential(k: KernelBuilder, hash: KExpr): KExpr {
  const u = k.let("u", min(mul(add(float(hash), 0.5), f32(2 ** -32)), f32(1 - 2 ** -24)));
  const small = mul(u, fma(u, fma(u, fma(u, f32(1 / 4), f32(1 / 3)), f32(1 / 2)), f32(1)));
  return select(lt(u, f32(2 ** -6)), small, neg(unary("log", sub(f32(1), u))));
}

/** The kernel's parts share these. */
interface Sampler {
  readonly k: KernelBuilder;
  readonly lanes: KExpr;
  /** Does something for every token of this lane, its logit given. */
  readonly each: (body: (token: KExpr, logit: KExpr) => void) => void;
  /** One value of all lanes, known to each. */
  readonly join: (value: KExpr, of: (a: KExpr, b: KExpr) => KExpr) => KExpr;
}

/** The sampler of `vocabulary` tokens, of rows of `width` logits. */
export function sampleKernel(
  buffers: SampleBuffers,
  width: number,
  vocabulary: number,
): { readonly kernel: Kernel; readonly bindings: readonly number[] } {
  const lanes = override("LANES");
  const k = kernelBuilder("sample", lanes);
  k.override("LANES", 256);
  const [logits, ids] = [k.bind(buffers.logits), k.bind(buffers.ids, "read_write", "u32")];
  const settings = k.bind(buffers.settings, "read", "u32");
  const row = k.let("row", mul(add(mul(group(0), dim("L")), dim("t")), width));
  const scratch = { u32: k.shared("scratch", lanes, "u32"), f32: k.shared("sums", lanes) };
  const sampler: Sampler = {
    k,
    lanes,
    each: (body) => k.for("v", lane, vocabulary, (v) => body(v, k.let("x", k.load(logits, add(row, v)))), lanes),
    join: (value, of) => {
      const joined = joinLanes(k, value.type === "f32" ? scratch.f32 : scratch.u32, lanes, value, of);
      // The next one writes where this one is still read.
      k.barrier();
      return joined;
    },
  };
  const first = greatest(sampler, (_, x) => keyOf(k, x));
  const chosen = k.var("chosen", first.token);
  const inverse = k.let("inverse", fromBits(k.load(settings, u32(setting.inverse))));
  k.if(gt(inverse, 0), () => {
    const top = k.let("top", k.load(logits, add(row, first.token)));
    const least = leastKey(sampler, {
      most: k.let("most", k.load(settings, u32(setting.most))),
      share: k.let("share", fromBits(k.load(settings, u32(setting.share)))),
      weight: (x) => unary("exp", mul(sub(x, top), inverse)),
    });
    const counter = mix(k, bitxor(mix(k, bitxor(mix(k, k.load(settings, u32(setting.seed))), dim("pos"))), group(0)));
    const drawn = greatest(sampler, (v, x) => {
      const noise = exponential(k, mix(k, add(counter, mul(v, SPREAD))));
      const kept = k.let("kept", ge(keyOf(k, x), least));
      return select(kept, keyOf(k, sub(mul(sub(x, top), inverse), unary("log", noise))), u32(0));
    });
    k.assign(chosen, drawn.token);
  });
  // Below the key of -infinity there is none, and above that of the largest number only infinity and NaN.
  const bad = or(gt(first.key, SIGN + INFINITY - 1), lt(first.key, SIGN - INFINITY + 1));
  const next = k.let("next", add(add(mul(group(0), dim("L")), dim("t")), 1));
  k.if(eq(lane, 0), () => k.if(ge(k.load(ids, next), none), () => k.store(ids, next, select(bad, u32(fault), chosen))));
  return k.finish();
}

/** The token of the greatest key, the lowest of several. */
function greatest(
  { k, each, join }: Sampler,
  keyFor: (token: KExpr, logit: KExpr) => KExpr,
): { readonly key: KExpr; readonly token: KExpr } {
  const best = k.var("best", u32(0));
  const token = k.var("token", lane);
  each((v, x) => {
    const key = k.let("own", keyFor(v, x));
    k.if(gt(key, best), () => {
      k.assign(best, key);
      k.assign(token, v);
    });
  });
  const key = join(best, max);
  return { key, token: join(select(and(eq(best, key), gt(key, 0)), token, u32(0xffffffff)), min) };
}

/** The least key of the tokens that may be drawn. */
function leastKey(
  { k, each, join }: Sampler,
  { most, share, weight }: { readonly most: KExpr; readonly share: KExpr; readonly weight: (logit: KExpr) => KExpr },
): KExpr {
  /** The greatest key for which what the tokens from it on add up to is `wanted`. */
  const search = (zero: KExpr, wanted: KExpr, from: KExpr, term: (x: KExpr) => KExpr): KExpr => {
    const found = k.var("found", u32(0));
    k.for("bit", 0, 32, (bit) => {
      const tried = k.let("tried", add(found, shr(u32(SIGN), bit)));
      const sum = k.var("sum", zero);
      each((_, x) => k.if(ge(keyOf(k, x), max(tried, from)), () => k.assign(sum, add(sum, term(x)))));
      k.if(ge(join(sum, add), wanted), () => k.assign(found, tried));
    });
    return found;
  };
  const least = k.var("least", u32(0));
  k.if(gt(most, 0), () =>
    k.assign(
      least,
      search(u32(0), most, u32(0), () => u32(1)),
    ),
  );
  k.if(lt(share, 1), () => {
    const total = k.var("total", f32(0));
    each((_, x) => k.if(ge(keyOf(k, x), least), () => k.assign(total, add(total, weight(x)))));
    const wanted = k.let("wanted", mul(join(total, add), share));
    k.assign(least, max(least, search(f32(0), wanted, least, weight)));
  });
  return least;
}
