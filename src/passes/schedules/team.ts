/**
 * Lanes of a workgroup that work at sums together, for devices that run many at once: each has a part of the terms, and workgroup
 * memory joins the parts. Not a schedule.
 */
import { bug } from "../../ir/error.ts";
import { add, div, f32, type KernelBuilder, type KExpr, lane, lt, min, mod, mul, u32 } from "./kit.ts";
import type { Range } from "./weight.ts";

/** Adapters that run the lanes of a workgroup one after another: a barrier costs a switch of all of them. */
export const oneAfterAnother = "d.W<64";

/** One of `parts` lanes of a column of them. */
export interface Team {
  readonly part: KExpr;
  readonly parts: number;
  /** The sums of all parts, of this lane's, for the lanes of the first part; the barrier stands before what is given back. */
  readonly gather: (sums: readonly KExpr[]) => () => readonly KExpr[];
  /** What the first part makes of such sums, known to all lanes. */
  readonly join: (sums: readonly KExpr[], finish: (totals: readonly KExpr[]) => KExpr) => KExpr;
}

/** A lane by itself. */
export const alone: Team = { part: u32(0), parts: 1, gather: (sums) => () => sums, join: (sums, finish) => finish(sums) };

/** Lanes `part * columns + column` of a workgroup, of which one column is a team. */
export function teamOf(k: KernelBuilder, columns: number, parts: number): Team {
  const lanes = columns * parts;
  const tell = (sums: readonly KExpr[]): { readonly told: string; readonly totals: () => readonly KExpr[] } => {
    const told = k.shared("told", lanes * sums.length);
    sums.forEach((sum, i) => k.storeShared(told, add(lane, i * lanes), sum));
    k.barrier();
    const total = (i: number): KExpr => sumOf(k, parts, (part) => k.loadShared(told, add(add(mul(part, columns), lane), i * lanes)));
    return { told, totals: () => sums.map((_, i) => total(i)) };
  };
  return {
    part: k.let("part", div(lane, columns)),
    parts,
    gather: (sums) => tell(sums).totals,
    join: (sums, finish) => {
      const { told, totals } = tell(sums);
      // No other lane reads what its column told.
      k.if(lt(lane, columns), () => k.storeShared(told, lane, finish(totals())));
      k.barrier();
      return k.let("joined", k.loadShared(told, mod(lane, columns)));
    },
  };
}

/** One of `parts` shares of a range that starts at 0. */
export function shareOf(k: KernelBuilder, { to }: Range, part: KExpr, parts: number): Range {
  if (parts === 1) return { from: 0, to };
  const share = Math.ceil((typeof to === "number" ? to : bug("a range of unknown length")) / parts);
  const from = k.let("begin", mul(part, share));
  return { from, to: min(add(from, share), to) };
}

/** The sum of `count` numbers; of four at a time, which a lane waits for together. */
export function sumOf(k: KernelBuilder, count: number, at: (i: KExpr) => KExpr): KExpr {
  const total = k.var("total", f32(0));
  const [four, rest] = [4 * Math.floor(count / 4), count % 4];
  const some = (i: KExpr, n: number): KExpr => Array.from({ length: n }, (_, j) => at(add(i, j))).reduce((a, b) => add(a, b));
  if (four > 0) k.for("i", 0, four, (i) => k.assign(total, add(total, some(i, 4))), 4);
  if (rest > 0) k.assign(total, add(total, some(u32(four), rest)));
  return total;
}
