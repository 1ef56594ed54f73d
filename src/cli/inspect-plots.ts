/** Drawings of the model: its graph, and the memory plan. Colours are classes of the page's style. */
import type { InspectMemory, InspectNode } from "./inspect-data.ts";
import { layoutGraph, type Point } from "./inspect-layout.ts";
import { drawing, escapeHtml, formatBytes, px, textAt } from "./inspect-svg.ts";

/** Pixels of text of `size`, near enough to fit a box around it. */
const textWidth = (text: string, size: number): number => text.length * size * 0.6;

const BOX = 42;

function edgePath(points: readonly Point[]): string {
  const [first, ...rest] = points.map(({ x, y }, i) => ({ x, y: y + (i === 0 ? BOX / 2 : i === points.length - 1 ? -BOX / 2 : 0) }));
  if (first === undefined) return "";
  let d = `M${px(first.x)} ${px(first.y)}`;
  let from = first;
  rest.forEach((to, i) => {
    // Past a row that the edge leads through: straight down beside its boxes.
    const through = i === rest.length - 1 ? 0 : BOX / 2;
    const middle = px((from.y + to.y - through) / 2);
    d += `C${px(from.x)} ${middle} ${px(to.x)} ${middle} ${px(to.x)} ${px(to.y - through)}${through === 0 ? "" : `V${px(to.y + through)}`}`;
    from = { x: to.x, y: to.y + through };
  });
  return `<path class="edge" d="${d}"/>`;
}

/** The graph from inputs at the top to outputs at the bottom; a node's tooltip has its shape, and its line of the user's source. */
export function drawGraph(nodes: readonly InspectNode[]): string {
  const widths = new Map(nodes.map((node) => [node.id, 24 + Math.max(textWidth(node.label, 13), textWidth(node.shape, 11))]));
  const { places, edges, width, height } = layoutGraph(nodes.map(({ id, args }) => ({ id, args, width: widths.get(id) ?? 0 })));
  const boxes = nodes.map((node) => {
    const { x, y } = places.get(node.id) ?? { x: 0, y: 0 };
    const w = widths.get(node.id) ?? 0;
    const title = [`%${node.id} ${node.op} ${node.shape}`, node.loc, node.source, node.detail]
      .filter((line) => line !== undefined && line !== "")
      .join("\n");
    return (
      `<g class="node op-${escapeHtml(node.op)}"><title>${escapeHtml(title)}</title>` +
      `<rect x="${px(x - w / 2)}" y="${px(y - BOX / 2)}" width="${px(w)}" height="${BOX}" rx="8"/>` +
      `${textAt(x, y - 3, node.label, "name")}${textAt(x, y + 13, node.shape, "shape")}</g>`
    );
  });
  return drawing("graph", width, height, `Graph of ${nodes.length} nodes`, edges.map(edgePath).join("") + boxes.join(""));
}

const NAMES = 150;
const ROW = 22;
const BYTES = 84;

/** Places in memory against the dispatches of a program: what lies where, and when. */
export function drawMemory({ entry, dispatches, buffers }: InspectMemory): string {
  const step = Math.max(11, Math.min(80, 620 / dispatches.length));
  const width = NAMES + step * dispatches.length + BYTES;
  const height = ROW * (buffers.length + 1);
  const rows = buffers.map(({ name, kind, bytes, lives }, i) => {
    const y = ROW * i;
    const bars = lives.map(({ from, to, bytes: own, label }) => {
      const during =
        from === to ? `dispatch ${from}, ${dispatches[from]}` : `dispatches ${from} to ${to}, ${dispatches[from]} to ${dispatches[to]}`;
      return `<rect class="kind-${escapeHtml(kind)}" x="${px(NAMES + from * step + 1)}" y="${y + 3}" width="${px((to - from + 1) * step - 2)}" height="${ROW - 6}" rx="3"><title>${escapeHtml(`${label}, ${formatBytes(own)}\n${during}`)}</title></rect>`;
    });
    return `${textAt(NAMES - 8, y + 15, name, "name", "end")}<path class="grid" d="M${NAMES} ${y + ROW / 2}H${px(width - BYTES)}"/>${bars.join("")}${textAt(width, y + 15, formatBytes(bytes), "bytes", "end")}`;
  });
  const every = Math.ceil(dispatches.length / 20);
  const numbers = dispatches.map((_, i) => (i % every === 0 ? textAt(NAMES + (i + 0.5) * step, height - 6, `${i}`) : ""));
  const label = `${buffers.length} buffers over the ${dispatches.length} dispatches of ${entry}`;
  return drawing(
    "memory",
    width,
    height,
    label,
    rows.join("") + textAt(NAMES - 8, height - 6, "dispatch", "tick", "end") + numbers.join(""),
  );
}
