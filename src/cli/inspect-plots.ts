/** The drawings of the inspect page as SVG text: graph, poles, impulse responses, memory plan. Colours are classes of the page's style. */
import type { InspectBuffer, InspectNode, InspectSystem } from "./inspect-data.ts";
import { layoutGraph, type Point } from "./inspect-layout.ts";

/** Text that is safe between tags and in quoted attributes. */
export const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (c) => `&#${c.codePointAt(0)};`);

/** At most one decimal below 100, and a binary prefix. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(bytes, 1)) / 10));
  const value = bytes / 1024 ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[power]}`;
}

const n = (x: number): string => `${Math.round(10 * x) / 10}`;
const drawing = (kind: string, width: number, height: number, label: string, body: string): string =>
  `<svg class="${kind}" viewBox="0 0 ${n(width)} ${n(height)}" width="${n(width)}" height="${n(height)}" role="img" aria-label="${escapeHtml(label)}">${body}</svg>`;

/** Pixels of text of `size`, near enough to fit a box around it. */
const textWidth = (text: string, size: number): number => text.length * size * 0.6;

const BOX = 42;

function edgePath(points: readonly Point[]): string {
  const [first, ...rest] = points.map(({ x, y }, i) => ({ x, y: y + (i === 0 ? BOX / 2 : i === points.length - 1 ? -BOX / 2 : 0) }));
  if (first === undefined) return "";
  let d = `M${n(first.x)} ${n(first.y)}`;
  let from = first;
  for (const to of rest) {
    const middle = n((from.y + to.y) / 2);
    d += `C${n(from.x)} ${middle} ${n(to.x)} ${middle} ${n(to.x)} ${n(to.y)}`;
    from = to;
  }
  return `<path class="edge" d="${d}"/>`;
}

/** The graph from inputs at the top to outputs at the bottom. */
export function drawGraph(nodes: readonly InspectNode[]): string {
  const widths = new Map(nodes.map((node) => [node.id, 24 + Math.max(textWidth(node.label, 13), textWidth(node.shape, 11))]));
  const { places, edges, width, height } = layoutGraph(nodes.map(({ id, args }) => ({ id, args, width: widths.get(id) ?? 0 })));
  const boxes = nodes.map((node) => {
    const { x, y } = places.get(node.id) ?? { x: 0, y: 0 };
    const w = widths.get(node.id) ?? 0;
    const title = [`%${node.id} ${node.op}`, node.loc ?? "", node.detail ?? ""].filter((line) => line !== "").join("\n");
    return (
      `<g class="node op-${escapeHtml(node.op)}"><title>${escapeHtml(title)}</title>` +
      `<rect x="${n(x - w / 2)}" y="${n(y - BOX / 2)}" width="${n(w)}" height="${BOX}" rx="8"/>` +
      `<text x="${n(x)}" y="${n(y - 3)}">${escapeHtml(node.label)}</text><text class="shape" x="${n(x)}" y="${n(y + 13)}">${escapeHtml(node.shape)}</text></g>`
    );
  });
  return drawing("graph", width, height, `Graph of ${nodes.length} nodes`, edges.map(edgePath).join("") + boxes.join(""));
}

/** A round number near x, to label an axis with. */
function roundNumber(x: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(Math.abs(x), 1e-12)));
  return Number((Math.sign(x) * power * Math.floor(Math.abs(x) / power + 1e-9)).toPrecision(1));
}

const SIDE = 230;
const MARGIN = 34;

/** Dots as zero-length strokes with round ends: one element for thousands. */
const dots = (kind: string, points: readonly (readonly [number, number])[]): string =>
  `<path class="${kind}" d="${points.map(([x, y]) => `M${n(x)} ${n(y)}h0`).join("")}"/>`;

interface Plane {
  readonly x: (re: number) => number;
  readonly y: (im: number) => number;
}

function polesOn(plane: Plane, poles: readonly (readonly [number, number])[], pairs: boolean): string {
  const at = (sign: number): (readonly [number, number])[] => poles.map(([re, im]) => [plane.x(re), plane.y(sign * im)]);
  return (pairs ? dots("pole mirrored", at(-1)) : "") + dots("pole", at(1));
}

