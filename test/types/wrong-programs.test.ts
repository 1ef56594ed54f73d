/** Programs that must not type-check: the error is at the argument at fault and names the dim. */
import { describe, test } from "vitest";
import { casesOf, checkCase } from "../frontend/expect.ts";

describe("a program with wrong dims does not type-check", () => {
  test.each(casesOf((code) => code === "type-error"))("%s", checkCase);
});
