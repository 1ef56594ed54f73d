/**
 * Checks that a wrong model file is told what it says it should be. A comment under the faulty line has a caret under the
 * faulty column, then the code and words of the message or fix: `//      ^ type-error: 'shape.H'`. Several words are
 * separated by ` ... `. In `//@1 code: words` the number is the column.
 */
import { readdirSync, readFileSync } from "node:fs";
import { expect } from "vitest";
import { loadModel } from "../../src/frontend/load.ts";
import { CompileError } from "../../src/ir/error.ts";

const folder = "test/errors";

/** The cases of the codes that `keep` accepts. */
export function casesOf(keep: (code: string) => boolean): readonly string[] {
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".ts"));
  return files.filter((path) => keep(path.split("/", 1)[0] ?? "") && hasMarker(path)).sort();
}

const marker = /\/\/(?:@(\d+)|\s*\^) ([\w-]+): ?(.*)$/;
const linesOf = (path: string): readonly string[] => readFileSync(`${folder}/${path}`, "utf8").split("\n");
const hasMarker = (path: string): boolean => linesOf(path).some((line) => marker.test(line));

async function errorOf(path: string): Promise<CompileError> {
  try {
    await loadModel(path, { timeoutMs: path.includes("model-timeout") ? 1500 : 20_000, memoryMb: 96 });
  } catch (error) {
    if (error instanceof CompileError) return error;
    throw error;
  }
  throw new Error(`${path} loads`);
}

/** Loads a case and compares code, place, words, frame and fix. */
export async function checkCase(path: string): Promise<void> {
  const lines = linesOf(path);
  const line = lines.findIndex((text) => marker.test(text));
  const text = lines[line] ?? "";
  const [, column, code = "", words = ""] = marker.exec(text) ?? [];
  const error = await errorOf(`${folder}/${path}`);
  const place = { file: `${folder}/${path}`, line, column: column === undefined ? text.indexOf("^") + 1 : Number(column) };
  expect({ code: error.code, ...error.loc }, error.message).toEqual({ code, ...place });
  for (const part of words.split(" ... ")) expect(`${error.message}\n${error.fix}`).toContain(part);
  expect(error.frame).toMatch(new RegExp(`^> +${line} \\|`, "m"));
  expect(error.fix).not.toBe("");
  expect(code).toBe(path.split("/", 1)[0]);
}
