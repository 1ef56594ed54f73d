/** How kernels of state space models read and write states and poles. Not a schedule. */
import { add, cmul, type Complex, f32, fma, type KernelBuilder, type KExpr, mul } from "./kit.ts";
import type { Lti } from "./lti.ts";

/** Poles of one stored state, `hi + lo` in two floats each; table `[6][N][H]`: hi, lo, gain as (re, im). */
export interface Pole {
  readonly high: Complex;
  readonly low: Complex;
  readonly gain: Complex;
}

export function loadPole(k: KernelBuilder, lti: Lti, n: KExpr, h: KExpr): Pole {
  const table = k.bind(lti.recurrence);
  const part = (q: number): KExpr => k.let(`pole${q}`, k.load(table, add(mul(add(n, q * lti.states), lti.channels), h)));
  return { high: { re: part(0), im: part(1) }, low: { re: part(2), im: part(3) }, gain: { re: part(4), im: part(5) } };
}

/** abar x + u with abar = high + low: no rounding of abar builds up over long sequences. */
export function advance(k: KernelBuilder, pole: Omit<Pole, "gain">, x: Complex, u: KExpr): Complex {
  const fine = cmul(pole.low, x);
  const coarse = cmul(pole.high, x);
  return k.letComplex("next", { re: add(coarse.re, add(fine.re, u)), im: add(coarse.im, fine.im) });
}

/** Index of component `m` of channel `h` in a state `[B][S][H]`. */
export const stateIndex = (lti: Lti, b: KExpr, m: KExpr, h: KExpr): KExpr => add(mul(add(mul(b, lti.components), m), lti.channels), h);

export function loadState(k: KernelBuilder, lti: Lti, buffer: string, b: KExpr, n: KExpr, h: KExpr): Complex {
  const at = k.let("at", stateIndex(lti, b, mul(n, 2), h));
  return { re: k.load(buffer, at), im: k.load(buffer, add(at, lti.channels)) };
}

export function storeState(k: KernelBuilder, lti: Lti, buffer: string, b: KExpr, n: KExpr, h: KExpr, x: Complex): void {
  const at = k.let("at", stateIndex(lti, b, mul(n, 2), h));
  k.store(buffer, at, x.re);
  k.store(buffer, add(at, lti.channels), x.im);
}

/** Where a dense system's recurrence table keeps Abar (high, low parts, column by column), Bbar and C of one head. */
export interface DenseTable {
  readonly high: (k: KExpr, m: KExpr) => KExpr;
  readonly low: (k: KExpr, m: KExpr) => KExpr;
  readonly input: (m: KExpr) => KExpr;
  readonly output: (m: KExpr) => KExpr;
}

export function denseTable(k: KernelBuilder, lti: Lti, h: KExpr): DenseTable {
  const n = lti.states;
  const table = k.bind(lti.recurrence);
  const base = k.let("head", mul(mul(h, lti.headStride), n * (2 * n + 2)));
  const at = (offset: number, index: KExpr): KExpr => k.load(table, add(base, add(index, offset)));
  return {
    high: (column, m) => at(0, add(mul(column, n), m)),
    low: (column, m) => at(n * n, add(mul(column, n), m)),
    input: (m) => at(2 * n * n, m),
    output: (m) => at(2 * n * n + n, m),
  };
}

/** (Abar x)_m with x in workgroup memory from `offset`. */
export function denseRow(k: KernelBuilder, lti: Lti, table: DenseTable, x: string, offset: KExpr, m: KExpr): KExpr {
  const coarse = k.var("coarse", f32(0));
  const fine = k.var("fine", f32(0));
  k.for("column", 0, lti.states, (column) => {
    const value = k.let("value", k.loadShared(x, add(offset, column)));
    k.assign(coarse, fma(table.high(column, m), value, coarse));
    k.assign(fine, fma(table.low(column, m), value, fine));
  });
  return k.let("advanced", add(coarse, fine));
}
