/** Model files that are wrong in other ways than their types: each says where and how, and is told so. */
import { describe, test } from "vitest";
import { casesOf, checkCase } from "./expect.ts";

describe("a wrong model file is told what is wrong, where, and what to do", () => {
  test.each(casesOf((code) => code !== "type-error"))("%s", checkCase);
});
