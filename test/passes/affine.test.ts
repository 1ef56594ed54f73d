import { describe, expect, test } from "vitest";
import { printGraph } from "../../src/ir/print.ts";
import { affine } from "../../src/passes/affine.ts";
import { fold } from "../../src/passes/fold.ts";
import type { Module } from "../../src/passes/pass.ts";
import { expectSameMeaning, quiet } from "./meaning.ts";
import { expectRewrite } from "./texts.ts";

/** What the pass leaves of a graph whose inputs of products are not to be touched: the same graph. */
function expectUntouched(text: string): void {
  expectRewrite(affine, `${text}\n---\n${text}`);
}

describe("affine", () => {
  test("the scale of a norm goes into the weight after it", () => {
    const { constants } = expectRewrite(
      affine,
      `%0: [B L H=2] = input u
       %1: [H=2] = param g
       %2: [O=3 K=2] = param w
       %3: [B L H=2] = norm rms eps=0.1 %0
       %4: [B L H=2] = map {($0 * $1)} %3 %1
       %5: [B L H=3] = matmul %4 %2
       return y: %5
       ---
       %0: [B L H=2] = input u
       %1: [B L H=2] = norm rms eps=0.1 %0
       %2: [O=3 K=2] = param "w diag(g)"
       %3: [B L H=3] = matmul %1 %2
       return y: %3`,
      { g: [10, 100] },
    );
    expect([...(constants.get("w diag(g)")?.data ?? [])]).toEqual([10, 200, 30, 400, 50, 600]);
  });

  test("the shift of a norm becomes a bias", () => {
    const { constants } = expectRewrite(
      affine,
      `%0: [B L H=2] = input u
       %1: [H=2] = param g
       %2: [H=2] = param b
       %3: [O=2 K=2] = param w
       %4: [B L H=2] = norm layer eps=0.1 %0
       %5: [B L H=2] = map {(($0 * $1) + $2)} %4 %1 %2
       %6: [B L H=2] = matmul %5 %3
       return y: %6
       ---
       %0: [B L H=2] = input u
       %1: [B L H=2] = norm layer eps=0.1 %0
       %2: [O=2 K=2] = param "w diag(g)"
       %3: [H=2] = param "w (b)"
       %4: [B L H=2] = matmul %1 %2
       %5: [B L H=2] = map {($0 + $1)} %4 %3
       return y: %5`,
      { g: [10, 100], b: [1, -1] },
    );
    expect([...(constants.get("w (b)")?.data ?? [])]).toEqual([-1, -1]);
  });

  test("every product that reads the scaled value takes the scale; scales of scales too", () => {
    expectRewrite(
      affine,
      `%0: [B L H=1] = input u
       %1: [H=1] = param g
       %2: [O=1 K=1] = param v
       %3: [O=1 K=1] = param w
       %4: [B L H=1] = map {($0 / $1)} %0 %1
       %5: [B L H=1] = map {neg($0)} %4
       %6: [B L H=1] = matmul %5 %2
       %7: [B L H=1] = matmul %5 %3
       return y: %6, z: %7
       ---
       %0: [B L H=1] = input u
       %1: [O=1 K=1] = param "v diag(-1) diag((1 / g))"
       %2: [B L H=1] = matmul %0 %1
       %3: [O=1 K=1] = param "w diag(-1) diag((1 / g))"
       %4: [B L H=1] = matmul %0 %3
       return y: %2, z: %4`,
    );
  });

  test("a weight that something else reads stays as it is", () => {
    expectUntouched(
      `%0: i32[B L] = input ids
       %1: [V=3 H=2] = param table
       %2: [H=2] = param g
       %3: [B L H=2] = embed %0 %1
       %4: [B L H=2] = norm rms eps=0.1 %3
       %5: [B L H=2] = map {($0 * $1)} %4 %2
       %6: [B L V=3] = matmul %5 %1
       return y: %6`,
    );
  });

  test("a scaled value that something else reads is computed", () => {
    expectUntouched(
      `%0: [B L H=2] = input u
       %1: [H=2] = param g
       %2: [O=3 K=2] = param w
       %3: [B L H=2] = map {($0 * $1)} %0 %1
       %4: [B L H=3] = matmul %3 %2
       %5: [B H=2] = pool last %3
       return y: %4, z: %5`,
    );
  });

  test("a shift of what is no norm is not taken apart: it may cancel", () => {
    expectUntouched(
      `%0: [B L H=2] = input u
       %1: [H=2] = param mean
       %2: [O=3 K=2] = param w
       %3: [B L H=2] = map {($0 - $1)} %0 %1
       %4: [B L H=3] = matmul %3 %2
       return y: %4`,
    );
  });

  test("what is no scale stays", () => {
    expectUntouched(
      `%0: [B L H=2] = input u
       %1: [H=2] = param g
       %2: [O=3 K=2] = param w
       %3: [B L H=2] = map {(($0 * $1) * $0)} %0 %1
       %4: [B L H=3] = matmul %3 %2
       return y: %4`,
    );
  });

  test("random models keep their meaning, and a second time changes nothing", () => {
    const both = (module: Module): Module => {
      const once = affine.run(fold.run(module, quiet), quiet);
      expect(printGraph(affine.run(once, quiet).graph)).toBe(printGraph(once.graph));
      return once;
    };
    expectSameMeaning(both, 200, { steps: ["affine", "bias", "norm", "gate", "matmul", "glu", "residual"], maxSteps: 10 });
  });
});
