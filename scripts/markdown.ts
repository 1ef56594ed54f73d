/** What the scripts that write parts of pages share. */
import { realpathSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const row = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;

export const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [row(head), row(head.map(() => "---")), ...rows.map(row)].join("\n");

/** A page with other content between its marks. */
export function between(page: string, marks: { readonly begin: string; readonly end: string }, content: string): string {
  const [from, to] = [page.indexOf(marks.begin), page.indexOf(marks.end)];
  if (from < 0 || to < from) throw new Error(`the page has lost its mark ${marks.begin}`);
  return `${page.slice(0, from + marks.begin.length)}\n\n${content}\n\n${page.slice(to)}`;
}

/** Updates a page of the repository where `module` is what runs; with `--check` only says by the exit code whether it is up to date. */
export async function runOn(path: string, module: string, updated: (page: string) => Promise<string>): Promise<void> {
  if (module !== pathToFileURL(realpathSync(process.argv[1] ?? "")).href) return;
  const file = join(process.cwd(), path);
  const text = await readFile(file, "utf8");
  const wanted = await updated(text);
  if (process.argv.includes("--check")) process.exitCode = text === wanted ? 0 : 1;
  else await writeFile(file, wanted);
}
