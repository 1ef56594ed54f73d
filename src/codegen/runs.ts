/**
 * Lists of a plan as JavaScript text in which what repeats is written once: the layers of a model are the same dispatches
 * of other buffers. A run of items becomes the items of one period, over the number `i` of the period: from period to
 * period an integer advances by a step, and swings between two values as where layers write to two buffers by turns.
 * What the items are is not known here.
 */

/** An item with its integers left out of its text: those among data, and those within strings. */
export interface Item {
  readonly text: string;
  readonly integers: readonly number[];
}

/** What stands for an integer in the text of an item; JSON has neither. */
const NUMBER = "\u0001";
const QUOTED = "\u0002";
const HOLES = new RegExp(`[${NUMBER}${QUOTED}]`, "g");
/** An integer within a string that arithmetic prints as it was. */
const DIGITS = /(?<!\d)(?:0|[1-9]\d{0,8})(?!\d)/g;

/** A number or a string as part of an item. */
export function scalarItem(value: number | string): Item {
  if (typeof value === "number")
    return (value | 0) === value ? { text: NUMBER, integers: [value] } : { text: JSON.stringify(value), integers: [] };
  const integers = Array.from(value.matchAll(DIGITS), ([digits]) => Number(digits));
  const texts = value.split(DIGITS).map((part) => JSON.stringify(part).slice(1, -1));
  return { text: `"${texts.join(QUOTED)}"`, integers };
}

/** Items in a row, with text around them. */
export function joinItems(items: readonly Item[], open: string, separator: string, close: string): Item {
  return {
    text: `${open}${items.map(({ text }) => text).join(separator)}${close}`,
    integers: items.flatMap(({ integers }) => integers),
  };
}

/** An integer in period `i` of a run: `first + step * i + swing * (i % 2)`. */
interface Course {
  readonly first: number;
  readonly step: number;
  readonly swing: number;
}

/** The courses of the integers of an item that has these successors in the periods after it. */
const coursesOf = (item: Item, second: Item | undefined, third: Item | undefined): Course[] =>
  item.integers.map((first, k) => {
    const [one = first, two = 2 * one - first] = [second?.integers[k], third?.integers[k]];
    const step = (two - first) / 2;
    return { first, step, swing: one - first - step };
  });

const valueAt = ({ first, step, swing }: Course, i: number): number => first + step * i + swing * (i % 2);

/** So many times `text`, to be added. */
const term = (factor: number, text: string): string =>
  factor === 0 ? "" : `${factor < 0 ? " - " : " + "}${Math.abs(factor) === 1 ? "" : `${Math.abs(factor)} * `}${text}`;

/** An item as it is, or as that of period `i` where its integers have `courses`. */
export function printItem({ text, integers }: Item, courses?: readonly Course[]): string {
  let next = 0;
  return text.replaceAll(HOLES, (hole) => {
    const { first, step, swing } = courses?.[next] ?? { first: integers[next] ?? 0, step: 0, swing: 0 };
    next++;
    if (step === 0 && swing === 0) return String(first);
    const value = `${first}${term(step, "i")}${term(swing, "(i % 2)")}`;
    return hole === NUMBER ? value : `" + (${value}) + "`;
  });
}

/** The list as an array literal. Where it has runs it calls `repeat` of `runtime/plan.ts`. */
export function printList(items: readonly Item[]): string {
  const printed: string[] = [];
  const parts = shortest(items);
  for (let at = 0; at < items.length;) {
    const { period, count } = parts[at] ?? single;
    const block = items.slice(at, at + period);
    if (count === period) printed.push(...block.map((item) => printItem(item)));
    else {
      const run = items.slice(at, at + count);
      const first = block.map((item, j) => printItem(item, coursesOf(item, run[j + period], run[j + 2 * period])));
      printed.push(`...repeat(${count}, (i) => [${first.join(", ")}])`);
    }
    at += count;
  }
  return `[${printed.join(", ")}]`;
}

/** The next items of a list: `count` of them in periods of `period`, the last of which need not be whole. */
interface Part {
  readonly period: number;
  readonly count: number;
}
const single: Part = { period: 1, count: 1 };

/** For every place in the list, the part to begin there so that the fewest items are written. A run counts as two more. */
function shortest(items: readonly Item[]): Part[] {
  const best: Part[] = [];
  const written = [...items.map(() => 0), 0];
  for (let at = items.length - 1; at >= 0; at--) {
    best[at] = single;
    written[at] = 1 + (written[at + 1] ?? 0);
    for (let period = 1; at + 2 * period <= items.length; period++) {
      const count = runLength(items, at, period);
      const needed = period + 2 + (written[at + count] ?? 0);
      if (count < 2 * period || needed >= (written[at] ?? 0)) continue;
      best[at] = { period, count };
      written[at] = needed;
    }
  }
  return best;
}

/** How many items from `at` on are a run of this period. */
function runLength(items: readonly Item[], at: number, period: number): number {
  const follows = (place: number): boolean => {
    const first = at + ((place - at) % period);
    const [item, start] = [items[place], items[first]];
    if (item === undefined || start === undefined || item.text !== start.text) return false;
    const courses = coursesOf(start, items[first + period], items[first + 2 * period]);
    return courses.every((course, k) => valueAt(course, (place - first) / period) === item.integers[k]);
  };
  let end = at + period;
  while (follows(end)) end++;
  return end - at;
}
