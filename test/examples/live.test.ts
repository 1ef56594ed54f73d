/** The live page of s4d-kws-raw in a real Chromium: any chunking of a sound gives the answer of one run, and a microphone is heard. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { Resampler } from "../../examples/s4d-kws-raw/resample.ts";
import { assemblePage, buildBundle, readTestSet } from "../../scripts/examples.ts";
import { root } from "../repo/source.ts";
import { withPage } from "../setup/browser.ts";
import { wav } from "../setup/wav.ts";

const RATE = 8000;
const LENGTH = 4000;
/** As in accuracy.test.ts: PyTorch's own float32 is 4.3e-4 from its float64. */
const APART = 1e-3;
/** Where a screenshot goes when somebody asks for one, to be looked at and kept in docs/images. */
const screenshots = process.env["RECURVE_SCREENSHOTS"];

vi.setConfig({ testTimeout: 240_000 });

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "recurve-live-"));
  await mkdir(join(folder, "site"));
  buildBundle(root, "s4d-kws-raw", join(folder, "site", "bundle"));
  await assemblePage(root, "s4d-kws-raw", join(folder, "site"));
}, 240_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Clips of the test set one behind the other, as samples of -1 to 1. */
async function clips(from: number, count: number): Promise<Float32Array> {
  const { inputs } = await readTestSet(join(root, "examples", "s4d-kws-raw"));
  return inputs(from, count).map((x) => x / 8);
}

/** Waits until the model is loaded. */
const ready = (page: Page): Promise<unknown> =>
  page.waitForFunction(`document.getElementById("status").textContent === "Ready."`, undefined, { timeout: 180_000 });

/** The logits of the windows that the page lists, by their first sample. */
const answers = async (page: Page): Promise<Map<number, number[]>> =>
  new Map(
    await page.evaluate<[number, number[]][]>(
      `[...document.querySelectorAll("#answers li")].map((li) => [Number(li.dataset.start), JSON.parse(li.dataset.logits)])`,
    ),
  );

async function hear(page: Page, samples: Float32Array, chunk: number, random = false): Promise<Map<number, number[]>> {
  await page.fill("#chunk", `${chunk}`);
  await page.setChecked("#random", random);
  await page.evaluate(`document.getElementById("results").dataset.state = "waiting"`);
  await page.setInputFiles("#file", { name: "sound.wav", mimeType: "audio/wav", buffer: wav(samples, RATE) });
  await page.waitForSelector("#results[data-state=done]", { timeout: 180_000 });
  return answers(page);
}

const largestDifference = (a: readonly number[] = [], b: readonly number[] = []): number =>
  Math.max(...a.map((x, i) => Math.abs(x - (b[i] ?? Number.NaN))));

