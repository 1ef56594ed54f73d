/** The page of `recurve inspect --html`: one file without scripts or addresses, light and dark. What it shows is `inspect-data.ts`. */
import { drawBasis, drawCosts, drawImpulse, drawSpectrum, drawSpread } from "./inspect-curves.ts";
import type { InspectChoice, InspectData, InspectDispatch, InspectMemory, InspectSystem } from "./inspect-data.ts";
import { drawGraph, drawMemory } from "./inspect-plots.ts";
import { drawContinuousPoles, drawDiscretePoles } from "./inspect-poles.ts";
import { inspectStyle } from "./inspect-style.ts";
import { escapeHtml, formatBytes, formatCount, formatSeconds } from "./inspect-svg.ts";

export type * from "./inspect-data.ts";

/** The whole page as text. */
export function renderInspectPage(data: InspectData): string {
  const sections = [
    section("Graph", `<div class="wide">${drawGraph(data.nodes)}</div>`),
    section("Modes", data.choices.map(choice).join("") + data.refused.map((why) => `<p>${escapeHtml(why)}</p>`).join("")),
    section("Kernels", `<p>At B = ${data.at.B}, L = ${data.at.L}.</p>${kernels(data.dispatches)}`),
    section("Memory", data.memory.map(memory).join("")),
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

function choice(made: InspectChoice): string {
  const reasons = made.thresholds.map(
    ({ length, mode, reason }) => `<li>from L = ${length}: <strong>${escapeHtml(mode)}</strong>, ${escapeHtml(reason)}</li>`,
  );
  return `<h3>${escapeHtml(made.entry)}: ${escapeHtml(made.chosen)}</h3><div class="plots">${drawCosts(made)}<ul class="reasons">${reasons.join("")}</ul></div>`;
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
  const head = ["Kernel", "Workgroups", "Flops", "Bytes", "Over the minimum", "Workgroup memory", "Time (cost model)"];
  return `<div class="wide"><table class="kernels"><thead><tr>${head.map((h) => `<th scope="col">${h}</th>`).join("")}</tr></thead>${bodies.join("")}</table></div>${shaders(dispatches)}`;
}

function entryRows(entry: string, dispatches: readonly InspectDispatch[]): string {
  const [bytes, minimum] = [total(dispatches, (d) => d.bytes), total(dispatches, (d) => d.minimumBytes)];
  const seconds = total(dispatches, (d) => d.seconds);
  const row = (d: InspectDispatch): string =>
    `<tr><th scope="row">${escapeHtml(d.every === 1 ? d.kernel : `${d.kernel}, every ${d.every} steps`)}</th><td>${d.grid.join(" × ")}</td><td>${formatCount(d.flops)}</td><td>${formatBytes(d.bytes)}</td><td>${ratio(d.bytes, d.minimumBytes)}</td><td>${d.workgroupBytes === 0 ? "" : formatBytes(d.workgroupBytes)}</td>` +
    `<td>${formatSeconds(d.seconds)}<span class="meter"><span style="inline-size:${((100 * d.seconds) / seconds).toFixed(1)}%"></span></span></td></tr>`;
  const sum = `<tr class="sum"><th scope="row">${dispatches.length === 1 ? "1 dispatch" : `${dispatches.length} dispatches`}</th><td></td><td>${formatCount(total(dispatches, (d) => d.flops))}</td><td>${formatBytes(bytes)}</td><td>${ratio(bytes, minimum)}</td><td></td><td>${formatSeconds(seconds)}</td></tr>`;
  return `<tbody><tr class="entry"><th scope="rowgroup" colspan="7">${escapeHtml(entry)}</th></tr>${dispatches.map(row).join("")}${sum}</tbody>`;
}

/** Every shader once, those of one name numbered. */
function shaders(dispatches: readonly InspectDispatch[]): string {
  const texts = new Map(dispatches.flatMap(({ kernel, wgsl }) => (wgsl === undefined ? [] : [[wgsl, kernel] as const])));
  return [...texts]
    .map(([wgsl, kernel]) => `<details><summary>${escapeHtml(kernel)} in WGSL</summary><pre>${escapeHtml(wgsl)}</pre></details>`)
    .join("");
}

/** The first plan open; what sharing saves in a sentence. */
function memory(plan: InspectMemory, i: number): string {
  const slots = plan.buffers.filter(({ kind }) => kind === "temp");
  const values = slots.flatMap(({ lives }) => lives);
  const [held, wanted] = [slots.reduce((sum, { bytes }) => sum + bytes, 0), values.reduce((sum, { bytes }) => sum + bytes, 0)];
  const shared =
    slots.length === 0
      ? "No intermediate value needs memory."
      : `${values.length} intermediate values of ${formatBytes(wanted)} share ${slots.length} ${slots.length === 1 ? "slot" : "slots"} of ${formatBytes(held)}.`;
  return `<details${i === 0 ? " open" : ""}><summary>${escapeHtml(plan.entry)}</summary><p>${shared}</p><div class="wide">${drawMemory(plan)}</div></details>`;
}

const ofChannels = (some: number, all: number): string => (some >= all ? "" : ` (${some} of ${all} channels)`);

function system(s: InspectSystem): string {
  const poles = ofChannels(s.poleChannels, s.channels);
  const counted = ofChannels(s.spreadChannels, s.channels);
  const impulses = s.impulses.map(({ channel, values }) => drawImpulse(channel, values)).join("");
  const plots = [
    s.continuous.length > 0
      ? `<figure class="poles"><figcaption>Continuous poles${poles}</figcaption>${drawContinuousPoles(s)}</figure>`
      : "",
    s.discrete.length > 0 ? `<figure class="poles"><figcaption>Discrete poles${poles}</figcaption>${drawDiscretePoles(s)}</figure>` : "",
    s.timeConstants === undefined ? "" : drawSpread(`Time constants 1/|Re λ|${counted}`, "units of time", s.timeConstants),
    s.memory === undefined ? "" : drawSpread(`Memory, decay by e${counted}`, "samples", s.memory),
    s.spectrum.length > 0 ? drawSpectrum(s.spectrum) : "",
    s.basis.length > 0 ? drawBasis(s.basis) : "",
    impulses === ""
      ? ""
      : `<figure class="responses"><figcaption>Impulse responses, samples${ofChannels(s.impulses.length, s.channels)}</figcaption><div class="impulses">${impulses}</div></figure>`,
  ];
  return `<article><h3>${escapeHtml(s.name)}</h3><p>${escapeHtml(s.form)}</p><div class="plots">${plots.join("")}</div></article>`;
}
