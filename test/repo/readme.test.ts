/** What the README promises is so: its tables come from the code, its model compiles; the links of every page lead somewhere. */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { updatedPerformance } from "../../scripts/performance.ts";
import { updatedReadme } from "../../scripts/support.ts";
import { compileModel } from "../../src/build.ts";
import { read, repositoryFiles, root } from "./source.ts";

describe("README.md", () => {
  it("has the tables that scripts/support.ts writes", async () => {
    expect(read("README.md")).toBe(await updatedReadme(read("README.md")));
  });

  it("has a model that compiles", async () => {
    const [, text = ""] = /```ts\n(import[^]*?)```/.exec(read("README.md")) ?? [];
    await mkdir(join(root, "out"), { recursive: true });
    const folder = await mkdtemp(join(root, "out", "readme-"));
    try {
      await writeFile(join(folder, "model.ts"), text);
      const { compiled } = await compileModel(join(folder, "model.ts"), { maxLength: 256 });
      expect(compiled.manifest.modes).toEqual(expect.arrayContaining(["convolution", "recurrence"]));
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

it("docs/performance.md has the tables that scripts/performance.ts writes", async () => {
  expect(read("docs/performance.md")).toBe(await updatedPerformance(read("docs/performance.md")));
});

describe("Markdown", () => {
  it("links only to files that are there", () => {
    const pages = repositoryFiles().filter((path) => path.endsWith(".md"));
    const links = pages.flatMap((path) =>
      [...read(path).matchAll(/\]\(([^)#]+)(#[^)]*)?\)|src(?:set)?="([^"]+)"/g)].map(([, to, , image]) => ({
        path,
        to: to ?? image ?? "",
      })),
    );
    expect(links.length).toBeGreaterThan(10);
    expect(links.filter(({ path, to }) => !/^https?:/.test(to) && !existsSync(join(root, dirname(path), to)))).toEqual([]);
  });
});
