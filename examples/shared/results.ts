/** The right-hand side of a page: class probabilities step by step beside the whole sequence at once, their history, the timings. Draws only. */
import { byId, el, svg } from "./dom.ts";

/** exp(x_i) / sum_j exp(x_j), shifted so that nothing overflows. */
export function softmax(logits: ArrayLike<number>): number[] {
  const values = Array.from(logits);
  const top = Math.max(...values);
  const powers = values.map((x) => Math.exp(x - top));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((p) => p / sum);
}

export const argmax = (values: readonly number[]): number => values.indexOf(Math.max(...values));

/** Milliseconds for people. */
export const duration = (ms: number): string => (ms < 1000 ? `${ms.toPrecision(3)} ms` : `${(ms / 1000).toPrecision(3)} s`);

/** A probability for people. */
export const percent = (p: number): string => `${(100 * p).toFixed(p > 0.0995 ? 0 : 1)} %`;

/** One bar with its number; the bar says nothing to a screen reader, the number does. */
class Bar {
  readonly cell: HTMLTableCellElement;
  readonly #fill = el("span", { class: "fill" });
  readonly #text = el("span", { class: "number" }, "");

  constructor(kind: "live" | "whole") {
    const track = el("span", { class: `track ${kind}`, "aria-hidden": "true" }, this.#fill);
    this.cell = el("td", {}, el("span", { class: "bar" }, track, this.#text));
  }

  show(p: number | undefined): void {
    this.#fill.style.inlineSize = `${100 * (p ?? 0)}%`;
    this.#text.textContent = p === undefined ? "" : percent(p);
  }
}

/** The table of classes: a row each, a column for recurrence, one for convolution. */
export class ProbabilityTable {
  readonly #live: readonly Bar[];
  readonly #whole: readonly Bar[];
  readonly #rows: readonly HTMLTableRowElement[];

  constructor(labels: readonly string[]) {
    this.#live = labels.map(() => new Bar("live"));
    this.#whole = labels.map(() => new Bar("whole"));
    this.#rows = labels.map((label, i) => {
      const cells = [this.#live[i], this.#whole[i]].flatMap((bar) => (bar === undefined ? [] : [bar.cell]));
      return el("tr", {}, el("th", { scope: "row" }, label), ...cells);
    });
    byId("classes", HTMLTableSectionElement).replaceChildren(...this.#rows);
  }

  showLive(p: readonly number[] | undefined): void {
    this.#live.forEach((bar, i) => bar.show(p?.[i]));
    const best = p === undefined ? -1 : argmax(p);
    this.#rows.forEach((row, i) => row.classList.toggle("best", i === best));
  }

  showWhole(p: readonly number[] | undefined): void {
    this.#whole.forEach((bar, i) => bar.show(p?.[i]));
  }
}

const WIDTH = 640;
const HEIGHT = 150;

/** The probabilities at a moment. */
export interface HistoryPoint {
  /** Where on the axis, 0 to 1. */
  readonly at: number;
  readonly p: readonly number[];
  /** Nothing joins it to the point before. */
  readonly begins?: boolean;
}

/** Probabilities of every class against the steps read; the leader stands out, a line marks the moment shown. */
export class HistoryChart {
  readonly #lines: readonly SVGPathElement[];
  readonly #marker = svg("line", { class: "marker", y1: "0", y2: `${HEIGHT}` });

  constructor(labels: readonly string[]) {
    const drawing = byId("history", SVGSVGElement);
    drawing.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    const grid = [0.25, 0.5, 0.75].map((p) =>
      svg("line", { class: "grid", x1: "0", x2: `${WIDTH}`, y1: `${p * HEIGHT}`, y2: `${p * HEIGHT}` }),
    );
    this.#lines = labels.map((label) => {
      const line = svg("path", { class: "line" });
      const title = svg("title");
      title.textContent = label;
      line.append(title);
      return line;
    });
    drawing.replaceChildren(...grid, ...this.#lines, this.#marker);
  }

  /** A marker stands at point `shown`; the leader is the class of largest probability there. */
  show(history: readonly HistoryPoint[], shown: number): void {
    const x = (point: HistoryPoint | undefined): number => (point?.at ?? 0) * WIDTH;
    const leader = argmax([...(history[shown]?.p ?? [])]);
    this.#lines.forEach((line, c) => {
      const joint = (point: HistoryPoint, i: number): string => (i === 0 || point.begins === true ? "M" : "L");
      const d = history
        .map((point, i) => `${joint(point, i)}${x(point).toFixed(1)} ${(HEIGHT * (1 - (point.p[c] ?? 0))).toFixed(1)}`)
        .join("");
      line.setAttribute("d", d);
      line.classList.toggle("leader", c === leader);
    });
    const at = x(history[shown]);
    this.#marker.setAttribute("x1", `${at}`);
    this.#marker.setAttribute("x2", `${at}`);
  }
}
