import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { printGraph } from "../../src/ir/print.ts";
import { fold } from "../../src/passes/fold.ts";
import { canFuse, fuse } from "../../src/passes/fuse.ts";
import { arbitraryModule } from "../setup/random-graph.ts";
import { expectSameMeaning, quiet } from "./meaning.ts";
import { expectRewrite } from "./texts.ts";

describe("fuse-maps", () => {
  test("a map of a map becomes one map", () => {
    expectRewrite(
      fuse,
      `%0: [B L H=2] = input u
       %1: [B L H=2] = map {tanh($0)} %0
       %2: [B L H=2] = map {($0 * $1)} %1 %0
       return y: %2
       ---
       %0: [B L H=2] = input u
       %1: [B L H=2] = map {(tanh($0) * $0)} %0
       return y: %1`,
    );
  });
  test("a cheap map of several maps is computed in each", () => {
    expectRewrite(
      fuse,
      `%0: [B L H=2] = input u
       %1: [B L H=2] = map {($0 * 2)} %0
       %2: [B L H=2] = map {tanh($0)} %1
       %3: [B L H=2] = map {exp($0)} %1
       return y: %2, z: %3
       ---
       %0: [B L H=2] = input u
       %1: [B L H=2] = map {tanh(($0 * 2))} %0
       %2: [B L H=2] = map {exp(($0 * 2))} %0
       return y: %1, z: %2`,
    );
  });
  test("a gate takes its activation along into the op before it", () => {
    expectRewrite(
      fuse,
      `%0: [B L H=2] = input u
       %1: [H=2 K=2] = param w
       %2: [B L H=2] = conv %0 %1
       %3: [B L H=2] = map {($0 * sigmoid($0))} %0
       %4: [B L H=2] = map {($0 * $1)} %2 %3
       return y: %4
       ---
       %0: [B L H=2] = input u
       %1: [H=2 K=2] = param w
       %2: [B L H=2] = conv %0 %1 %0 post {($0 * ($1 * sigmoid($1)))}
       return y: %2`,
    );
  });
  test("a cheap map goes through repeats, its parameters repeated once and for all", () => {
    expectRewrite(
      fuse,
      `%0: [B L H=2] = input u
       %1: [H=2] = param b
       %2: [B L H=4] = input z
       %3: [B L H=2] = map {($0 + $1)} %0 %1
       %4: [B L H=4] = repeat block=2 times=2 %3
       %5: [B L H=4] = map {($0 * $1)} %2 %4
       return y: %5
       ---
       %0: [B L H=2] = input u
       %1: [B L H=4] = input z
       %2: [B L H=4] = repeat block=2 times=2 %0
       %3: [H=4] = param "b[2 times 2]"
       %4: [B L H=4] = map {($2 * ($0 + $1))} %2 %3 %1
       return y: %4`,
    );
  });
  test("a dear map of several maps is computed once", () => {
    const text = `%0: [B L H=2] = input u
       %1: [B L H=2] = map {tanh((exp($0) * sin($0)))} %0
       %2: [B L H=2] = map {neg($0)} %1
       %3: [B L H=2] = map {abs($0)} %1
       return y: %2, z: %3`;
    expectRewrite(fuse, `${text}\n---\n${text}`);
  });
  test("a map that is an output of its own stays", () => {
    const text = `%0: [B L H=2] = input u
       %1: [B L H=2] = map {tanh($0)} %0
       %2: [B L H=2] = map {exp($0)} %1
       return y: %1, z: %2`;
    expectRewrite(fuse, `${text}\n---\n${text}`);
  });
});

