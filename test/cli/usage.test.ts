import { describe, expect, test } from "vitest";
import { commands } from "../../src/cli/commands.ts";
import { countOf, UsageError } from "../../src/cli/command.ts";
import { version } from "../../src/cli/version.ts";
import { cli } from "./cli.ts";

describe("usage", () => {
  test.each([["--help"], ["-h"], ["help"]])("%s lists every command and exits with 0", async (word) => {
    const { code, out, err } = await cli(word);
    expect([code, err]).toEqual([0, ""]);
    for (const { name, doc } of commands) expect(out).toMatch(new RegExp(`^ {2}${name} +${doc.slice(0, 20)}`, "m"));
  });

  test.each(commands)("$name --help names every option", async ({ name, options }) => {
    const { code, out } = await cli(name, "--help");
    expect(code).toBe(0);
    expect(out.startsWith(`usage: recurve ${name}`)).toBe(true);
    for (const option of Object.keys(options)) expect(out).toContain(`--${option}`);
  });

  test("--version prints the version alone", async () => {
    expect(await cli("--version")).toEqual({ code: 0, out: `${version()}\n`, err: "" });
  });

  test.each([
    ["no command", [], "a command is missing"],
    ["an unknown command", ["transmogrify"], 'there is no command "transmogrify"'],
    ["a missing operand", ["run"], "<bundle> is missing"],
    ["a word too many", ["adapters", "all"], '"all" is one word too many'],
    ["an unknown option", ["adapters", "--loud"], "Unknown option '--loud'"],
    ["a missing required option", ["run", "b", "--input", "x"], "--output is missing"],
    ["an option without its value", ["run", "b", "--input"], "Option '-i, --input <value>' argument missing"],
    [
      "a value outside its choices",
      ["run", "b", "-i", "x", "-o", "y", "--mode", "fast"],
      '--mode is one of auto, convolution, scan, chunked, recurrence, not "fast"',
    ],
  ])("%s exits with 2 and says so", async (_, words, message) => {
    const { code, out, err } = await cli(...words);
    expect([code, out]).toEqual([2, ""]);
    expect(err).toContain(`recurve: ${message}`);
  });

  test.each(["0", "-1", "1.5", "x", "", "1e3", "99999999999999999999"])('a count of "%s" is refused', (text) => {
    expect(() => countOf({ operands: [], values: { n: text } }, "n")).toThrow(UsageError);
  });

  test("counts are read", () => {
    expect(countOf({ operands: [], values: { n: "12" } }, "n")).toBe(12);
    expect(countOf({ operands: [], values: {} }, "n")).toBeUndefined();
  });
});