describe("live page of s4d-kws-raw", () => {
  it("gives the same logits however a file is cut, those of one run and PyTorch's class", async () => {
    const samples = await clips(1, 1);
    const { predictions } = await readTestSet(join(root, "examples", "s4d-kws-raw"));
    await withPage(join(folder, "site"), async ({ page, url, errors }) => {
      await page.goto(`${url}live.html`);
      await ready(page);
      await page.selectOption("#pace", "full");
      const once = (await hear(page, samples, 4000)).get(0) ?? [];
      expect(once.indexOf(Math.max(...once))).toBe(predictions[1]);
      for (const [chunk, random] of [
        [333, false],
        [1200, true],
      ] as const) {
        const cut = await hear(page, samples, chunk, random);
        expect([...cut.keys()]).toEqual([0]);
        expect(largestDifference(cut.get(0), once), `chunks of ${chunk}`).toBeLessThan(APART);
        expect(Number(await page.textContent("#apart"))).toBeLessThan(APART);
      }
      await page.setInputFiles("#file", { name: "no-sound.wav", mimeType: "audio/wav", buffer: Buffer.from("not a sound") });
      await page.waitForFunction(`document.getElementById("status").textContent.includes("no-sound.wav is not a sound")`);
      expect(errors).toEqual([]);
    });
  });

  it("begins a window every quarter of a second, each answered as the same half second alone", async () => {
    const samples = await clips(4, 3);
    await withPage(join(folder, "site"), async ({ page, url, errors }) => {
      await page.goto(`${url}live.html`);
      await ready(page);
      await page.selectOption("#pace", "full");
      const all = await hear(page, samples, 1700);
      expect([...all.keys()].toSorted((a, b) => a - b)).toEqual([0, 2000, 4000, 6000, 8000]);
      if (screenshots !== undefined) {
        await hear(page, await clips(4, 8), 250);
        await keep(page);
      }
      const alone = await hear(page, samples.subarray(6000, 6000 + LENGTH), 4000);
      expect(largestDifference(all.get(6000), alone.get(0))).toBeLessThan(APART);
      await page.setViewportSize({ width: 360, height: 740 });
      expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(360);
      expect(errors).toEqual([]);
    });
  });

  it("hears a microphone, and stops when asked", async () => {
    const file = join(folder, "microphone.wav");
    await writeFile(file, wav(await clips(0, 4), RATE));
    const switches = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream", `--use-file-for-fake-audio-capture=${file}`];
    await withPage(
      join(folder, "site"),
      async ({ page, url, errors }) => {
        await page.goto(`${url}live.html`);
        await ready(page);
        await page.click("#microphone");
        await page.waitForFunction(`document.querySelectorAll("#answers li").length >= 3`, undefined, { timeout: 120_000 });
        expect(await page.getAttribute("#microphone", "aria-pressed")).toBe("true");
        const heard = await page.evaluate<string[]>(`[...document.querySelectorAll("#answers li")].map((li) => li.textContent)`);
        expect(heard.some((text) => !text.includes("quiet"))).toBe(true);
        expect(Number(await page.textContent("#apart"))).toBeLessThan(APART);
        await page.click("#stop");
        await page.waitForSelector("#results[data-state=done]");
        expect(await page.getAttribute("#microphone", "aria-pressed")).toBe("false");
        expect(errors).toEqual([]);
      },
      switches,
    );
  });

  it("says so where there is no microphone, and names each of its controls", async () => {
    await withPage(join(folder, "site"), async ({ page, url }) => {
      await page.goto(`${url}live.html`);
      await ready(page);
      await page.evaluate(`navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("Permission denied"))`);
      await page.click("#microphone");
      await page.waitForFunction(`document.getElementById("status").textContent === "No microphone: Permission denied"`);
      const unnamed = await page.evaluate(
        `[...document.querySelectorAll("button, input, select, svg, canvas")].filter((e) => !e.textContent.trim() && !e.getAttribute("aria-label") && !e.labels?.length).map((e) => e.outerHTML)`,
      );
      expect(unnamed).toEqual([]);
    });
  });
});

async function keep(page: Page): Promise<void> {
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    await page.screenshot({ path: join(screenshots ?? "", `s4d-kws-raw-live-${colorScheme}.png`), fullPage: true });
  }
}

describe("resampler", () => {
  const tone = (hertz: number, rate: number, count: number): Float32Array =>
    Float32Array.from({ length: count }, (_, i) => Math.sin((2 * Math.PI * hertz * i) / rate));

  it.each([44_100, 48_000, 16_000, 8000])("keeps a tone of 1 kHz and drops one above the new Nyquist frequency, from %i Hz", (rate) => {
    const kept = new Resampler(rate, RATE).push(tone(1000, rate, rate / 10));
    const wanted = tone(1000, RATE, kept.length);
    // The window's ripple in the passband; the first samples lack a past.
    for (let i = 32; i < kept.length; i++) expect(Math.abs((kept[i] ?? NaN) - (wanted[i] ?? NaN)), `sample ${i}`).toBeLessThan(5e-3);
    expect(kept.length).toBeGreaterThan(RATE / 10 - 20);
    if (rate <= RATE) return;
    const dropped = new Resampler(rate, RATE).push(tone(5500, rate, rate / 10)).subarray(32);
    expect(Math.max(...dropped.map(Math.abs))).toBeLessThan(5e-3);
  });

  it("gives the same samples however they arrive", () => {
    const sound = tone(700, 44_100, 3000);
    const whole = new Resampler(44_100, RATE).push(sound);
    const cut = new Resampler(44_100, RATE);
    const pieces: number[] = [];
    for (let at = 0, size = 1; at < sound.length; at += size, size = (size * 7) % 311)
      pieces.push(...cut.push(sound.subarray(at, at + size)));
    expect(pieces).toEqual([...whole]);
  });
});
