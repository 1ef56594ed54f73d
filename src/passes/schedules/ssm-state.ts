/** How kernels of state space models read and write states and poles. Not a schedule. */
import { add, cmul, type Complex, type KernelBuilder, type KExpr, mul } from "./kit.ts";
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