/** Poles of x' = A x in the left half plane, both axes to scale of their own. */
export function drawContinuousPoles({ continuous, pairs }: InspectSystem): string {
  const left = Math.min(-1e-6, ...continuous.map(([re]) => re)) * 1.08;
  const right = Math.max(-0.08 * left, ...continuous.map(([re]) => re * 1.08));
  const top = Math.max(1e-6, ...continuous.map(([, im]) => Math.abs(im))) * 1.08;
  const plane: Plane = {
    x: (re) => MARGIN + ((re - left) / (right - left)) * (SIDE - 2 * MARGIN),
    y: (im) => SIDE / 2 - (im / top) * (SIDE / 2 - MARGIN),
  };
  const [re, im] = [roundNumber(left), roundNumber(top)];
  const axes =
    `<path class="axis" d="M${n(plane.x(0))} ${MARGIN}V${SIDE - MARGIN}M${MARGIN} ${SIDE / 2}H${SIDE - MARGIN}"/>` +
    `<text class="tick" x="${n(plane.x(re))}" y="${SIDE / 2 + 14}">${re}</text><text class="tick" x="${n(plane.x(0) - 4)}" y="${n(plane.y(im) - 4)}" text-anchor="end">${im}i</text>`;
  return drawing("plane", SIDE, SIDE, `${continuous.length} continuous poles`, axes + polesOn(plane, continuous, pairs));
}

/** Poles of the step x_t = Abar x_{t-1} in the unit disc. */
export function drawDiscretePoles({ discrete, pairs }: InspectSystem): string {
  const reach = Math.max(1, ...discrete.map(([re, im]) => Math.hypot(re, im)));
  const radius = (SIDE / 2 - MARGIN) / reach;
  const plane: Plane = { x: (re) => SIDE / 2 + re * radius, y: (im) => SIDE / 2 - im * radius };
  const axes =
    `<circle class="axis" cx="${SIDE / 2}" cy="${SIDE / 2}" r="${n(radius)}"/><path class="axis" d="M${MARGIN} ${SIDE / 2}H${SIDE - MARGIN}M${SIDE / 2} ${MARGIN}V${SIDE - MARGIN}"/>` +
    `<text class="tick" x="${n(plane.x(1) + 3)}" y="${SIDE / 2 + 14}">1</text><text class="tick" x="${SIDE / 2 + 4}" y="${n(plane.y(1) - 4)}" text-anchor="start">i</text>`;
  return drawing("plane", SIDE, SIDE, `${discrete.length} discrete poles`, axes + polesOn(plane, discrete, pairs));
}

/** One channel's response to a unit impulse. To the scale of what follows the first step, which also holds D and may leave the drawing. */
export function drawImpulse(channel: number, values: readonly number[]): string {
  const [width, height] = [220, 64];
  const rest = values.length > 1 ? values.slice(1) : values;
  const scale = Math.max(1e-300, ...rest.map(Math.abs));
  const x = (i: number): number => (i / Math.max(1, values.length - 1)) * width;
  const y = (v: number): number => height / 2 - Math.min(1, Math.max(-1, v / scale)) * (height / 2 - 3);
  const d = values.map((v, i) => `${i === 0 ? "M" : "L"}${n(x(i))} ${n(y(v))}`).join("");
  const body = `<path class="axis" d="M0 ${height / 2}H${width}"/><path class="response" d="${d}"/>`;
  return `<figure>${drawing("impulse", width, height, `Impulse response of channel ${channel}`, body)}<figcaption>channel ${channel}, ±${scale.toPrecision(2)}</figcaption></figure>`;
}

/** Buffers against the dispatches that need them. */
export function drawMemory(buffers: readonly InspectBuffer[]): string {
  const [names, row, width] = [210, 20, 760];
  const last = Math.max(0, ...buffers.map(({ to }) => to));
  const step = (width - names - 90) / (last + 1);
  const bars = buffers.map((buffer, i) => {
    const y = i * row;
    const x = names + buffer.from * step;
    return (
      `<text class="name" x="${names - 8}" y="${y + 14}">${escapeHtml(buffer.name)}</text>` +
      `<rect class="kind-${escapeHtml(buffer.kind)}" x="${n(x)}" y="${y + 3}" width="${n(Math.max(3, (buffer.to - buffer.from + 1) * step - 1))}" height="14" rx="3"><title>${escapeHtml(buffer.kind)}</title></rect>` +
      `<text class="bytes" x="${width}" y="${y + 14}">${formatBytes(buffer.bytes)}</text>`
    );
  });
  return drawing(
    "memory",
    width,
    Math.max(1, buffers.length) * row,
    `${buffers.length} buffers over ${last + 1} dispatches`,
    bars.join(""),
  );
}
