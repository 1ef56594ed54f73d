/** What a stream of tokens has read, as entries of ids `[B L]`: making, cutting and measuring them. */
import type { Entry } from "./stream.ts";

/** Ids of one step, or of several: by sequence, then by step. */
export type Ids = Int32Array<ArrayBuffer>;

/** An entry of the plan's one input. */
export const entryOf = (name: string, B: number, ids: Ids, stepwise = false): Entry => ({
  B,
  L: ids.length / B,
  values: new Map([[name, ids]]),
  stepwise,
});

/** Steps `from` to `to` of ids of `count` steps. */
export function columnsOf(ids: Ids, B: number, count: number, from: number, to: number): Ids {
  const columns = new Int32Array(B * (to - from));
  for (let b = 0; b < B; b++) columns.set(ids.subarray(b * count + from, b * count + to), b * (to - from));
  return columns;
}

/** Time steps of a log. */
export const lengthOf = (log: readonly Entry[]): number => log.reduce((sum, { L }) => sum + L, 0);

/** The first `steps` of a log, but for the ids of the last one, apart. */
export function cutLog(log: readonly Entry[], name: string, steps: number): { readonly log: Entry[]; readonly last: Ids | undefined } {
  const kept: Entry[] = [];
  let left = steps;
  for (const entry of log) {
    const { B, L, values, stepwise } = entry;
    if (left > L) {
      kept.push(entry);
      left -= L;
      continue;
    }
    if (left === 0) break;
    const ids = values.get(name) as Ids;
    if (left > 1) kept.push(entryOf(name, B, columnsOf(ids, B, L, 0, left - 1), stepwise));
    return { log: kept, last: columnsOf(ids, B, L, left - 1, left) };
  }
  return { log: kept, last: undefined };
}
