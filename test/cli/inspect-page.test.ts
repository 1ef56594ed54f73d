/** The inspect page in a real Chromium: readable in light and in dark, on wide and on narrow screens, told in words, and alone. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { root } from "../repo/source.ts";
import { withPage } from "../setup/browser.ts";
import { cli, scratch } from "./cli.ts";
import { modelFile } from "./models.ts";

const digits = join(root, "examples/s4-digits/model.ts");

/** Where screenshots go when somebody asks for them, to be looked at and kept in docs/images. */
const screenshots = process.env["RECURVE_SCREENSHOTS"];

/** Poles over decades, poles near 1, a dense system, a convolution, names that are long. */
const MODEL = `import { conv, dense, gelu, linear, mean, model, residual, s4d, sequence } from "recurve";

export default model("reading", { u: sequence(2) }, ({ u }) => {
  let x = linear(u, { width: 4, name: "encoder" });
  x = residual(x, (h) => gelu(s4d(h, { state: 16, init: "inv", name: "blocks.0.a_layer_with_a_long_name" })));
  x = dense(conv(x, { width: 5, name: "short" }), { state: 8, name: "legs" });
  return { y: linear(x, { width: 3, name: "decoder" }), z: mean(x, "L") };
});
`;

/** For every drawing: what kind, its words, and whether all its text lies inside and off other text. */
const drawings = `[...document.querySelectorAll("svg[role=img]")].map((svg) => {
  const box = svg.getBoundingClientRect();
  const texts = [...svg.querySelectorAll("text")].map((t) => ({ t: t.textContent, r: t.getBoundingClientRect() })).filter(({ r }) => r.width > 0);
  const outside = texts.filter(({ r }) => r.left < box.left - 1 || r.right > box.right + 1 || r.top < box.top - 1 || r.bottom > box.bottom + 1);
  const overlapping = texts.filter((a, i) => texts.some((b, j) => j > i && a.r.left < b.r.right - 1 && b.r.left < a.r.right - 1 && a.r.top < b.r.bottom - 3 && b.r.top < a.r.bottom - 3));
  return { kind: svg.getAttribute("class"), label: svg.getAttribute("aria-label"), outside: outside.map(({ t }) => t), overlapping: overlapping.map(({ t }) => t) };
})`;

interface Drawing {
  readonly kind: string;
  readonly label: string;
  readonly outside: readonly string[];
  readonly overlapping: readonly string[];
}

/** The least contrast, by the formula of WCAG 2, of each kind of text, line and area against the card or the box it is drawn on. */
const contrasts = `(() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const luminance = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const card = getComputedStyle(document.querySelector("section")).backgroundColor;
  const least = {};
  const note = (kind, color, on = card) => {
    const [a, b] = [luminance(color), luminance(on)];
    least[kind] = Math.min(least[kind] ?? 99, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05));
  };
  for (const t of document.querySelectorAll("svg text")) {
    const box = t.parentNode.querySelector(":scope > rect");
    note("text", getComputedStyle(t).fill, t.closest(".node") ? getComputedStyle(box).fill : card);
  }
  for (const e of document.querySelectorAll("main p, main th, main td, main li, main h2, main h3, figcaption")) note("text", getComputedStyle(e).color);
  for (const e of document.querySelectorAll("svg .curve, svg .pole, svg .axis, svg .edge, svg .circle, svg .threshold, svg .dot")) note("lines", getComputedStyle(e).stroke);
  for (const e of document.querySelectorAll("svg .bar, svg.memory rect")) note("areas", getComputedStyle(e).fill);
  return least;
})()`;

async function check(page: Page): Promise<void> {
  const found = await page.evaluate<Drawing[]>(drawings);
  expect(found.filter(({ label }) => (label ?? "").length < 10)).toEqual([]);
  expect(found.filter(({ outside, overlapping }) => outside.length + overlapping.length > 0)).toEqual([]);
  const count = (kind: string): number => found.filter((drawing) => drawing.kind === kind).length;
  expect(["graph", "costs", "memory", "plane", "spread", "spectrum", "basis", "impulse"].map(count)).toEqual([1, 2, 2, 4, 4, 3, 2, 9]);
}

/** What the first layer of the example looks like. */
async function keep(page: Page, url: string): Promise<void> {
  if (screenshots === undefined) return;
  await page.goto(`${url}digits.html`);
  await page.setViewportSize({ width: 1120, height: 800 });
  await page.addStyleTag({ content: "article { padding: .5rem 0 .5rem .5rem }" });
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    await page
      .locator("article")
      .first()
      .screenshot({ path: join(screenshots, `inspect-${colorScheme}.png`) });
  }
  await page.goto(`${url}page.html`);
}

test(
  "the page of a model with every structure is readable in both colour schemes and at any width, and loads nothing",
  { timeout: 120_000 },
  async () => {
    const folder = await scratch();
    const served = join(folder, "served");
    await mkdir(served);
    const model = await modelFile(folder, MODEL);
    expect(await cli("inspect", model, "--max-length", "4096", "--html", join(served, "page.html"))).toMatchObject({ code: 0 });
    await writeFile(join(served, "favicon.ico"), "");
    if (screenshots !== undefined)
      await cli("inspect", digits, "--weights", join(digits, "../model.safetensors"), "--html", join(served, "digits.html"));
    await withPage(served, async ({ page, url, errors }) => {
      const requests: string[] = [];
      page.on("request", (request) => requests.push(request.url()));
      await page.goto(`${url}page.html`);
      const backgrounds = new Set<unknown>();
      for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme });
        // Programs that are folded away have no layout.
        await page.evaluate(`document.querySelectorAll("section details").forEach((d) => { d.open = d.querySelector("pre") === null; })`);
        await check(page);
        const least = await page.evaluate<Record<string, number>>(contrasts);
        expect(Object.keys(least).toSorted()).toEqual(["areas", "lines", "text"]);
        expect(least["text"]).toBeGreaterThan(4.5);
        expect(least["lines"]).toBeGreaterThan(3);
        expect(least["areas"]).toBeGreaterThan(3);
        backgrounds.add(await page.evaluate(`getComputedStyle(document.body).backgroundColor`));
      }
      expect(backgrounds.size).toBe(2);
      expect(await page.locator(".op-ssm title").first().textContent()).toMatch(/^%\d+ ssm \[B L H=4\]\n.*model\.ts:5:\d+\nx = residual\(/);
      await keep(page, url);
      await page.setViewportSize({ width: 360, height: 740 });
      expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(360);
      expect(requests.filter((request) => !/(page|digits)\.html$|favicon\.ico$/.test(request))).toEqual([]);
      expect(errors).toEqual([]);
    });
  },
);
