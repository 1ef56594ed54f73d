/** What the repository's own tests read: the tracked and new files, and the imports of each source file. No assertions. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

export const root = fileURLToPath(new URL("../..", import.meta.url));

/** Paths, from the root, of the files that git tracks or would add; where there is no git, of none. */
export function repositoryFiles(): string[] {
  const { status, stdout } = spawnSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", "-z"], {
    cwd: root,
    encoding: "utf8",
  });
  if (status !== 0) return [];
  return stdout.split("\0").filter((path) => path !== "" && existsSync(join(root, path)));
}

export const read = (path: string): string => readFileSync(join(root, path), "utf8");

/** The TypeScript files under `folder`, from the root, sorted. */
export const sources = (folder: string): string[] =>
  ts.sys
    .readDirectory(join(root, folder), [".ts"], ["**/*.d.ts"], undefined)
    .map((path) => relative(root, path))
    .sort();

export const parse = (path: string): ts.SourceFile => ts.createSourceFile(path, read(path), ts.ScriptTarget.ES2023, true);

export interface Import {
  readonly from: string;
  /** A path from the root for a relative import, the specifier itself for a package. */
  readonly to: string;
}

/** Every import and re-export of a file, dynamic and type-only ones included. */
export const importsOf = (path: string): Import[] =>
  ts
    .preProcessFile(read(path))
    .importedFiles.map(({ fileName }) => ({ from: path, to: fileName.startsWith(".") ? join(dirname(path), fileName) : fileName }));

/** Visits a node and everything under it. */
export function walk(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node);
  ts.forEachChild(node, (child) => walk(child, visit));
}
