/** docs/errors.md, the codes that src throws, and the tests hold together. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { describe, expect, it } from "vitest";
import { parse, read, root, sources, walk } from "./source.ts";

const kebab = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;

/** A code as a literal, or the fixed beginning of one that is put together. */
interface Code {
  readonly text: string;
  readonly whole: boolean;
}

type Functions = ReadonlyMap<string, number>;

/** Functions of a file by name, with the index of their parameter called `code`; -1 where there is none. */
function functionsOf(file: ts.SourceFile): Functions {
  const found = new Map<string, number>();
  const note = (name: ts.Node | undefined, parameters: readonly ts.ParameterDeclaration[]): void => {
    if (name !== undefined && ts.isIdentifier(name))
      found.set(
        name.text,
        parameters.findIndex((p) => p.name.getText() === "code"),
      );
  };
  walk(file, (node) => {
    if (ts.isFunctionDeclaration(node)) note(node.name, node.parameters);
    if (ts.isVariableDeclaration(node) && node.initializer !== undefined && ts.isArrowFunction(node.initializer))
      note(node.name, node.initializer.parameters);
  });
  return found;
}

function codeIn(node: ts.Node | undefined): Code[] {
  if (node === undefined) return [];
  if (ts.isStringLiteralLike(node)) return kebab.test(node.text) ? [{ text: node.text, whole: true }] : [];
  if (ts.isTemplateExpression(node)) return [{ text: node.head.text, whole: false }];
  if (ts.isConditionalExpression(node)) return [...codeIn(node.whenTrue), ...codeIn(node.whenFalse)];
  return ts.isAsExpression(node) || ts.isParenthesizedExpression(node) ? codeIn(node.expression) : [];
}

/** The codes that one file gives to errors: `code: "..."`, `code = "..."`, and arguments of functions whose parameter is `code`. */
function codesOf(file: ts.SourceFile, elsewhere: Functions): Code[] {
  const local = functionsOf(file);
  const codes: Code[] = [];
  walk(file, (node) => {
    if ((ts.isPropertyAssignment(node) || ts.isPropertyDeclaration(node)) && node.name.getText() === "code")
      codes.push(...codeIn(node.initializer));
    if (!ts.isCallExpression(node) || !ts.isIdentifier(node.expression)) return;
    const index = local.get(node.expression.text) ?? elsewhere.get(node.expression.text) ?? -1;
    codes.push(...codeIn(node.arguments[index]));
  });
  return codes;
}

describe("error codes", () => {
  const files = sources("src").map(parse);
  const everywhere = new Map(files.flatMap((file) => [...functionsOf(file)]).filter(([, index]) => index >= 0));
  const thrown = files.flatMap((file) => codesOf(file, everywhere));
  const documented = [...read("docs/errors.md").matchAll(/^## (.+)$/gm)].map(([, heading = ""]) => heading);

  it("each code in src has a heading in docs/errors.md", () => {
    const whole = new Set(thrown.filter((c) => c.whole).map((c) => c.text));
    expect(whole.size).toBeGreaterThan(20);
    expect([...whole].filter((code) => !documented.includes(code)).sort()).toEqual([]);
  });

  it("each heading of docs/errors.md is a code in src, in alphabetical order, once", () => {
    const known = (heading: string): boolean => thrown.some((c) => (c.whole ? c.text === heading : heading.startsWith(c.text)));
    expect(documented.filter((heading) => !known(heading))).toEqual([]);
    expect(documented).toEqual([...new Set(documented)].sort());
  });

  it("each heading says something", () => {
    const bodies = read("docs/errors.md")
      .split(/^## .+$/m)
      .slice(1);
    expect(documented.filter((_, i) => (bodies[i] ?? "").trim().length < 60)).toEqual([]);
  });

  it("each documented code is met in a test", () => {
    const tests = sources("test").map(read).join("\n");
    const met = (code: string): boolean =>
      existsSync(join(root, "test", "errors", code)) || new RegExp(`["'\`(/]${code}["'\`)\\]/:]`).test(tests);
    expect(documented.filter((code) => !met(code))).toEqual([]);
  });
});