describe("fuse-epilogue", () => {
  test("bias and activation become the epilogue of the matmul", () => {
    expectRewrite(
      fuse,
      `%0: [B L H=2] = input u
       %1: [H=3 K=2] = param w
       %2: [H=3] = param b
       %3: [B L H=3] = matmul %0 %1
       %4: [B L H=3] = map {($0 + $1)} %3 %2
       %5: [B L H=3] = map {tanh($0)} %4
       return y: %5
       ---
       %0: [B L H=2] = input u
       %1: [H=3 K=2] = param w
       %2: [H=3] = param b
       %3: [B L H=3] = matmul %0 %1 post {tanh(($0 + $1))} %2
       return y: %3`,
    );
  });
  test("a residual sum joins the op that finishes last", () => {
    expectRewrite(
      fuse,
      `%0: [B L H=2] = input u
       %1: [B L H=2] = norm layer eps=0.1 %0
       %2: [H=2 K=2] = param w
       %3: [B L H=2] = matmul %1 %2
       %4: [B L H=2] = norm rms eps=0.1 %0
       %5: [B L H=2] = map {($0 + $1)} %4 %3
       return y: %5
       ---
       %0: [B L H=2] = input u
       %1: [B L H=2] = norm layer eps=0.1 %0
       %2: [H=2 K=2] = param w
       %3: [B L H=2] = matmul %1 %2
       %4: [B L H=2] = norm rms eps=0.1 %0 post {($0 + $1)} %3
       return y: %4`,
    );
  });
  test("the anchor moves to the map, where all values are known", () => {
    expectRewrite(
      fuse,
      `%0: [B L H=2] = input u
       %1: [B L H=2] = norm layer eps=0.1 %0
       %2: [B L H=2] = norm rms eps=0.1 %0
       %3: [B L H=2] = map {($0 - $1)} %1 %2
       return y: %3, z: %2
       ---
       %0: [B L H=2] = input u
       %1: [B L H=2] = norm rms eps=0.1 %0
       %2: [B L H=2] = norm layer eps=0.1 %0 post {($0 - $1)} %1
       return y: %2, z: %1`,
    );
  });
  test("an op that others read too keeps its result", () => {
    const text = `%0: [B L H=2] = input u
       %1: [B L H=2] = norm layer eps=0.1 %0
       %2: [B L H=2] = map {tanh($0)} %1
       %3: [B H=2] = pool mean %1
       return y: %2, z: %3`;
    expectRewrite(fuse, `${text}\n---\n${text}`);
  });
  test("an epilogue widens nothing: what broadcasts into a map is not its anchor", () => {
    const text = `%0: [B L H=2] = input u
       %1: [H=2] = param p
       %2: [H=2] = norm rms eps=0.1 %1
       %3: [B L H=2] = map {($0 * $1)} %0 %2
       return y: %3`;
    expectRewrite(fuse, `${text}\n---\n${text}`);
  });
  test("nothing moves over an op that reads integers", () => {
    const text = `%0: [B L H=2] = input u
       %1: i32[B L] = input ids
       %2: [B L H=2] = norm rms eps=0.1 %0
       %3: [B L H=2] = map {($0 * $1)} %2 %1
       return y: %3`;
    expectRewrite(fuse, `${text}\n---\n${text}`);
  });
  test("an ssm takes three values more, no fourth", () => {
    const system = `%0: [B L H=1] = input u
       %1: [H=1 N=1 c=2] = param abar
       %2: [H=1 N=1 c=2] = param gain
       %3: [H=1] = param d
       %4: [B L H=1] = input a
       %5: [B L H=1] = input b
       %6: [B L H=1] = input c
       %7: [B L H=1] = input e`;
    expectRewrite(
      fuse,
      `${system}
       %8: [B L H=1] = ssm discrete diagonal state=1 %0 %1 %2 %3
       %9: [B L H=1] = map {((($0 * $1) * $2) * $3)} %8 %4 %5 %6
       %10: [B L H=1] = map {($0 + $1)} %9 %7
       return y: %10
       ---
       ${system}
       %8: [B L H=1] = ssm discrete diagonal state=1 %0 %1 %2 %3 post {((($0 * $1) * $2) * $3)} %4 %5 %6
       %9: [B L H=1] = map {($0 + $1)} %8 %7
       return y: %9`,
    );
  });
});

describe("fuse-parts", () => {
  test("a gated linear unit becomes a matmul of two parts, its bias cut to match, the residual in its epilogue", () => {
    const { constants } = expectRewrite(
      fuse,
      `%0: [B L H=2] = input u
       %1: [H=4 K=2] = param w
       %2: [H=4] = param b
       %3: [B L H=4] = matmul %0 %1
       %4: [B L H=4] = map {($0 + $1)} %3 %2
       %5: [B L H=2] = slice start=0 %4
       %6: [B L H=2] = slice start=2 %4
       %7: [B L H=2] = map {sigmoid($0)} %6
       %8: [B L H=2] = map {($0 * $1)} %5 %7
       %9: [B L H=2] = map {($0 + $1)} %0 %8
       return y: %9
       ---
       %0: [B L H=2] = input u
       %1: [H=4 K=2] = param w
       %2: [H=2] = param "b[0..2]"
       %3: [H=2] = param "b[2..4]"
       %4: [B L H=2] = matmul parts=2 %0 %1 post {($4 + (($0 + $2) * sigmoid(($1 + $3))))} %2 %3 %0
       return y: %4`,
    );
    expect([...(constants.get("b[2..4]")?.data ?? [])]).toEqual([3, 4]);
    expect([...constants.keys()].sort()).toEqual(["b[0..2]", "b[2..4]", "w"]);
  });
  test("a matmul that is an output of its own stays whole", () => {
    const text = `%0: [B L H=2] = input u
       %1: [H=4 K=2] = param w
       %2: [B L H=4] = matmul %0 %1
       %3: [B L H=2] = slice start=0 %2
       %4: [B L H=2] = slice start=2 %2
       %5: [B L H=2] = map {($0 * $1)} %3 %4
       return y: %5, z: %2`;
    expectRewrite(fuse, `${text}\n---\n${text}`);
  });
  test("slices that do not cover the matmul stay", () => {
    const text = `%0: [B L H=2] = input u
       %1: [H=6 K=2] = param w
       %2: [B L H=6] = matmul %0 %1
       %3: [B L H=2] = slice start=0 %2
       %4: [B L H=2] = slice start=4 %2
       %5: [B L H=2] = map {($0 * $1)} %3 %4
       return y: %5`;
    expectRewrite(fuse, `${text}\n---\n${text}`);
  });
});

describe("random models", () => {
  const run = (module: Parameters<typeof fuse.run>[0]) => fuse.run(module, quiet);
  test("fuse keeps the meaning", () => expectSameMeaning(run, 400));
  test("fuse keeps the meaning of gated and residual stacks", () =>
    expectSameMeaning(run, 300, { steps: ["glu", "residual", "bias", "activation", "affine", "diagonal", "gate"], maxSteps: 10 }));
  test("fold, then fuse, keeps the meaning", () => expectSameMeaning((module) => run(fold.run(module, quiet)), 200));
  test("nothing is left to fuse afterwards, and fusing again changes nothing", () => {
    fc.assert(
      fc.property(arbitraryModule({ maxSteps: 10 }), ({ module }) => {
        const once = run(module);
        expect(canFuse(once.graph)).toBe(false);
        expect(printGraph(run(once).graph)).toBe(printGraph(once.graph));
      }),
      { numRuns: 200 },
    );
  });
});
