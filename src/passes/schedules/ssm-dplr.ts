/**
 * The recurrence of a system of normal plus low rank in O(N R) a step, as kernels write it: s_r = Re(sum_n q_rn x_n), then
 * x = abar x - sum_r p_r s_r + bbar u and y = Re(sum_n c_n x_n). Not a schedule.
 */
import { bug } from "../../ir/error.ts";
import { add, type Complex, f32, fma, type KernelBuilder, type KExpr, mul, sub, u32 } from "./kit.ts";
import { type Lti } from "./lti.ts";
import { advance, loadState, type State, statePlace, stepFlops, storeState } from "./ssm-state.ts";

/** The parts of the table `[6 + 4R + 2P][N][H]`, as the maker `dplr` of `runtime/tables.ts` lays them out: outputs come last. */
export const dplrPart = { high: 0, low: 2, input: 4, p: (r: number): number => 6 + 4 * r, q: (r: number): number => 8 + 4 * r };
/** Entry n of C, of output p. */
export function outputEntry(k: KernelBuilder, lti: Lti, p: KExpr, n: KExpr, h: KExpr): Complex {
  const table = k.bind(lti.recurrence);
  const part = add(mul(p, 2), 6 + 4 * lti.rank);
  const load = (q: KExpr): KExpr => k.load(table, add(mul(add(mul(q, lti.states), n), lti.channels), h));
  return { re: load(part), im: load(add(part, 1)) };
}

/** Reads complex entries of one state of one channel. */
export function entryReader(k: KernelBuilder, lti: Lti, n: KExpr, h: KExpr): (of: number) => Complex {
  const table = k.bind(lti.recurrence);
  const load = (q: number): KExpr => k.load(table, add(mul(add(n, q * lti.states), lti.channels), h));
  return (of) => ({ re: load(of), im: load(of + 1) });
}

/** Re(a b) + sum */
export const realProduct = (a: Complex, b: Complex, sum: KExpr): KExpr => sub(fma(a.re, b.re, sum), mul(a.im, b.im));

/** The step of one channel with one output: reads the state at `buffer`, stores the next one there, and gives C x. */
export function emitDplrStep(k: KernelBuilder, lti: Lti, buffer: string, b: KExpr, h: KExpr, u: KExpr): KExpr {
  const ranks = Array.from({ length: lti.rank }, (_, r) => r);
  const inner = ranks.map((r) => k.var(`s${r}`, f32(0)));
  const innerOf = (r: number): KExpr => inner[r] ?? bug("no rank");
  k.for("n", 0, lti.states, (n) => {
    const entry = entryReader(k, lti, n, h);
    const x = k.letComplex("x", loadState(k, lti, buffer, statePlace(k, lti, b, n, h)));
    for (const r of ranks) k.assign(innerOf(r), realProduct(k.letComplex(`q${r}`, entry(dplrPart.q(r))), x, innerOf(r)));
  });
  const sum = k.var("sum", f32(0));
  k.for("n", 0, lti.states, (n) => {
    const entry = entryReader(k, lti, n, h);
    const place = statePlace(k, lti, b, n, h);
    const held = loadState(k, lti, buffer, place);
    const x: State = { ...held, ...k.letComplex("x", held) };
    const input = k.letComplex("input", entry(dplrPart.input));
    const more = ranks.reduce<Complex>(
      (value, r) => {
        const p = k.letComplex(`p${r}`, entry(dplrPart.p(r)));
        return { re: sub(value.re, mul(p.re, innerOf(r))), im: sub(value.im, mul(p.im, innerOf(r))) };
      },
      { re: mul(input.re, u), im: mul(input.im, u) },
    );
    const pole = { high: k.letComplex("high", entry(dplrPart.high)), low: k.letComplex("low", entry(dplrPart.low)) };
    const next = advance(k, pole, x, more);
    storeState(k, lti, buffer, place, next);
    k.assign(sum, realProduct(k.letComplex("c", outputEntry(k, lti, u32(0), n, h)), next, sum));
  });
  return sum;
}

/** Bytes of one channel's recurrence table. */
export const dplrTableBytes = (lti: Lti): number => 4 * (6 + 4 * lti.rank + 2 * lti.outputs) * lti.states;
/** Operations of one step of one channel, one output among them. */
export const dplrStepFlops = (lti: Lti): number => (stepFlops(lti) + 6 + 8 * lti.rank) * lti.states;
