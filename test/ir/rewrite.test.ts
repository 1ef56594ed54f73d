import { expect, test } from "vitest";
import { parseGraph } from "../../src/ir/parse.ts";
import { printGraph } from "../../src/ir/print.ts";
import { localPlaces } from "../../src/ir/rewrite.ts";

/** The places of a graph whose three nodes have these. */
function local(...places: readonly string[]): (string | undefined)[] {
  const [a = "", b = "", c = ""] = places.map((place) => (place === "" ? "" : ` @ ${place}`));
  const graph = parseGraph(
    `graph g {\n%0: [B L H=2] = input u${a}\n%1: [B L H=2] = map {neg($0)} %0${b}\n%2: [B L H=2] = map {exp($0)} %1${c}\nreturn y: %2\n}`,
  );
  return printGraph(localPlaces(graph))
    .split("\n")
    .slice(1, 4)
    .map((line) => line.split(" @ ")[1]);
}

test("localPlaces: places are as seen from the innermost folder that holds all files", () => {
  expect(local("../../else/where/model.ts:1:2", "../../else/where/model.ts:3:4", "")).toEqual(["model.ts:1:2", "model.ts:3:4", undefined]);
  expect(local("a/app/model.ts:1:2", "a/lib/block.ts:3:4", "a/app/deep/x.ts:5:6")).toEqual([
    "app/model.ts:1:2",
    "lib/block.ts:3:4",
    "app/deep/x.ts:5:6",
  ]);
  expect(local("model.ts:1:2", "lib/block.ts:3:4", "")).toEqual(["model.ts:1:2", "lib/block.ts:3:4", undefined]);
  expect(local("", "", "")).toEqual([undefined, undefined, undefined]);
});
