/** config.json as Python writes it, and as nobody should. */
import { describe, expect, test } from "vitest";
import {
  countAt,
  flagAt,
  limitsAt,
  numberAt,
  parseConfig,
  sectionAt,
  textAt,
  valueAt,
  widened,
  type Config,
} from "../../src/checkpoints/config.ts";
import { CompileError } from "../../src/ir/error.ts";

const config = (text: string): Config => parseConfig("config.json", text);
const faultOf = (build: () => unknown): string => {
  try {
    build();
  } catch (error) {
    if (error instanceof CompileError) return `${error.code}: ${error.message}; ${error.fix}`;
    throw error;
  }
  throw new Error("nothing was thrown");
};

describe("parseConfig", () => {
  test("reads the numbers that JSON has no word for, both ways they are written", () => {
    const { values } = config('{"limit": [0.0, Infinity], "low": -Infinity, "nan": NaN, "new": {"__float__": "Infinity"}, "n": 3}');
    expect(values).toEqual({ limit: [0, Infinity], low: -Infinity, nan: NaN, new: Infinity, n: 3 });
  });

  test("leaves texts as they are", () => {
    const { values } = config(String.raw`{"a": "NaN, \"Infinity\" and \\", "Infinity": "-Infinity"}`);
    expect(values).toEqual({ a: String.raw`NaN, "Infinity" and \ `.trim(), Infinity: "-Infinity" });
  });

  test.each(["", "{", "{'a': 1}", '{"a": Infinit}', '{"a": nan}', '{"a": 1,}', '{"a": "'])("checkpoint-config: %j is not JSON", (text) => {
    expect(faultOf(() => config(text))).toMatch(/^checkpoint-config: config.json is not JSON;/);
  });

  test.each(["[]", "3", '"text"', "NaN", "Infinity"])("checkpoint-config: %j is no object", (text) => {
    expect(faultOf(() => config(text))).toMatch(/^checkpoint-config: config.json is not a JSON object;/);
  });
});

describe("values", () => {
  test("a key that is missing or null has its default; one that has none must be there", () => {
    const c = config('{"a": null, "b": 5}');
    expect([countAt(c, "a", 7), countAt(c, "b", 7), flagAt(c, "c", true), textAt(c, "d", "silu"), valueAt(c, "toString")]).toEqual([
      7,
      5,
      true,
      "silu",
      undefined,
    ]);
    expect(sectionAt(c, "ssm_cfg").values).toEqual({});
    expect(faultOf(() => countAt(c, "a"))).toContain("config.json lacks a, for which there is no default");
  });

  test.each(['"32"', "-1", "0", "1.5", "1e30", "Infinity", "NaN", "[32]", "true", "{}"])("checkpoint-config: a count of %s", (value) => {
    expect(faultOf(() => countAt(config(`{"n_layer": ${value}}`), "n_layer", 64, { most: 1024 }))).toMatch(
      /^checkpoint-config: config.json has n_layer: .*; it must be a whole number from 1 to 1024$/,
    );
  });

  test.each(["[0]", "[1, 0]", "[-1, 2]", "[0, NaN]", "[Infinity, Infinity]", "3", '["0", 1]', "[0, 1, 2]"])(
    "checkpoint-config: limits of %s",
    (value) =>
      expect(faultOf(() => limitsAt(config(`{"dt_limit": ${value}}`), "dt_limit", [0, Infinity]))).toContain("the smaller one first"),
  );

  test("checkpoint-config: what is no flag, no text, no number, no section, no factor", () => {
    const c = config('{"a": 1, "b": "x", "long": "' + "y".repeat(999) + '"}');
    expect(faultOf(() => flagAt(c, "a", true))).toContain("has a: 1; it must be true or false");
    expect(faultOf(() => textAt(c, "a"))).toContain("it must be a text");
    expect(faultOf(() => numberAt(c, "b"))).toContain('has b: "x"; it must be a number');
    expect(faultOf(() => sectionAt(c, "b"))).toContain("it must be an object");
    expect(faultOf(() => countAt(sectionAt(config('{"ssm_cfg": {"d_state": 0}}'), "ssm_cfg"), "d_state", 16))).toContain(
      "config.json: ssm_cfg has d_state: 0",
    );
    expect(faultOf(() => widened(config('{"expand": 0.3}'), "expand", 32, 2))).toContain(
      "a factor that makes a whole number of 32 channels",
    );
    expect(faultOf(() => countAt(c, "long")).length).toBeLessThan(200);
  });

  test("a factor need not be whole where its product is", () => expect(widened(config('{"expand": 1.5}'), "expand", 32, 2)).toBe(48));
});
