/** Drawings of lines and bars against axes: responses, spectra, basis functions, costs over length, time constants. */
import type { Spread } from "../ssm/timescales.ts";
import type { InspectChoice, InspectCurve } from "./inspect-data.ts";
import { drawing, escapeHtml, formatNumber, formatSeconds, linearScale, logScale, px, type Scale, textAt } from "./inspect-svg.ts";

/** Colours of the style sheet for lines of one drawing. */
const COLOURS = 6;
const colour = (i: number): string => `c${i % COLOURS}`;

const WIDTH = 380;
const HEIGHT = 226;
/** Pixels around the axes. */
const LEFT = 62;
const RIGHT = 14;
const TOP = 12;
const BOTTOM = 42;

interface Axes {
  readonly x: Scale;
  readonly y: Scale;
}

interface Titles {
  readonly x: string;
  readonly y: string;
}

const xRange = [LEFT, WIDTH - RIGHT] as const;
const yRange = [HEIGHT - BOTTOM, TOP] as const;

/** Grid, tick labels and titles. */
function axes({ x, y }: Axes, titles: Titles, format: (v: number) => string = formatNumber): string {
  const grid =
    x.ticks.map((v) => `M${px(x.at(v))} ${TOP}V${HEIGHT - BOTTOM}`).join("") +
    y.ticks.map((v) => `M${LEFT} ${px(y.at(v))}H${WIDTH - RIGHT}`).join("");
  return (
    `<path class="grid" d="${grid}"/><path class="axis" d="M${LEFT} ${TOP}V${HEIGHT - BOTTOM}H${WIDTH - RIGHT}"/>` +
    x.ticks.map((v) => textAt(x.at(v), HEIGHT - BOTTOM + 17, formatNumber(v))).join("") +
    y.ticks.map((v) => textAt(LEFT - 6, y.at(v) + 4, format(v), "tick", "end")).join("") +
    textAt((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, titles.x, "title") +
    `<g transform="rotate(-90 12 ${(TOP + HEIGHT - BOTTOM) / 2})">${textAt(12, (TOP + HEIGHT - BOTTOM) / 2, titles.y, "title")}</g>`
  );
}

type Points = InspectCurve["points"];

/** Through every point; where several share a pixel's column, from the least to the most of them. */
function path(points: Points, { x, y }: Axes): string {
  let d = "";
  let column = NaN;
  let [low, high] = [0, 0];
  const flush = (): void => {
    if (!Number.isNaN(column) && high !== low) d += `V${px(low)}V${px(high)}`;
  };
  for (const [a, b] of points) {
    const [u, v] = [Math.round(2 * x.at(a)) / 2, Math.min(1e4, Math.max(-1e4, y.at(b)))];
    if (u === column) {
      [low, high] = [Math.min(low, v), Math.max(high, v)];
      continue;
    }
    flush();
    d += `${d === "" ? "M" : "L"}${px(u)} ${px(v)}`;
    [column, low, high] = [u, v, v];
  }
  flush();
  return d;
}

const legend = (labels: readonly string[]): string =>
  labels.length < 2
    ? ""
    : `<ul class="legend">${labels.map((label, i) => `<li class="${colour(i)}">${escapeHtml(label)}</li>`).join("")}</ul>`;

const curvesOn = (curves: readonly InspectCurve[], on: Axes): string =>
  curves
    .map(({ label, points }, i) => `<path class="curve ${colour(i)}" d="${path(points, on)}"><title>${escapeHtml(label)}</title></path>`)
    .join("");

const figure = (title: string, picture: string, below = ""): string =>
  `<figure><figcaption>${escapeHtml(title)}</figcaption>${picture}${below}</figure>`;

/** Least and most of a coordinate. */
function extent(curves: readonly InspectCurve[], of: 0 | 1): readonly [number, number] {
  let [low, high] = [Infinity, -Infinity];
  for (const { points } of curves) for (const point of points) [low, high] = [Math.min(low, point[of]), Math.max(high, point[of])];
  return [low, high];
}

/** A little more than an interval, and never none. */
function padded([low, high]: readonly [number, number]): readonly [number, number] {
  const margin = high > low ? 0.04 * (high - low) : Math.max(1e-12, 0.1 * Math.abs(high));
  return [low - margin, high + margin];
}

/** Deeper notches than this below the peak are cut off. Units: decibels. */
const DEEPEST = 120;

/** Magnitudes in decibels against frequency. */
export function drawSpectrum(curves: readonly InspectCurve[]): string {
  const decibels = curves.map(({ label, points }) => ({
    label,
    points: points.map(([f, m]) => [f, 20 * Math.log10(Math.max(m, 1e-300))] as const),
  }));
  const [low, high] = extent(decibels, 1);
  const on = { x: logScale(extent(decibels, 0), xRange), y: linearScale(padded([Math.max(low, high - DEEPEST), high]), yRange) };
  const shown = decibels.map(({ label, points }) => ({
    label,
    points: points.map(([f, db]) => [f, Math.max(db, high - DEEPEST)] as const),
  }));
  const peaks = decibels.map(({ label, points }) => {
    const [f, db] = points.reduce((best, point) => (point[1] > best[1] ? point : best), points[0] ?? [NaN, NaN]);
    return `${label} peaks at ${formatNumber(db)} dB, ${formatNumber(f)} cycles a sample`;
  });
  const picture = drawing(
    "spectrum",
    WIDTH,
    HEIGHT,
    `Magnitude response: ${peaks.join("; ")}`,
    axes(on, { x: "frequency, cycles a sample", y: "|H|, dB" }) + curvesOn(shown, on),
  );
  return figure("Spectrum, of the discrete system", picture, legend(curves.map(({ label }) => label)));
}

/** e^(tA) B against time. */
export function drawBasis(curves: readonly InspectCurve[]): string {
  const on = { x: linearScale(extent(curves, 0), xRange, 8), y: linearScale(padded(extent(curves, 1)), yRange) };
  const label = `Basis functions of ${curves.length} states over ${formatNumber(extent(curves, 0)[1])} units of time`;
  const zero = `<path class="axis" d="M${LEFT} ${px(on.y.at(0))}H${WIDTH - RIGHT}"/>`;
  const picture = drawing(
    "basis",
    WIDTH,
    HEIGHT,
    label,
    axes(on, { x: "time, the model's units", y: "state" }) + zero + curvesOn(curves, on),
  );
  return figure("Basis functions e^(tA) B, of the continuous system", picture, legend(curves.map((curve) => curve.label)));
}

/** One channel's response to a unit impulse. To the scale of what follows the first step, which also holds D and may leave the drawing. */
export function drawImpulse(channel: number, values: Float64Array): string {
  const [width, height, foot] = [220, 84, 16];
  const most = values.subarray(Math.min(1, values.length - 1)).reduce((size, v) => Math.max(size, Math.abs(v)), 0);
  const scale = most || 1;
  const on = {
    x: linearScale([0, Math.max(1, values.length - 1)], [2, width - 2], 3),
    y: linearScale([-scale, scale], [height - foot - 3, 3]),
  };
  const points = Array.from(values, (v, t) => [t, Math.min(1.1 * scale, Math.max(-1.1 * scale, v))] as const);
  const middle = px(on.y.at(0));
  const body =
    `<path class="axis" d="M0 ${middle}H${width}"/><path class="curve c0" d="${path(points, on)}"/>` +
    on.x.ticks.map((t) => textAt(Math.min(width - 14, Math.max(6, on.x.at(t))), height - 3, formatNumber(t))).join("");
  const label = `Impulse response of channel ${channel} over ${values.length} samples, at most ${formatNumber(most)} after the first`;
  return `<figure>${drawing("impulse", width, height, label, body)}<figcaption>channel ${channel}, ±${formatNumber(most)}</figcaption></figure>`;
}

/** How many poles have which time constant. `unit` such as `samples`. */
export function drawSpread(title: string, unit: string, spread: Spread): string {
  const { start, perDecade, counts, endless, median, largest } = spread;
  const most = Math.max(...counts);
  // A single bin would fill the drawing: a decade about it.
  const spare = Math.max(0, Math.ceil((perDecade - counts.length) / 2));
  const edge = (i: number): number => 10 ** (start + i / perDecade);
  const on = { x: logScale([edge(-spare), edge(counts.length + spare)], xRange), y: linearScale([0, most * 1.05], yRange) };
  const bars = counts.map((count, i) => {
    const [a, b, y] = [on.x.at(edge(i)), on.x.at(edge(i + 1)), on.y.at(count)];
    const range = `${formatNumber(edge(i))} to ${formatNumber(edge(i + 1))} ${unit}: ${count}`;
    return count === 0
      ? ""
      : `<rect class="bar" x="${px(a + 0.5)}" y="${px(y)}" width="${px(Math.max(1, b - a - 1))}" height="${px(HEIGHT - BOTTOM - y)}"><title>${escapeHtml(range)}</title></rect>`;
  });
  const never = endless === 0 ? "" : `; ${endless} never decay`;
  const told = `median ${formatNumber(median)}, longest ${formatNumber(largest)} ${unit}${never}`;
  const picture = drawing("spread", WIDTH, HEIGHT, `${title}: ${told}`, axes(on, { x: unit, y: "poles" }) + bars.join(""));
  return figure(title, picture, `<p>${escapeHtml(told)}</p>`);
}

/** What every mode costs over the length, and the lengths from which another one is chosen. */
export function drawCosts({ entry, thresholds, modes }: InspectChoice): string {
  const curves = modes.map(({ mode, costs }) => ({ label: mode, points: costs }));
  const on = { x: logScale(extent(curves, 0), xRange), y: logScale(extent(curves, 1), yRange, 5) };
  const marks = thresholds
    .filter(({ length }) => length > extent(curves, 0)[0])
    .map(
      ({ length, mode }) =>
        `<path class="threshold" d="M${px(on.x.at(length))} ${TOP}V${HEIGHT - BOTTOM}"><title>from L = ${length}: ${escapeHtml(mode)}</title></path>`,
    );
  const dots = curves.map(
    ({ points }, i) => `<path class="dot ${colour(i)}" d="${points.map(([l, s]) => `M${px(on.x.at(l))} ${px(on.y.at(s))}h0`).join("")}"/>`,
  );
  const label = `Seconds of the cost model by length, ${entry}: ${thresholds.map(({ length, mode }) => `${mode} from ${length}`).join(", ")}`;
  const body =
    axes(on, { x: "length L, time steps", y: "time, cost model" }, formatSeconds) + marks.join("") + curvesOn(curves, on) + dots.join("");
  return `<figure>${drawing("costs", WIDTH, HEIGHT, label, body)}${legend(modes.map(({ mode }) => mode))}</figure>`;
}
