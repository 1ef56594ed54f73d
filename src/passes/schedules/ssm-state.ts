/** How kernels of state space models read, advance and write states. Not a schedule. */
import {
  add,
  binade,
  cadd,
  cmul,
  type Complex,
  csub,
  dim,
  f32,
  fma,
  type KernelBuilder,
  type KExpr,
  max,
  mul,
  rounded,
  unary,
} from "./kit.ts";
import type { Lti } from "./lti.ts";

/**
 * Abar of one stored state, high + low in two floats each, high a multiple of 2^-11; table `[6][N][H]`: high, low, gain as (re, im).
 */
export interface Pole {
  readonly high: Complex;
  readonly low: Complex;
  readonly gain: Complex;
}

/** A stored state; with `lost`, what rounding left out of it, where the system keeps that (`lti.compensated`). */
export interface State extends Complex {
  readonly lost?: Complex;
}

export function loadPole(k: KernelBuilder, lti: Lti, n: KExpr, h: KExpr): Pole {
  const table = k.bind(lti.recurrence);
  const part = (q: number): KExpr => k.let(`pole${q}`, k.load(table, add(mul(add(n, q * lti.states), lti.channels), h)));
  return { high: { re: part(0), im: part(1) }, low: { re: part(2), im: part(3) }, gain: { re: part(4), im: part(5) } };
}

const roundedParts = ({ re, im }: Complex): Complex => ({ re: rounded(re), im: rounded(im) });

/**
 * abar x + more, with abar = high + low: no rounding of abar builds up over long sequences.
 *
 * Where the state is compensated, none of x does either. Its upper 12 bits, on one grid for both parts, times high fit into a
 * float and so do the sums of two such products: what else there is is 2^-10 of that, and is rounded as such; what their sum
 * loses is kept. `more` should be small beside the state, or it loses its own lowest bits.
 * Source: Dekker, 1971 (exact products of split numbers, sums with their error).
 */
export function advance(k: KernelBuilder, pole: Omit<Pole, "gain">, x: State, more: Complex): State {
  const fine = cmul(pole.low, x);
  const { lost } = x;
  if (lost === undefined) return k.letComplex("next", cadd(cmul(pole.high, x), cadd(fine, more)));
  const grid = k.let("grid", mul(binade(max(unary("abs", x.re), unary("abs", x.im))), 12288));
  const corner: Complex = { re: grid, im: grid };
  const upper = k.letComplex("upper", csub(roundedParts(cadd(x, corner)), corner));
  const exact = k.letComplex("exact", cmul(pole.high, upper));
  const lower = k.letComplex("lower", cadd(csub(x, upper), lost));
  const rest = k.letComplex("rest", cadd(cmul(pole.high, lower), cadd(fine, more)));
  const next = k.letComplex("next", roundedParts(cadd(exact, rest)));
  return { ...next, lost: k.letComplex("lost", csub(rest, roundedParts(csub(next, exact)))) };
}

/** Operations of one state in one step, its part of the output among them. */
export const stepFlops = (lti: Lti): number => (lti.compensated ? 46 : 18);

/** A state in variables, zero where none is given. */
export function stateVariables(k: KernelBuilder, lti: Lti, from?: State): State {
  const variable = (name: string, z: Complex = { re: f32(0), im: f32(0) }): Complex => ({
    re: k.var(`${name}_re`, z.re),
    im: k.var(`${name}_im`, z.im),
  });
  const x = variable("x", from);
  return lti.compensated ? { ...x, lost: variable("lost", from?.lost) } : x;
}

export function assignState(k: KernelBuilder, x: State, next: State): void {
  k.assign(x.re, next.re);
  k.assign(x.im, next.im);
  if (x.lost !== undefined && next.lost !== undefined) assignState(k, x.lost, next.lost);
}

/** Index of component `m` of channel `h` in a state `[B][S][H]`. */
export const stateIndex = (lti: Lti, b: KExpr, m: KExpr, h: KExpr): KExpr => add(mul(add(mul(b, lti.components), m), lti.channels), h);
/** Where what is lost of all states begins: behind them, in the same order. */
export const lostOffset = (lti: Lti): KExpr => mul(dim("B"), lti.components * lti.channels);

/** The place of stored state `n` of channel `h`, for `loadState` and `storeState`. */
export const statePlace = (k: KernelBuilder, lti: Lti, b: KExpr, n: KExpr, h: KExpr): KExpr =>
  k.let("at", stateIndex(lti, b, mul(n, 2), h));

export function loadState(k: KernelBuilder, lti: Lti, buffer: string, place: KExpr): State {
  const load = (from: KExpr): Complex => ({ re: k.load(buffer, from), im: k.load(buffer, add(from, lti.channels)) });
  return lti.compensated ? { ...load(place), lost: load(add(place, lostOffset(lti))) } : load(place);
}

export function storeState(k: KernelBuilder, lti: Lti, buffer: string, place: KExpr, x: State): void {
  const store = (to: KExpr, z: Complex): void => {
    k.store(buffer, to, z.re);
    k.store(buffer, add(to, lti.channels), z.im);
  };
  store(place, x);
  if (x.lost !== undefined) store(add(place, lostOffset(lti)), x.lost);
}

/** Where a dense system's recurrence table keeps Abar (high, low parts, column by column), Bbar and C of one head. */
export interface DenseTable {
  readonly high: (k: KExpr, m: KExpr) => KExpr;
  readonly low: (k: KExpr, m: KExpr) => KExpr;
  readonly input: (m: KExpr) => KExpr;
  readonly output: (p: KExpr, m: KExpr) => KExpr;
}

export function denseTable(k: KernelBuilder, lti: Lti, h: KExpr): DenseTable {
  const n = lti.states;
  const table = k.bind(lti.recurrence);
  const base = k.let("head", mul(mul(h, lti.headStride), n * (2 * n + 1 + lti.outputs)));
  const at = (offset: number, index: KExpr): KExpr => k.load(table, add(base, add(index, offset)));
  return {
    high: (column, m) => at(0, add(mul(column, n), m)),
    low: (column, m) => at(n * n, add(mul(column, n), m)),
    input: (m) => at(2 * n * n, m),
    output: (p, m) => at(2 * n * n + n, add(mul(p, n), m)),
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
