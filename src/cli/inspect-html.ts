/** The page of `recurve inspect --html`: one file without scripts or addresses, light and dark. What it shows is `inspect-data.ts`. */
import type { InspectChoice, InspectData, InspectDispatch, InspectSystem } from "./inspect-data.ts";
import { drawContinuousPoles, drawDiscretePoles, drawGraph, drawImpulse, drawMemory, escapeHtml, formatBytes } from "./inspect-plots.ts";
import { inspectStyle } from "./inspect-style.ts";

export type * from "./inspect-data.ts";

/** The whole page as text. */
export function renderInspectPage(data: InspectData): string {
  const sections = [
    section("Graph", `<div class="wide">${drawGraph(data.nodes)}</div>`),
    section("Modes", data.choices.map(choice).join("")),
    section("Kernels", `<p>At B = ${data.at.B}, L = ${data.at.L}.</p>${kernels(data.dispatches)}`),
    section(
      "Memory",
      `<p>Buffers of ${escapeHtml(data.memory.entry)}, and the dispatches that need them.</p><div class="wide">${drawMemory(data.memory.buffers)}</div>`,
    ),
    section("State spaces", data.systems.map(system).join("")),
    section("Notes", `<ul>${data.notes.map((note) => `<li>${escapeHtml(note)}</li>`).join("")}</ul>`, data.notes.length > 0),
    section("Text", `<details><summary>The graph as text</summary><pre>${escapeHtml(data.text)}</pre></details>`),
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(data.name)} · recurve inspect</title>
<style>${inspectStyle}</style>
</head>
<body>
<header><h1>${escapeHtml(data.name)}</h1><p>${escapeHtml(data.summary)}</p></header>
<main>
${sections.join("\n")}
</main>
</body>
</html>
`;
}

const section = (title: string, body: string, wanted = body !== ""): string =>
  wanted ? `<section><h2>${title}</h2>${body}</section>` : "";

function choice({ entry, chosen, reason, costs }: InspectChoice): string {
  const most = Math.max(0, ...costs.map(({ cost }) => cost ?? 0));
  const rows = costs.map(({ mode, cost, why }) => {
    const bar =
      cost === undefined
        ? ""
        : `<span class="meter"><span style="inline-size:${((100 * cost) / Math.max(most, 1e-300)).toFixed(1)}%"></span></span>`;
    const text = cost === undefined ? (why ?? "not legal") : [formatSeconds(cost), why ?? ""].join(" ");
    return `<tr${mode === chosen ? ' class="chosen"' : ""}><th scope="row">${escapeHtml(mode)}</th><td class="bar">${bar}</td><td>${escapeHtml(text)}</td></tr>`;
  });
  return `<h3>${escapeHtml(entry)}: ${escapeHtml(chosen)}</h3><p>${escapeHtml(reason)}</p><table class="modes">${rows.join("")}</table>`;
}

/** Three significant digits and a metric prefix. */
function formatSeconds(seconds: number): string {
  const [scale, unit] = seconds >= 1 ? [1, "s"] : seconds >= 1e-3 ? [1e3, "ms"] : [1e6, "µs"];
  return `${(seconds * scale).toPrecision(3)} ${unit}`;
}

/** Three significant digits and k, M or G. */
function formatCount(x: number): string {
  const power = Math.min(3, Math.floor(Math.log10(Math.max(x, 1)) / 3));
  return power === 0 ? `${Math.round(x)}` : `${(x / 1000 ** power).toPrecision(3)} ${["", "k", "M", "G"][power]}`;
}

const ratio = (bytes: number, minimum: number): string => (minimum > 0 ? (bytes / minimum).toFixed(2) : "");
const total = (dispatches: readonly InspectDispatch[], of: (d: InspectDispatch) => number): number =>
  dispatches.reduce((sum, d) => sum + of(d), 0);

function kernels(dispatches: readonly InspectDispatch[]): string {
  const entries = [...new Set(dispatches.map(({ entry }) => entry))];
  const bodies = entries.map((entry) =>
    entryRows(
      entry,
      dispatches.filter((d) => d.entry === entry),
    ),
  );
  const head = ["Kernel", "Workgroups", "Flops", "Bytes", "Over the minimum", "Workgroup memory"];
  return `<div class="wide"><table class="kernels"><thead><tr>${head.map((h) => `<th scope="col">${h}</th>`).join("")}</tr></thead>${bodies.join("")}</table></div>${shaders(dispatches)}`;
}

function entryRows(entry: string, dispatches: readonly InspectDispatch[]): string {
  const row = (d: InspectDispatch): string =>
    `<tr><th scope="row">${escapeHtml(d.kernel)}</th><td>${d.grid.join(" × ")}</td><td>${formatCount(d.flops)}</td><td>${formatBytes(d.bytes)}</td><td>${ratio(d.bytes, d.minimumBytes)}</td><td>${d.workgroupBytes === 0 ? "" : formatBytes(d.workgroupBytes)}</td></tr>`;
  const [bytes, minimum] = [total(dispatches, (d) => d.bytes), total(dispatches, (d) => d.minimumBytes)];
  const sum = `<tr class="sum"><th scope="row">${dispatches.length === 1 ? "1 dispatch" : `${dispatches.length} dispatches`}</th><td></td><td>${formatCount(total(dispatches, (d) => d.flops))}</td><td>${formatBytes(bytes)}</td><td>${ratio(bytes, minimum)}</td><td></td></tr>`;
  return `<tbody><tr class="entry"><th scope="rowgroup" colspan="6">${escapeHtml(entry)}</th></tr>${dispatches.map(row).join("")}${sum}</tbody>`;
}

function shaders(dispatches: readonly InspectDispatch[]): string {
  const texts = new Map(dispatches.flatMap(({ kernel, wgsl }) => (wgsl === undefined ? [] : [[kernel, wgsl] as const])));
  return [...texts]
    .map(([kernel, wgsl]) => `<details><summary>${escapeHtml(kernel)} in WGSL</summary><pre>${escapeHtml(wgsl)}</pre></details>`)
    .join("");
}

function system(s: InspectSystem): string {
  const plots = [
    s.continuous.length > 0 ? `<figure>${drawContinuousPoles(s)}<figcaption>continuous</figcaption></figure>` : "",
    s.discrete.length > 0 ? `<figure>${drawDiscretePoles(s)}<figcaption>discrete, unit circle</figcaption></figure>` : "",
    `<div class="impulses">${s.impulses.map(({ channel, values }) => drawImpulse(channel, values)).join("")}</div>`,
  ];
  return `<h3>${escapeHtml(s.name)}</h3><div class="system">${plots.join("")}</div>`;
}
