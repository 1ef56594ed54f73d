/** Imports in src go only downwards, without cycles, and the lower levels know nothing of Node. */
import { describe, expect, it } from "vitest";
import { type Import, importsOf, sources } from "./source.ts";

/** Folders and files of src by level; a folder imports itself and lower levels. Codegen prints what passes lower to, so it lies below them. */
const levels: readonly (readonly string[])[] = [
  ["src/math/", "src/ir/", "src/runtime/"],
  ["src/ssm/", "src/weights/"],
  ["src/codegen/"],
  ["src/dsl/", "src/passes/"],
  ["src/models/"],
  ["src/frontend/", "src/checkpoints/", "src/compile.ts", "src/pack.ts", "src/files.ts", "src/build.ts"],
  ["src/cli/", "src/vite.ts", "src/index.ts"],
];

/** From this level on, Node and sideways imports are allowed. */
const FREE = 5;

/** Packages that a level below that may use: those that run in a page. */
const pagePackages = new Map([
  ["src/codegen/", ["ts-morph"]],
  ["src/weights/", ["@zip.js/zip.js/lib/zip-core-native.js"]],
]);

/** `bug` and `CompileError`: all of level 0 may throw them. */
const errors = "src/ir/error.ts";

const unitOf = (path: string): string | undefined => levels.flat().find((unit) => path.startsWith(unit));
const levelOf = (path: string): number => levels.findIndex((units) => units.some((unit) => path.startsWith(unit)));
const isOurs = ({ to }: Import): boolean => to.startsWith("src/");

/** One line for each import that goes up, or sideways below `FREE`; above it the check on cycles keeps order. */
export function breaches(imports: readonly Import[]): string[] {
  const allowed = ({ from, to }: Import): boolean => {
    const [a, b] = [levelOf(from), levelOf(to)];
    return a > b || unitOf(from) === unitOf(to) || (a === b && a >= FREE) || (from.startsWith("src/math/") && to === errors);
  };
  return imports
    .filter(isOurs)
    .filter((i) => !allowed(i))
    .map(({ from, to }) => `${from} (level ${levelOf(from)}) imports ${to} (level ${levelOf(to)})`);
}

/** The files of one import cycle, first and last the same; empty where there is none. */
export function findCycle(imports: readonly Import[]): string[] {
  const ours = imports.filter(isOurs);
  const done = new Set<string>();
  const follow = (file: string, path: readonly string[]): string[] => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return [];
    for (const { to } of ours.filter(({ from }) => from === file)) {
      const cycle = follow(to, [...path, file]);
      if (cycle.length > 0) return cycle;
    }
    done.add(file);
    return [];
  };
  for (const { from: file } of ours) {
    const cycle = follow(file, []);
    if (cycle.length > 0) return cycle;
  }
  return [];
}

describe("layering", () => {
  const files = sources("src");
  const imports = files.flatMap(importsOf);

  it("every file of src has a level", () => {
    expect(files.length).toBeGreaterThan(5);
    expect(files.filter((file) => levelOf(file) < 0)).toEqual([]);
  });

  it("imports go only downwards", () => {
    expect(breaches(imports)).toEqual([]);
  });

  it("there is no import cycle", () => {
    expect(findCycle(imports)).toEqual([]);
  });

  it("below the front end no file imports Node or a package that does not run in a page", () => {
    const packages = imports.filter((i) => !isOurs(i) && levelOf(i.from) < FREE);
    const foreign = packages.filter(({ from, to }) => !(pagePackages.get(unitOf(from) ?? "") ?? []).includes(to));
    expect(foreign.map(({ from, to }) => `${from} imports ${to}`)).toEqual([]);
  });

  it("the check itself sees an import that goes up, one that goes sideways, and a cycle", () => {
    const edge = (from: string, to: string): Import => ({ from, to });
    expect(breaches([edge("src/ir/a.ts", "src/passes/b.ts")])).toHaveLength(1);
    expect(breaches([edge("src/dsl/a.ts", "src/passes/b.ts")])).toHaveLength(1);
    expect(breaches([edge("src/passes/a.ts", "src/passes/schedules/b.ts"), edge("src/passes/a.ts", "src/ir/b.ts")])).toEqual([]);
    expect(findCycle([edge("src/ir/a.ts", "src/ir/b.ts"), edge("src/ir/b.ts", "src/ir/a.ts")])).toEqual([
      "src/ir/a.ts",
      "src/ir/b.ts",
      "src/ir/a.ts",
    ]);
  });
});
