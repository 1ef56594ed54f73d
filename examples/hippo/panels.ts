/** The drawings of the page: a panel for each memory, with the curve, what is remembered of it, and the coefficients; the errors over time. */
import { byId, context2d, el, svg, themeColor } from "../shared/dom.ts";
import { errorOf, memories, type Name, names, reconstruct } from "./memories.ts";
import { LENGTH, STATES } from "./sizes.ts";

/** A canvas at its own size in device pixels, and that size. */
function prepared(canvas: HTMLCanvasElement): {
  readonly context: CanvasRenderingContext2D;
  readonly width: number;
  readonly height: number;
} {
  const width = Math.round(canvas.clientWidth * devicePixelRatio);
  const height = Math.round(canvas.clientHeight * devicePixelRatio);
  Object.assign(canvas, { width, height });
  return { context: context2d(canvas), width, height };
}

/** Draws `values` at samples `from, from + 1, ..` of the curve's axis; values run from -1.15 below to 1.15 above. */
function drawLine(canvas: HTMLCanvasElement, values: ArrayLike<number>, from: number, color: string, thickness: number): void {
  const context = context2d(canvas);
  context.beginPath();
  for (let i = 0; i < values.length; i++)
    context.lineTo(((from + i + 0.5) / LENGTH) * canvas.width, canvas.height * (0.5 - (values[i] ?? 0) / 2.3));
  context.strokeStyle = color;
  context.lineWidth = thickness * devicePixelRatio;
  context.lineJoin = "round";
  context.stroke();
}

/** The curve alone, with a line at sample `cursor`. */
export function drawCurve(canvas: HTMLCanvasElement, curve: Float32Array, cursor: number | undefined): void {
  const { context, width, height } = prepared(canvas);
  if (cursor !== undefined) {
    context.fillStyle = themeColor("--accent");
    context.fillRect((cursor / LENGTH) * width, 0, 2, height);
  }
  drawLine(canvas, curve, 0, themeColor("--text"), 1.5);
}

/** One memory: its title with the error of the moment, the curve and what is remembered, the coefficients. */
class Panel {
  readonly element: HTMLElement;
  readonly #name: Name;
  readonly #error = el("span", { class: "number" });
  readonly #plot = el("canvas", { class: "plot", role: "img" });
  readonly #bars = el("canvas", { class: "bars", role: "img" });

  constructor(name: Name) {
    const { title, doc } = memories[name];
    this.#name = name;
    this.#plot.setAttribute("aria-label", `The curve, and what ${title} remembers of it`);
    this.#bars.setAttribute("aria-label", `The ${STATES} coefficients of ${title}`);
    const heading = el("p", {}, el("strong", {}, title), ` ${doc}`, this.#error);
    this.element = el("div", { class: `panel ${name}` }, heading, this.#plot, this.#bars);
  }

  show(curve: Float32Array, coefficients: Float32Array | undefined, count: number): void {
    const memory = memories[this.#name];
    const color = themeColor(`--${this.#name}`);
    const { context, width, height } = prepared(this.#plot);
    const remembered = coefficients === undefined ? new Float64Array() : reconstruct(memory, coefficients, count);
    const from = count - remembered.length;
    context.fillStyle = themeColor("--track");
    context.fillRect((from / LENGTH) * width, 0, (remembered.length / LENGTH) * width, height);
    drawLine(this.#plot, curve, 0, themeColor("--ghost"), 3);
    drawLine(this.#plot, remembered, from, color, 1.75);
    this.#showBars(coefficients ?? new Float32Array(STATES), color);
    this.#error.textContent = coefficients === undefined ? "" : errorOf(memory, remembered, curve, count).toExponential(1);
    this.element.dataset["coefficients"] = JSON.stringify([...(coefficients ?? [])]);
  }

  #showBars(coefficients: Float32Array, color: string): void {
    const { context, width, height } = prepared(this.#bars);
    const scale = 0.5 / coefficients.reduce((top, x) => Math.max(top, Math.abs(x)), 1e-6);
    const step = width / STATES;
    context.fillStyle = color;
    coefficients.forEach((x, n) => {
      const tall = Math.max(devicePixelRatio, Math.abs(x) * scale * height);
      context.fillRect(n * step + 0.15 * step, height / 2 - (x > 0 ? tall : 0), 0.7 * step, tall);
    });
  }
}

/** All panels, in the order of `names`. */
export class Panels {
  readonly #panels = names.map((name) => [name, new Panel(name)] as const);

  constructor() {
    byId("panels", HTMLElement).replaceChildren(...this.#panels.map(([, panel]) => panel.element));
  }

  /** `coefficients` are those after `count` samples. */
  show(curve: Float32Array, coefficients: Readonly<Record<Name, Float32Array>> | undefined, count: number): void {
    for (const [name, panel] of this.#panels) panel.show(curve, coefficients?.[name], count);
  }
}

const WIDTH = 640;
const HEIGHT = 150;
/** Decades of the axis of errors, from 1 down. */
const DECADES = 5;

/** The error of each memory against the samples seen. */
export class ErrorChart {
  readonly #lines = names.map((name) => svg("path", { class: `line ${name}` }));
  readonly #marker = svg("line", { class: "marker", y1: "0", y2: `${HEIGHT}` });

  constructor() {
    const grid = Array.from({ length: DECADES - 1 }, (_, i) => {
      const y = `${((i + 1) / DECADES) * HEIGHT}`;
      return svg("line", { class: "grid", x1: "0", x2: `${WIDTH}`, y1: y, y2: y });
    });
    const drawing = byId("history", SVGSVGElement);
    drawing.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    drawing.replaceChildren(...grid, ...this.#lines, this.#marker);
  }

  /** `errors` after so many samples each; a marker stands at `shown` samples. */
  show(errors: readonly { readonly count: number; readonly of: Readonly<Record<Name, number>> }[], shown: number): void {
    const y = (error: number): number => HEIGHT * Math.min(1, Math.max(0, -Math.log10(error) / DECADES));
    names.forEach((name, i) => {
      const points = errors.map(({ count, of }) => `${((count / LENGTH) * WIDTH).toFixed(1)} ${y(of[name]).toFixed(1)}`);
      this.#lines[i]?.setAttribute("d", points.length === 0 ? "" : `M${points.join("L")}`);
    });
    const at = `${(shown / LENGTH) * WIDTH}`;
    this.#marker.setAttribute("x1", at);
    this.#marker.setAttribute("x2", at);
  }
}
