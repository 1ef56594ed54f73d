/** The lines of source around a place, with a caret under it. */
import { readFileSync } from "node:fs";
import { CompileError, type Loc } from "../ir/error.ts";

/** One line before and one after, numbered, the faulty one marked. */
export function codeFrame(source: string, line: number, column: number): string {
  const lines = source.split(/\r?\n/);
  const last = Math.min(lines.length, line + 1);
  const width = String(last).length;
  const out: string[] = [];
  for (let n = Math.max(1, line - 1); n <= last; n++) {
    const text = lines[n - 1] ?? "";
    out.push(`${n === line ? ">" : " "} ${String(n).padStart(width)} | ${text}`.trimEnd());
    if (n === line) out.push(`  ${" ".repeat(width)} | ${text.slice(0, column - 1).replaceAll(/[^\t]/g, " ")}^`);
  }
  return out.join("\n");
}

/** `error` with a frame from the file its place names, where that can be read and none is there yet. */
export function withFrame(error: CompileError, read: (loc: Loc) => string | undefined = readSource): CompileError {
  if (error.loc === undefined || error.frame !== undefined) return error;
  const source = read(error.loc);
  if (source === undefined) return error;
  const { code, message, fix, loc } = error;
  return new CompileError({ code, message, fix, loc, frame: codeFrame(source, loc.line, loc.column) });
}

function readSource(loc: Loc): string | undefined {
  try {
    return readFileSync(loc.file, "utf8");
  } catch {
    return undefined;
  }
}
