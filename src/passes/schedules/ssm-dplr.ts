/**
 * The recurrence of a system of normal plus low rank in O(N R) a step, as kernels write it: s_r = Re(sum_n q_rn x_n), then
 * x = abar x - sum_r p_r s_r + bbar u and y = Re(sum_n c_n x_n); and the state around a convolution. Not a schedule.
 */
import { bug } from "../../ir/error.ts";
import { add, type Complex, dim, div, f32, fma, kernelBuilder, type KernelBuilder, type KExpr, lt, mod, mul, sub } from "./kit.ts";
import { type Lti } from "./lti.ts";
import { flatGrid, flatLane, groupsOf, type LowerContext, read } from "./schedule.ts";
import { advance, loadState, stateIndex, storeState } from "./ssm-state.ts";
import { channelsSeen } from "./traffic.ts";

/** The parts of the table `[8 + 4R][N][H]`, as the maker `dplr` of `runtime/tables.ts` lays them out. */
const part = { high: 0, low: 2, input: 4, output: 6, p: (r: number): number => 8 + 4 * r, q: (r: number): number => 10 + 4 * r };

/** Reads complex entries of one state of one channel. */
function entryReader(k: KernelBuilder, lti: Lti, n: KExpr, h: KExpr): (of: number) => Complex {
  const table = k.bind(lti.recurrence);
  const load = (q: number): KExpr => k.load(table, add(mul(add(n, q * lti.states), lti.channels), h));
  return (of) => ({ re: load(of), im: load(of + 1) });
}

/** Re(a b) + sum */
const realProduct = (a: Complex, b: Complex, sum: KExpr): KExpr => sub(fma(a.re, b.re, sum), mul(a.im, b.im));

/** The step of one channel: reads the state at `buffer`, stores the next one there, and gives C x. */
export function emitDplrStep(k: KernelBuilder, lti: Lti, buffer: string, b: KExpr, h: KExpr, u: KExpr | undefined): KExpr {
  const ranks = Array.from({ length: lti.rank }, (_, r) => r);
  const inner = ranks.map((r) => k.var(`s${r}`, f32(0)));
  const innerOf = (r: number): KExpr => inner[r] ?? bug("no rank");
  k.for("n", 0, lti.states, (n) => {
    const entry = entryReader(k, lti, n, h);
    const x = k.letComplex("x", loadState(k, lti, buffer, b, n, h));
    for (const r of ranks) k.assign(innerOf(r), realProduct(k.letComplex(`q${r}`, entry(part.q(r))), x, innerOf(r)));
  });
  const sum = k.var("sum", f32(0));
  k.for("n", 0, lti.states, (n) => {
    const entry = entryReader(k, lti, n, h);
    const x = k.letComplex("x", loadState(k, lti, buffer, b, n, h));
    const own = advance(k, { high: k.letComplex("high", entry(part.high)), low: k.letComplex("low", entry(part.low)) }, x, f32(0));
    const low = ranks.reduce<Complex>((value, r) => {
      const p = k.letComplex(`p${r}`, entry(part.p(r)));
      return { re: sub(value.re, mul(p.re, innerOf(r))), im: sub(value.im, mul(p.im, innerOf(r))) };
    }, own);
    const input = u === undefined ? undefined : k.letComplex("input", entry(part.input));
    const next = k.letComplex(
      "next_x",
      input === undefined || u === undefined ? low : { re: fma(input.re, u, low.re), im: fma(input.im, u, low.im) },
    );
    storeState(k, lti, buffer, b, n, h, next);
    k.assign(sum, realProduct(k.letComplex("c", entry(part.output)), next, sum));
  });
  return sum;
}

/** Bytes of one channel's recurrence table. */
export const dplrTableBytes = (lti: Lti): number => 4 * (8 + 4 * lti.rank) * lti.states;
/** Operations of one step of one channel. */
export const dplrStepFlops = (lti: Lti): number => (24 + 8 * lti.rank) * lti.states;

/** A lane a channel: the free response and the driven state, step by step. */
export function emitDplrCarry(lti: Lti, context: LowerContext, state: number, response: number): void {
  const size = `d.B*${lti.components * lti.channels}`;
  const k = kernelBuilder("ssm_carry_dplr", 64);
  const [driven, free, out] = [state, context.temp(size), response].map((buffer) => k.bind(buffer, "read_write")) as [
    string,
    string,
    string,
  ];
  const i = k.let("i", flatLane(64));
  k.if(lt(i, mul(dim("B"), lti.channels)), () => {
    const [b, c] = [k.let("b", div(i, lti.channels)), k.let("h", mod(i, lti.channels))];
    k.for("m", 0, lti.components, (m) => {
      const at = k.let("at", stateIndex(lti, b, m, c));
      k.store(free, at, k.load(driven, at));
    });
    k.for("l", 0, dim("L"), (l) => {
      emitDplrStep(k, lti, driven, b, c, k.let("u", read(k, lti.u, { b, c, l })));
      k.store(out, add(mul(add(mul(b, lti.channels), c), dim("L")), l), emitDplrStep(k, lti, free, b, c, undefined));
    });
  });
  const own = `${size}*16+d.B*${lti.channels}*8*d.L`;
  context.emit({
    built: k.finish(),
    grid: flatGrid(groupsOf(`d.B*${lti.channels}`, 64)),
    cost: {
      flops: `d.B*d.L*${2 * dplrStepFlops(lti) * lti.channels}`,
      bytes: `${own}+${dplrTableBytes(lti)}*${channelsSeen(`d.B*${lti.channels}`, lti.channels)}`,
      minimum: `${own}+${dplrTableBytes(lti) * lti.channels}`,
      serial: `${4 * lti.states}*d.L`,
    },
  });
}
