/** Calls of kernel functions as the simulator evaluates them: f32 rounded after every operation, integers modulo 2^32. */
import { scalarDef, type ScalarFn } from "../../src/ir/expr.ts";
import { fromHalf } from "../../src/weights/half.ts";
import type { KFn, KType } from "../../src/ir/kernel.ts";

/** What a lane has while it runs. */
export interface Lane {
  readonly index: number;
  /** Its number in the dispatch, from 1. */
  readonly invocation: number;
  readonly group: readonly [number, number, number];
  readonly slots: Float64Array;
}

export type Value = (lane: Lane) => number;

const truth = (b: boolean): number => (b ? 1 : 0);
const free = new Set<KFn>(["neg", "select", "float", "uint", "frombits"]);

/** Integer arithmetic as WGSL defines it: modulo 2^32, and x / 0 = x, x % 0 = 0. */
const integers: Partial<Record<KFn, (a: number, b: number) => number>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => Math.imul(a, b),
  div: (a, b) => (b === 0 ? a : Math.trunc(a / b)),
  mod: (a, b) => (b === 0 ? 0 : a % b),
  shl: (a, b) => a << (b & 31),
  shr: (a, b) => a >>> (b & 31),
  bitand: (a, b) => a & b,
  bitor: (a, b) => a | b,
  bitxor: (a, b) => a ^ b,
  min: Math.min,
  max: Math.max,
};

const compares: Partial<Record<KFn, (a: number, b: number) => number>> = {
  lt: (a, b) => truth(a < b),
  le: (a, b) => truth(a <= b),
  gt: (a, b) => truth(a > b),
  ge: (a, b) => truth(a >= b),
  eq: (a, b) => truth(a === b),
  ne: (a, b) => truth(a !== b),
};

/** A call of `args`, the first of type `from`; adds to `counts` when it runs. */
export function evaluateCall(counts: { flops: number }, fn: KFn, type: KType, from: KType | undefined, args: readonly Value[]): Value {
  const [a = fail(fn), b = a, c = b] = args;
  const compare = compares[fn];
  if (compare !== undefined) return (lane) => compare(a(lane), b(lane));
  if (fn === "and") return (lane) => truth(a(lane) !== 0 && b(lane) !== 0);
  if (fn === "or") return (lane) => truth(a(lane) !== 0 || b(lane) !== 0);
  if (fn === "not") return (lane) => truth(a(lane) === 0);
  if (fn === "select")
    return (lane) => {
      const [condition, then, otherwise] = [a(lane), b(lane), c(lane)];
      return condition !== 0 ? then : otherwise;
    };
  if (fn === "half") return (lane) => fromHalf(a(lane) & 0xffff);
  if (fn === "float") return (lane) => Math.fround(a(lane));
  if (fn === "uint") return from === "f32" ? (lane) => Math.min(Math.max(Math.trunc(a(lane)), 0), 2 ** 32 - 1) : (lane) => a(lane) >>> 0;
  if (fn === "bits") return (lane) => new Uint32Array(Float32Array.of(a(lane)).buffer)[0] ?? 0;
  if (fn === "frombits") return (lane) => new Float32Array(Uint32Array.of(a(lane)).buffer)[0] ?? 0;
  if (type === "u32" || type === "i32") {
    const operation = integers[fn] ?? fail(`no ${fn} of integers`);
    return type === "u32" ? (lane) => operation(a(lane), b(lane)) >>> 0 : (lane) => operation(a(lane), b(lane)) | 0;
  }
  const { eval: evaluate } = scalarDef(fn as ScalarFn);
  const cost = free.has(fn) ? 0 : 1;
  if (args.length === 1)
    return (lane) => {
      counts.flops += cost;
      return Math.fround(evaluate(a(lane)));
    };
  return (lane) => {
    counts.flops += cost;
    return Math.fround(evaluate(a(lane), b(lane)));
  };
}

function fail(message: string): never {
  throw new Error(`simulate: ${message}`);
}
