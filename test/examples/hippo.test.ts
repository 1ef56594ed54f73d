/**
 * The page of hippo in a real Chromium: the coefficients on the device are those of the float64 interpreter, and what is read back from them is the curve.
 * How near is the mathematics' affair: the limits are those that float64 keeps on this curve, with a margin.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { curves, sampled } from "../../examples/hippo/curves.ts";
import { errorOf, memories, type Name, names, reconstruct } from "../../examples/hippo/memories.ts";
import { LENGTH, STATES } from "../../examples/hippo/sizes.ts";
import { assemblePage, buildBundle } from "../../scripts/examples.ts";
import { compileModel } from "../../src/build.ts";
import { interpret } from "../../src/ir/interpret.ts";
import { relativeError } from "../math/golden.ts";
import { root } from "../repo/source.ts";
import { withPage } from "../setup/browser.ts";

/** Where screenshots go when somebody asks for them, to be looked at and kept in docs/images. */
const screenshots = process.env["RECURVE_SCREENSHOTS"];

vi.setConfig({ testTimeout: 180_000 });

const curve = sampled(curves["waves"] ?? (() => 0));
let coefficients: Awaited<ReturnType<typeof oracle>>;
let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "recurve-hippo-"));
  buildBundle(root, "hippo", join(folder, "bundle"));
  await assemblePage(root, "hippo", folder);
  coefficients = await oracle();
}, 120_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

/** All coefficients of the curve in each memory, in float64, `[L N]`. */
async function oracle(): Promise<Readonly<Record<Name, Float64Array>>> {
  const { compiled } = await compileModel(join(root, "examples", "hippo", "model.ts"));
  const u = { shape: [1, curve.length, 1], data: Float64Array.from(curve) };
  const { outputs } = interpret(compiled.module.graph, compiled.module.constants, new Map([["u", u]]));
  const of = (name: Name): Float64Array => outputs.get(name)?.data ?? new Float64Array();
  return { scaled: of("scaled"), legs: of("legs"), legt: of("legt"), fourier: of("fourier") };
}

const after = (all: Float64Array, count: number): Float64Array => all.subarray((count - 1) * STATES, count * STATES);

/** Goes to a moment, by the slider. */
const show = (page: Page, count: number): Promise<unknown> =>
  page.evaluate(`{ const s = document.getElementById("scrubber"); s.value = ${count}; s.dispatchEvent(new Event("input")); }`);

const coefficientsOf = (page: Page, name: Name): Promise<number[]> =>
  page.evaluate<number[]>(`JSON.parse(document.querySelector(".panel.${name}").dataset.coefficients)`);

const finished = (page: Page): Promise<unknown> => page.waitForSelector("#results[data-state=done]", { timeout: 120_000 });

/** Largest root mean squared errors of the curve `waves`, of amplitude 0.9, in a memory that has been running for a while. */
const limits: Readonly<Record<Name, number>> = { scaled: 0.01, legs: 0.05, legt: 5e-4, fourier: 0.08 };

describe("hippo", () => {
  it("is near the curve in float64, at any time", () => {
    for (const name of names)
      for (const count of [256, 350, 450, 512]) {
        const remembered = reconstruct(memories[name], after(coefficients[name], count), count);
        expect(errorOf(memories[name], remembered, curve, count), `${name} after ${count}`).toBeLessThan(limits[name]);
      }
    const forgotten = { ...memories.legt, reach: () => 400 };
    expect(errorOf(forgotten, reconstruct(forgotten, after(coefficients.legt, 512), 512), curve, 512)).toBeGreaterThan(1);
  });

  it("shows on its page what the oracle says, at any moment the slider is drawn to", async () => {
    await withPage(folder, async ({ page, url, errors }) => {
      await page.setViewportSize({ width: 1100, height: 1100 });
      await page.goto(url);
      await page.selectOption("#speed", "full");
      await page.click("#again");
      await finished(page);
      expect(Number(await page.textContent("#apart"))).toBeLessThan(1e-4);
      for (const count of [96, 400, LENGTH]) {
        await show(page, count);
        expect(await page.textContent("#steps")).toBe(`${count} of 512 samples`);
        for (const name of names) {
          const wanted = after(coefficients[name], count);
          expect(relativeError(await coefficientsOf(page, name), wanted), `${name} after ${count}`).toBeLessThan(1e-5);
          const error = errorOf(memories[name], reconstruct(memories[name], wanted, count), curve, count);
          const shown = Number(await page.textContent(`.panel.${name} .number`));
          expect(Math.abs(shown - error), `${name} after ${count}`).toBeLessThan(0.06 * error + 1e-5);
        }
      }
      await page.focus("#scrubber");
      await page.keyboard.press("Home");
      expect(await page.textContent("#steps")).toBe("0 of 512 samples");
      await keep(page);
      await page.setViewportSize({ width: 360, height: 740 });
      expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(360);
      expect(errors).toEqual([]);
    });
  });

  it("takes a curve drawn with the pointer and bent by keys, and names its controls", async () => {
    await withPage(folder, async ({ page, url, errors }) => {
      await page.goto(url);
      await page.selectOption("#speed", "full");
      await page.selectOption("#preset", "bump");
      await page.waitForFunction(`parseInt(document.getElementById("steps").textContent) >= 8`);
      const box = await page.locator("#curve").boundingBox();
      if (box === null) throw new Error("the curve has no box");
      await page.mouse.move(box.x + 1, box.y + 0.25 * box.height);
      await page.mouse.down();
      await page.mouse.move(box.x + box.width - 1, box.y + 0.25 * box.height, { steps: 8 });
      await page.mouse.up();
      await page.waitForFunction(`document.getElementById("results").dataset.state === "running"`);
      await finished(page);
      // A level curve at the height of the pointer: the first number holds it, and the others what is left of the bump's zeros at its ends,
      // which the pointer did not reach: at most 4 samples of 0.575, each sqrt(2n + 1) / 512 in coefficient n.
      const [level = 0, ...others] = await coefficientsOf(page, "scaled");
      expect(Math.abs(level - 2.3 * 0.25)).toBeLessThan(0.05);
      expect(Math.max(...others.map(Math.abs))).toBeLessThan((4 * 0.575 * Math.sqrt(2 * STATES - 1)) / LENGTH);
      await page.focus("#curve");
      await page.keyboard.press("ArrowLeft");
      await page.keyboard.press("ArrowUp");
      await page.waitForFunction(`document.getElementById("results").dataset.state === "running"`);
      const unnamed = await page.evaluate(
        `[...document.querySelectorAll("button, input, select, canvas, svg")].filter((e) => !e.textContent.trim() && !e.getAttribute("aria-label") && !e.labels?.length).map((e) => e.outerHTML)`,
      );
      expect(unnamed).toEqual([]);
      expect(errors).toEqual([]);
    });
  });
});

/** The picture of the literature: a curve and what each memory has of it, late in the curve. */
async function keep(page: Page): Promise<void> {
  if (screenshots === undefined) return;
  await show(page, 400);
  await page.evaluate("document.activeElement.blur()");
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    await page.screenshot({ path: join(screenshots, `hippo-${colorScheme}.png`), fullPage: true });
  }
}
