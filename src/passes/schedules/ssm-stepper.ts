/** One step of a system whose states are coupled, by a workgroup with the state in its memory. Not a schedule. */
import { add, type Complex, f32, fma, type KernelBuilder, type KExpr, lane, mul, sub } from "./kit.ts";
import type { Lti } from "./lti.ts";
import { dplrPart, dplrStepFlops, dplrTableBytes, entryReader, realProduct } from "./ssm-dplr.ts";
import { advance, denseRow, denseTable, type State } from "./ssm-state.ts";

/** Lanes of such a workgroup. */
export const lanes = 64;

/** The state in workgroup memory, twice: a step reads one half and writes the other. */
export interface Stepper {
  /**
   * Components of `array` at `to` = Abar of those at `from`, + Bbar u where there is an input; with the barrier behind it. What rounding
   * leaves out of them is in the array `lost`, of one half, where one is given.
   */
  readonly step: (array: string, from: KExpr, to: KExpr, u?: KExpr, lost?: string) => void;
  readonly flops: number;
  readonly tableBytes: number;
}

/** Every component, in turn a lane's. */
export const every = (k: KernelBuilder, count: number, body: (m: KExpr) => void): void => k.for("m", lane, count, body, lanes);

export function denseStepper(k: KernelBuilder, lti: Lti, h: KExpr): Stepper {
  const n = lti.states;
  const table = denseTable(k, lti, h);
  return {
    step: (array, from, to, u) => {
      every(k, n, (m) => {
        const next = denseRow(k, lti, table, array, from, m);
        k.storeShared(array, add(to, m), u === undefined ? next : add(next, mul(table.input(m), u)));
      });
      k.barrier();
    },
    flops: 4 * n * n + 2 * n,
    tableBytes: 4 * n * (2 * n + 1),
  };
}

export function dplrStepper(k: KernelBuilder, lti: Lti, h: KExpr): Stepper {
  const [n, ranks] = [lti.states, Array.from({ length: lti.rank }, (_, r) => r)];
  const products = k.shared("products", Math.max(1, n * lti.rank));
  return {
    step: (array, from, to, u, lost) => {
      const load = (m: KExpr): Complex => ({
        re: k.loadShared(array, add(from, mul(m, 2))),
        im: k.loadShared(array, add(from, add(mul(m, 2), 1))),
      });
      every(k, n, (m) => {
        const [entry, x] = [entryReader(k, lti, m, h), k.letComplex("x", load(m))];
        for (const r of ranks) k.storeShared(products, add(m, r * n), realProduct(k.letComplex(`q${r}`, entry(dplrPart.q(r))), x, f32(0)));
      });
      k.barrier();
      every(k, n, (m) => {
        const entry = entryReader(k, lti, m, h);
        const pole = { high: k.letComplex("high", entry(dplrPart.high)), low: k.letComplex("low", entry(dplrPart.low)) };
        const own = k.letComplex("x", load(m));
        const place = [mul(m, 2), add(mul(m, 2), 1)] as const;
        const x: State =
          lost === undefined ? own : { ...own, lost: { re: k.loadShared(lost, place[0]), im: k.loadShared(lost, place[1]) } };
        let more: Complex = { re: f32(0), im: f32(0) };
        for (const r of ranks) {
          const p = k.letComplex(`p${r}`, entry(dplrPart.p(r)));
          const s = k.var(`s${r}`, f32(0));
          k.for("i", 0, n, (i) => k.assign(s, add(s, k.loadShared(products, add(i, r * n)))));
          more = { re: sub(more.re, mul(p.re, s)), im: sub(more.im, mul(p.im, s)) };
        }
        if (u !== undefined) {
          const input = k.letComplex("input", entry(dplrPart.input));
          more = { re: fma(input.re, u, more.re), im: fma(input.im, u, more.im) };
        }
        const next = advance(k, pole, x, more);
        k.storeShared(array, add(to, place[0]), next.re);
        k.storeShared(array, add(to, place[1]), next.im);
        if (lost === undefined || next.lost === undefined) return;
        k.storeShared(lost, place[0], next.lost.re);
        k.storeShared(lost, place[1], next.lost.im);
      });
      k.barrier();
    },
    flops: dplrStepFlops(lti) + n * n * lti.rank,
    tableBytes: dplrTableBytes(lti) - 8 * n * lti.outputs,
  };
}
