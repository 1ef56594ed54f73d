/** What the README promises is so: its tables come from the code, its links lead somewhere, its model compiles. */
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { updatedReadme } from "../../scripts/support.ts";
import { loadModel } from "../../src/frontend/load.ts";
import { read, repositoryFiles, root } from "./source.ts";

describe("README.md", () => {
  it("has the tables that scripts/support.ts writes", async () => {
    expect(read("README.md")).toBe(await updatedReadme(read("README.md")));
  });

  it("has a model that compiles", async () => {
    const [, model = ""] = /```ts\n(import[^]*?)```/.exec(read("README.md")) ?? [];
    const folder = await mkdtemp(join(root, "test", "repo", "readme-"));
    try {
      await writeFile(join(folder, "model.ts"), model);
      const { graph } = await loadModel(join(folder, "model.ts"), { timeoutMs: 20_000 });
      expect(graph.outputs.map(({ name }) => name)).toEqual(["logits"]);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
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
