/** The example pages in a real Chromium: both modes agree with PyTorch, the controls work, a missing WebGPU is explained. */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { assemblePage, buildBundle, readTestSet } from "../../scripts/examples.ts";
import { root } from "../repo/source.ts";
import { type TestPage, withPage } from "../setup/browser.ts";
import { wav } from "../setup/wav.ts";

/** Where screenshots go when somebody asks for them, to be looked at and kept in docs/images. */
const screenshots = process.env["RECURVE_SCREENSHOTS"];

vi.setConfig({ testTimeout: 240_000 });

let folder = "";
const served = (name: string): string => join(folder, name);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "recurve-pages-"));
  for (const name of ["s4d-sfmnist", "s4d-kws-raw", "s4-digits"]) {
    await mkdir(served(name));
    buildBundle(root, name, join(served(name), "bundle"));
    await assemblePage(root, name, served(name));
  }
}, 240_000);

afterAll(() => rm(folder, { recursive: true, force: true }));

const status = (page: Page): Promise<string | null> => page.textContent("#status");

/** Waits until the input shown is through both modes. */
async function finished(page: Page): Promise<void> {
  await page.waitForSelector("#results[data-state=done]", { timeout: 180_000 });
}

/** Waits until the convolution of the input that `act` brings has been shown; its recurrence may go on. */
async function convolved(page: Page, act: () => Promise<void>): Promise<void> {
  await page.evaluate(`document.getElementById("time-whole").textContent = ""`);
  await act();
  await page.waitForFunction(`document.getElementById("time-whole").textContent !== ""`, undefined, { timeout: 60_000 });
}

/** Waits until that many time steps have been shown. */
async function stepped(page: Page, steps: number): Promise<void> {
  await page.waitForFunction(`parseInt(document.getElementById("steps").textContent) >= ${steps}`, undefined, { timeout: 120_000 });
}

/** The label of the largest bar of the column "At once". */
const wholeLeader = (page: Page): Promise<unknown> =>
  page.evaluate(
    `[...document.querySelectorAll("#classes tr")].map((r) => [parseFloat(r.querySelectorAll(".number")[1].textContent), r.querySelector("th").textContent]).sort((a, b) => b[0] - a[0])[0][1]`,
  );

/** The class in bold, and the number of the same row under "At once". */
async function leader(page: Page): Promise<{ label: string | null; whole: string | null; live: string | null }> {
  const numbers = page.locator("tr.best .number");
  return {
    label: await page.textContent("tr.best th"),
    live: await numbers.nth(0).textContent(),
    whole: await numbers.nth(1).textContent(),
  };
}

/** Goes back to a moment at which the recurrence is still undecided, and keeps the picture. */
async function keep(page: Page, name: string, point: number): Promise<void> {
  if (screenshots === undefined) return;
  await page.evaluate(`{ const s = document.getElementById("scrubber"); s.value = ${point}; s.dispatchEvent(new Event("input")); }`);
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    await page.screenshot({ path: join(screenshots, `${name}-${colorScheme}.png`), fullPage: true });
  }
}

async function open({ page, url }: TestPage): Promise<void> {
  await page.goto(url);
  await page.selectOption("#speed", "full");
  await stepped(page, 1);
}

