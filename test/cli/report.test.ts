import { describe, expect, test } from "vitest";
import { CompileError } from "../../src/ir/error.ts";
import { diagnosticOf, formatDiagnostic } from "../../src/cli/report.ts";

const system = (code: string, more: object = {}): Error => Object.assign(new Error(`${code}: as Node says it`), { code, ...more });

describe("diagnosticOf", () => {
  test.each([
    ["ENOSPC", "disk-full"],
    ["EDQUOT", "disk-full"],
    ["EFBIG", "disk-full"],
    ["ENOENT", "file-missing"],
    ["ENOTDIR", "file-missing"],
    ["EISDIR", "file-kind"],
    ["EACCES", "file-denied"],
    ["EPERM", "file-denied"],
    ["EROFS", "file-denied"],
  ])("%s is the user's %s, and names the path", (errno, code) => {
    const diagnostic = diagnosticOf(system(errno, { path: "/some/where" }));
    expect(diagnostic?.code).toBe(code);
    expect(diagnostic?.message).toContain("/some/where");
  });

  test("a missing npm package webgpu is no-adapter", () => {
    const error = Object.assign(new Error("Cannot find package 'webgpu' imported from adapter.js"), { code: "ERR_MODULE_NOT_FOUND" });
    expect(diagnosticOf(error)?.code).toBe("no-adapter");
  });

  test.each([new TypeError("x is not a function"), new Error("bug: no"), system("ERR_INTERNAL_ASSERTION"), "a string", undefined])(
    "%s is not the user's",
    (error) => {
      expect(diagnosticOf(error)).toBeUndefined();
    },
  );
});

test("a diagnostic prints code, message, place, frame and fix, and leaves out what it lacks", () => {
  const parts = { code: "some-code", message: "it is wrong", fix: "make it right" };
  expect(formatDiagnostic(new CompileError(parts))).toBe("error[some-code]: it is wrong\n  fix: make it right\n");
  const loc = { file: "model.ts", line: 3, column: 7 };
  expect(formatDiagnostic(new CompileError({ ...parts, loc, frame: "> 3 | x\n    | ^" }))).toBe(
    "error[some-code]: it is wrong\n  at model.ts:3:7\n  > 3 | x\n      | ^\n  fix: make it right\n",
  );
});
