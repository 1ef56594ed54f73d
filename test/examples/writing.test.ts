/** The page of mamba-austen in a real Chromium: it writes what PyTorch writes, stops, goes back near and far, and forks. */
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { assemblePage, buildBundle } from "../../scripts/examples.ts";
import { root } from "../repo/source.ts";
import { withPage } from "../setup/browser.ts";

/** Where screenshots go when somebody asks for them, to be looked at and kept in docs/images. */
const screenshots = process.env["RECURVE_SCREENSHOTS"];

vi.setConfig({ testTimeout: 300_000 });

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "recurve-writing-"));
  await mkdir(join(folder, "site"));
  buildBundle(root, "mamba-austen", join(folder, "site", "bundle"));
  await assemblePage(root, "mamba-austen", join(folder, "site"));
}, 240_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

const { greedy_continuation: greedy } = JSON.parse(await readFile(join(root, "examples", "mamba-austen", "generation.json"), "utf8")) as {
  readonly greedy_continuation: string;
};

/** Opens the page with the model loaded. */
async function open(page: Page, url: string): Promise<void> {
  await page.goto(url);
  await page.waitForFunction(`document.getElementById("status").textContent === "Ready."`, undefined, { timeout: 180_000 });
}

const set = (page: Page, id: string, value: number): Promise<unknown> =>
  page.evaluate(`{ const s = document.getElementById("${id}"); s.value = ${value}; s.dispatchEvent(new Event("input")); }`);

/** What was written in a text, from 0 on. */
const written = (page: Page, text = 0): Promise<string> =>
  page.evaluate<string>(`document.querySelectorAll("#texts .written")[${text}].textContent`);

/** Waits until a text has so many characters, and nobody writes. */
const stands = (page: Page, count: number, text = 0): Promise<unknown> =>
  page.waitForFunction(
    `(() => { const card = document.querySelectorAll("#texts .card")[${text}]; return card?.dataset.state === "done" && card.querySelectorAll(".written span").length === ${count}; })()`,
    undefined,
    { timeout: 180_000 },
  );

const press = (page: Page, name: string, text = 0): Promise<void> =>
  page.locator("#texts .card").nth(text).getByRole("button", { name, exact: true }).click();

describe("the page of mamba-austen", () => {
  it("writes PyTorch's two hundred characters greedily, and goes back to any of them", async () => {
    await withPage(join(folder, "site"), async ({ page, url, errors }) => {
      await open(page, url);
      await set(page, "temperature", 0);
      await page.fill("#count", "200");
      await page.click("#write");
      await stands(page, 200);
      expect(await written(page)).toBe(greedy);
      expect(await page.textContent("#texts .prompt")).toBe("Anne looked at him for a moment, and then said, ");

      // A click on the 150th letter keeps it as the last; the stream remembers that far. The 20th it has to read anew.
      await page.fill("#count", "10");
      for (const count of [150, 20]) {
        await page
          .locator("#texts .written span")
          .nth(count - 1)
          .click();
        await stands(page, count);
        await press(page, "Go on");
        await stands(page, count + 10);
        expect(await written(page)).toBe(greedy.slice(0, count + 10));
      }
      await page.locator("#texts .card").getByLabel("characters").fill("25");
      await press(page, "Take back");
      await stands(page, 5);
      await page.focus("#texts .text");
      await page.keyboard.press("Backspace");
      await page.keyboard.press("Backspace");
      await stands(page, 3);
      await press(page, "Go on");
      await stands(page, 13);
      expect(await written(page)).toBe(greedy.slice(0, 13));
      expect(await page.textContent("#texts .figures")).toMatch(/^13 characters, [\d.e+]+ a second$/);
      expect(errors).toEqual([]);
    });
  });

  it("stops when asked; a fork has the text so far, and goes its own way by its own seed", async () => {
    await withPage(join(folder, "site"), async ({ page, url, errors }) => {
      await open(page, url);
      await set(page, "temperature", 1);
      await page.fill("#count", "5000");
      await page.fill("#prompt", "Elizabeth ");
      await page.click("#write");
      await page.waitForFunction(`document.querySelectorAll("#texts .written span").length >= 12`, undefined, { timeout: 120_000 });
      await press(page, "Stop");
      await page.waitForSelector("#texts .card[data-state=done]");
      const begun = await written(page);
      expect(begun.length).toBeLessThan(5000);
      await press(page, "Fork");
      await page.waitForFunction(`document.querySelectorAll("#texts .card").length === 2`);
      expect(await written(page, 1)).toBe(begun);

      await page.fill("#count", "30");
      for (const text of [0, 1]) await press(page, "Go on", text);
      for (const text of [0, 1]) await stands(page, begun.length + 30, text);
      const [first, second] = [await written(page, 0), await written(page, 1)];
      expect(second.slice(0, begun.length)).toBe(begun);
      expect(second).not.toBe(first);
      // With the seed of the first it says what the first said.
      await page.locator("#texts .card").nth(1).getByLabel("characters").fill("30");
      await press(page, "Take back", 1);
      await stands(page, begun.length, 1);
      await page.locator("#texts .card").nth(1).getByLabel("Seed").fill("1");
      await press(page, "Go on", 1);
      await stands(page, begun.length + 30, 1);
      expect(await written(page, 1)).toBe(first);
      await press(page, "Close", 1);
      expect(await page.locator("#texts .card").count()).toBe(1);
      expect(errors).toEqual([]);
    });
  });

  it("names its controls, says which characters it lacks, and fits a narrow screen", async () => {
    await withPage(join(folder, "site"), async ({ page, url, errors }) => {
      await open(page, url);
      await page.fill("#prompt", "Café, naïve");
      expect(await page.textContent("#unknown")).toBe("Not among the 80 characters of the model: é ï");
      expect(await page.isDisabled("#write")).toBe(true);
      await page.fill("#prompt", "It is a truth universally acknowledged, that ");
      await page.fill("#count", screenshots === undefined ? "5" : "420");
      await page.click("#write");
      await stands(page, screenshots === undefined ? 5 : 420);
      await keep(page);
      const unnamed = await page.evaluate(
        `[...document.querySelectorAll("button, input, textarea, [tabindex]")].filter((e) => !e.textContent.trim() && !e.getAttribute("aria-label") && !e.labels?.length).map((e) => e.outerHTML)`,
      );
      expect(unnamed).toEqual([]);
      await page.setViewportSize({ width: 360, height: 740 });
      expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(360);
      expect(errors).toEqual([]);
    });
  });
});

/** Two texts that part after a sentence or so. */
async function keep(page: Page): Promise<void> {
  if (screenshots === undefined) return;
  await page.locator("#texts .written span").nth(180).click();
  await stands(page, 181);
  await press(page, "Fork");
  await page.fill("#count", "240");
  for (const text of [0, 1]) await press(page, "Go on", text);
  for (const text of [0, 1]) await stands(page, 421, text);
  await page.mouse.move(0, 0);
  await page.evaluate("document.activeElement.blur()");
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    await page.screenshot({ path: join(screenshots, `mamba-austen-${colorScheme}.png`), fullPage: true });
  }
}