describe("s4d-sfmnist page", () => {
  it("reads a picture of the test set step by step and at once, to PyTorch's class, on a narrow screen too", async () => {
    const { labels, predictions } = await readTestSet(join(root, "examples", "s4d-sfmnist"));
    const config = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"];
    await withPage(served("s4d-sfmnist"), async (test) => {
      const { page, errors } = test;
      await open(test);
      await finished(page);
      const best = await leader(page);
      expect(best.label).toBe(config[predictions[0] ?? -1]);
      expect(best.whole).toBe(best.live);
      expect(await status(page)).toBe(
        `${best.label}. ${labels[0] === predictions[0] ? "That is right." : `The label says ${config[labels[0] ?? -1]}.`}`,
      );
      expect(Number(await page.textContent("#apart"))).toBeLessThan(3e-4);
      expect(await page.textContent("#adapter")).not.toBe("");
      await keep(page, "s4d-sfmnist", 80);
      await page.setViewportSize({ width: 360, height: 740 });
      expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(360);
      expect(errors).toEqual([]);
    });
  });

  it("goes back in the history by the scrubber's keys, and takes a drawing of the pointer and of the keyboard", async () => {
    await withPage(served("s4d-sfmnist"), async (test) => {
      const { page, errors } = test;
      await open(test);
      await stepped(page, 21);
      await page.focus("#scrubber");
      await page.keyboard.press("Home");
      expect(await page.textContent("#steps")).toBe("0 of 784 pixels");
      await page.keyboard.press("ArrowRight");
      expect(await page.textContent("#steps")).toBe("7 of 784 pixels");

      await page.click("#clear");
      const box = await page.locator("#picture").boundingBox();
      if (box === null) throw new Error("the picture has no box");
      await convolved(page, async () => {
        await page.mouse.move(box.x + 0.35 * box.width, box.y + 0.1 * box.height);
        await page.mouse.down();
        await page.mouse.move(box.x + 0.35 * box.width, box.y + 0.9 * box.height, { steps: 20 });
        await page.mouse.up();
      });
      const inked = (): Promise<unknown> =>
        page.evaluate(
          `[...document.getElementById("picture").getContext("2d").getImageData(0, 0, 28, 28).data].filter((v, i) => i % 4 === 0 && v > 50).length`,
        );
      const before = Number(await inked());
      expect(before).toBeGreaterThan(40);
      await page.focus("#picture");
      for (let i = 0; i < 6; i++) await page.keyboard.press("ArrowRight");
      await convolved(page, () => page.keyboard.press("Space"));
      await page.evaluate("document.activeElement.blur()");
      expect(Number(await inked())).toBeGreaterThan(before);
      expect(errors).toEqual([]);
    });
  });

  it("says what to do where there is no WebGPU, and turns its controls off", async () => {
    await withPage(served("s4d-sfmnist"), async ({ page, url }) => {
      await page.addInitScript(`Object.defineProperty(Navigator.prototype, "gpu", { get: () => undefined })`);
      await page.goto(url);
      await page.waitForSelector("#failure:not([hidden])");
      expect(await page.textContent("#failure")).toContain("offers no WebGPU");
      expect(await page.locator("main button:enabled").count()).toBe(0);
    });
  });
});

describe("s4-digits page", () => {
  it("reads digits of its gallery pixel by pixel and at once to PyTorch's class", async () => {
    const { labels, predictions } = await readTestSet(join(root, "examples", "s4-digits"));
    await withPage(served("s4-digits"), async (test) => {
      const { page, errors } = test;
      await open(test);
      await finished(page);
      await keep(page, "s4-digits", 40);
      for (const index of [1, 2, 3, 5, 8]) {
        await page.evaluate(`document.getElementById("results").dataset.state = ""`);
        await page.locator("#gallery button").nth(index).click();
        await finished(page);
        const best = await leader(page);
        expect(best.label).toBe(`${predictions[index]}`);
        expect(best.whole).toBe(best.live);
        expect(await status(page)).toBe(
          `${predictions[index]}. ${labels[index] === predictions[index] ? "That is right." : `The label says ${labels[index]}.`}`,
        );
        // Twice the error allowed against PyTorch, in accuracy.test.ts.
        expect(Number(await page.textContent("#apart"))).toBeLessThan(4e-5);
      }
      expect(await page.getAttribute("#picture", "width")).toBe("8");
      expect(errors).toEqual([]);
    });
  });
});

describe("s4d-kws-raw page", () => {
  it("hears a clip of the test set to PyTorch's word, and a sound file", async () => {
    const words = ["yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go"];
    const { predictions, inputs } = await readTestSet(join(root, "examples", "s4d-kws-raw"));
    await withPage(served("s4d-kws-raw"), async (test) => {
      const { page, errors } = test;
      await open(test);
      expect(await wholeLeader(page)).toBe(words[predictions[1] ?? -1]);
      await stepped(page, 400);
      if (screenshots !== undefined) await finished(page);
      await keep(page, "s4d-kws-raw", 45);

      const samples = inputs(5, 1).map((x) => x / 8);
      await convolved(page, () => page.setInputFiles("#file", { name: "word.wav", mimeType: "audio/wav", buffer: wav(samples, 8000) }));
      expect(await wholeLeader(page)).toBe(words[predictions[5] ?? -1]);
      await page.setInputFiles("#file", { name: "no-sound.wav", mimeType: "audio/wav", buffer: Buffer.from("not a sound") });
      await page.waitForFunction(`document.getElementById("status").textContent.includes("no-sound.wav is not a sound")`);
      expect(errors).toEqual([]);
    });
  });
});

describe("every page", () => {
  it.each(["s4d-sfmnist", "s4d-kws-raw", "s4-digits"])("names each of its controls: %s", async (name) => {
    await withPage(served(name), async ({ page, url }) => {
      await page.goto(url);
      await page.waitForSelector("#gallery button");
      const unnamed = await page.evaluate(
        `[...document.querySelectorAll("button, input, select, canvas[tabindex], svg")].filter((e) => !e.textContent.trim() && !e.getAttribute("aria-label") && !e.labels?.length).map((e) => e.outerHTML)`,
      );
      expect(unnamed).toEqual([]);
      expect(await page.getAttribute("html", "lang")).toBe("en");
    });
  });
});
