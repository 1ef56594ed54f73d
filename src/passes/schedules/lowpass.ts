/**
 * The lowest frequencies of a whole sequence, by direct sums: y_m = sum_l w_{mp - l} x_l with L weights of period L, which one dispatch
 * makes and another reads. The sum of cosines that a weight is has a closed form, for n = L/p steps
 *
 *     w_d = sin(pi d / p) c_d / (L sin(pi d / L)),    c_d = cos(pi d / L) where n is even, else 1;    w_0 = 1/p
 *
 * All arguments are reduced in whole numbers to at most pi/2, where the sine is a polynomial: no function of the device is trusted.
 */
import { bug } from "../../ir/error.ts";
import type { LowpassNode, ValueId } from "../../ir/graph.ts";
import {
  add,
  dim,
  div,
  eq,
  f32,
  float,
  fma,
  ge,
  group,
  gt,
  kernelBuilder,
  type KernelBuilder,
  type KExpr,
  lane,
  le,
  lt,
  min,
  mod,
  mul,
  neg,
  select,
  sub,
  u32,
} from "./kit.ts";
import {
  channelsOf,
  type Coords,
  elements,
  flatGrid,
  flatLane,
  groupsOf,
  type LowerContext,
  read,
  schedule,
  type Schedule,
  write,
} from "./schedule.ts";

const lanes = 64;
/** Terms that are summed by themselves: what roundings add up to grows with the root of these and of how many sums there are. */
const terms = 64;

/** Taylor coefficients of sin(pi r) in r, r^3, ..: for r up to 1/2 what is left out is below 1e-9. */
const sineTerms = 7;
const coefficients = Array.from({ length: sineTerms }, (_, k) => {
  let c = Math.PI;
  for (let i = 1; i <= k; i++) c *= -(Math.PI ** 2) / (2 * i * (2 * i + 1));
  return c;
});

/** sin(pi a / b) of whole numbers 0 <= 2 a <= b. */
function sine(k: KernelBuilder, name: string, a: KExpr, b: KExpr): KExpr {
  const r = k.let(`${name}_turn`, div(float(a), float(b)));
  const square = k.let(`${name}_square`, mul(r, r));
  const series = coefficients.reduceRight<KExpr | undefined>(
    (sum, c) => (sum === undefined ? f32(c) : fma(sum, square, f32(c))),
    undefined,
  );
  return k.let(name, mul(r, series ?? bug("no terms")));
}

const signed = (negative: KExpr, x: KExpr): KExpr => select(negative, neg(x), x);

function emitWeights(by: number, weights: number, context: LowerContext): void {
  const k = kernelBuilder("lowpass_weights", lanes);
  const d = k.let("d", flatLane(lanes));
  const L = k.let("length", mul(dim("L"), by));
  k.if(lt(d, L), () => {
    const turn = k.let("turn", mod(d, 2 * by));
    const half = k.let("half", mod(turn, by));
    const top = sine(k, "top", min(half, sub(u32(by), half)), u32(by));
    const back = k.let("back", sub(L, d));
    const near = k.let("near", min(d, back));
    const bottom = sine(k, "bottom", near, L);
    const cosine = sine(k, "cosine", sub(L, mul(near, 2)), mul(L, 2));
    const even = k.let("even", select(eq(mod(dim("L"), 2), 0), signed(gt(d, back), cosine), f32(1)));
    const weight = div(mul(signed(ge(turn, by), top), even), mul(float(L), bottom));
    k.store(k.bind(weights, "read_write"), d, select(eq(d, 0), f32(1 / by), weight));
  });
  const bytes = `${4 * by}*d.L`;
  context.emit({
    built: k.finish(),
    grid: flatGrid(groupsOf(`${by}*d.L`, lanes)),
    cost: { flops: `${6 * sineTerms + 10}*${by}*d.L`, bytes, minimum: bytes },
  });
}

function lower(node: LowpassNode, id: ValueId, context: LowerContext): void {
  const { by } = node;
  const x = context.value(node.args[0] ?? bug("lowpass"));
  const channels = channelsOf(node.type);
  const weights = context.temp(`${by}*d.L`);
  emitWeights(by, weights, context);
  const k = kernelBuilder("lowpass", lanes);
  const w = k.bind(weights);
  const m = k.let("m", add(mul(group(0), lanes), lane));
  const at: Coords = { b: group(2), c: group(1), l: m };
  k.if(lt(m, dim("L")), () => {
    const L = k.let("length", mul(dim("L"), by));
    const centre = k.let("centre", mul(m, by));
    const sum = k.var("sum", f32(0));
    const weightAt = (l: KExpr): KExpr => sub(select(le(l, centre), centre, add(centre, L)), l);
    const block = (first: KExpr): void => {
      const part = k.var("part", f32(0));
      k.for("l", first, min(add(first, terms), L), (l) => k.assign(part, fma(k.load(w, weightAt(l)), read(k, x, { ...at, l }, L), part)));
      k.assign(sum, add(sum, part));
    };
    k.for("first", 0, L, block, terms);
    write(k, context.result(id), at, sum);
  });
  const size = elements(node.type, context.entry);
  const whole = `${by}*${size}`;
  context.emit({
    built: k.finish(),
    grid: [groupsOf("d.L", lanes), channels, "d.B"],
    cost: {
      flops: `${2 * by}*d.L*${size}`,
      bytes: `4*${size}+8*${whole}*${groupsOf("d.L", lanes)}`,
      minimum: `4*${size}+4*${whole}+${4 * by}*d.L`,
      serial: `${by}*d.L`,
    },
  });
}

export const lowpassSchedule: Schedule = schedule<LowpassNode>({
  name: "lowpass-direct",
  doc: "direct sums with weights in closed form, a lane a step that is left",
  op: "lowpass",
  applies: (_, __, context) => context.entry === "whole",
  lower,
});
