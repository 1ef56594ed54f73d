/** Which temporary values share a buffer, and which kernels a graph becomes. */
import { describe, expect, test } from "vitest";
import type { BufferSource, DispatchSource } from "../../src/codegen/plan-source.ts";
import type { Constant } from "../../src/ir/graph.ts";
import { parseGraph } from "../../src/ir/parse.ts";
import { lower } from "../../src/passes/lower.ts";
import type { Lowered } from "../../src/passes/lowered.ts";
import { planMemory } from "../../src/passes/memory.ts";

const stepOf = (lowered: Lowered): readonly DispatchSource[] => lowered.plan.step?.body ?? [];

const temp = (size: string): BufferSource => ({ kind: "temp", size });
const input: BufferSource = { kind: "input", name: "u" };
const binding = (...bind: number[]): DispatchSource => ({ kernel: 0, bind, grid: "[1,1,1]" });

/** Plans one program whose dispatches bind these buffers; gives what they bind then, and all buffers. */
function planned(buffers: readonly BufferSource[], ...dispatches: readonly (readonly number[])[]): unknown {
  const plan = planMemory(buffers, [{ name: "whole", prepare: [], body: dispatches.map((d) => binding(...d)) }]);
  return { buffers: plan.buffers, bind: plan.programs[0]?.body.map((d) => d.bind) };
}

describe("memory", () => {
  test("a value that is read for the last time leaves its buffer to the value after the next", () => {
    expect(planned([input, temp("1"), temp("1"), temp("1")], [0, 1], [1, 2], [2, 3])).toEqual({
      buffers: [input, temp("1"), temp("1")],
      bind: [
        [0, 1],
        [1, 2],
        [2, 1],
      ],
    });
  });

  test("a kernel never writes into the buffer it reads", () => {
    expect(planned([temp("1"), temp("1")], [0, 1])).toMatchObject({ bind: [[0, 1]] });
  });

  test("a value that lives across others keeps its buffer", () => {
    expect(planned([temp("1"), temp("1"), temp("1")], [0], [1], [2, 0])).toMatchObject({ bind: [[0], [1], [1, 0]] });
  });

  test("a shared buffer has the size of the largest value it holds", () => {
    expect(planned([temp("d.B"), temp("d.B*8")], [0], [1])).toEqual({ buffers: [temp("Math.max(d.B,d.B*8)")], bind: [[0], [0]] });
  });

  test("programs share buffers, because they never run at the same time", () => {
    const plan = planMemory(
      [temp("1"), temp("1")],
      [
        { name: "whole", prepare: [], body: [binding(0)] },
        { name: "step", prepare: [], body: [binding(1)] },
      ],
    );
    expect(plan.buffers).toEqual([temp("1")]);
  });
});

/** Lowers the graph of `text`; parameters are 0.5. */
function lowered(text: string): Lowered {
  const graph = parseGraph(`graph g {\n${text.trim()}\n}\n`);
  const constants = new Map<string, Constant>();
  for (const node of graph.nodes) {
    if (node.op !== "param") continue;
    const shape = node.type.dims.map((d) => Number(d.size));
    constants.set(node.name, { shape, data: new Float64Array(shape.reduce((a, b) => a * b, 1)).fill(0.5) });
  }
  return lower({ graph, constants }, { maxLength: 64 });
}

/** A program as text: kernels with the kinds of the buffers they bind. */
function listed({ plan }: Lowered, dispatches: readonly DispatchSource[] = []): string[] {
  return dispatches.map(({ kernel, bind }) => {
    const kinds = bind.map((b) => {
      const buffer = plan.buffers[b];
      return buffer === undefined ? "nothing" : "tensor" in buffer ? buffer.tensor : "name" in buffer ? buffer.name : buffer.kind;
    });
    return `${plan.kernels[kernel]?.name}(${kinds.join(", ")})`;
  });
}

const classifier = `
  %0: [B L H=1] = input u
  %1: [O=16 I=1] = param w
  %2: [B L H=16] = matmul %0 %1
  %3: [H=16 N=2 c=2] = param abar
  %4: [H=16 N=2 c=2] = param gain
  %5: [H=16] = param d
  %6: [B L H=16] = ssm discrete diagonal state=2 %2 %3 %4 %5 post {tanh($0)}
  %7: [B H=16] = pool mean %6
  return y: %7`;

describe("lower", () => {
  test("a whole sequence by scan: a dispatch a node, epilogues within", () => {
    const all = lowered(classifier);
    expect(listed(all, all.plan.whole.scan?.body)).toEqual([
      "matmul_elements(w.transposed, u, temp)",
      "ssm_scan(table, temp, d, temp)",
      "pool_mean(temp, y)",
    ]);
  });

  test("one step goes on from the state, in place", () => {
    const all = lowered(classifier);
    expect(listed(all, stepOf(all))).toEqual([
      "matmul_vector(w.transposed, u, temp)",
      "ssm_step(state6, temp, table, d, temp)",
      "pool_mean(temp, state7, y)",
    ]);
  });

  test("a convolution is prepared once for each length, and chosen by length", () => {
    const { plan, ...all } = lowered(classifier);
    expect(listed({ plan, ...all }, plan.whole.convolution?.prepare)).toEqual(["ssm_kernel(table, table, d, prepared)"]);
    expect(plan.whole.convolution?.body.map((d) => d.when)).toContain("d.L<=64");
  });

  test("an input that is an output is copied: outputs have buffers of their own", () => {
    const all = lowered(`%0: [B L H=2] = input u\nreturn y: %0, z: %0`);
    expect(listed(all, stepOf(all))).toEqual(["map(u, y, z)"]);
  });

  test("equal kernels are one", () => {
    const all = lowered(
      `%0: [B L H=2] = input u\n%1: [B L H=2] = input v\n%2: [B L H=2] = map {tanh($0)} %0\n%3: [B L H=2] = map {tanh($0)} %1\nreturn y: %2, z: %3`,
    );
    expect(stepOf(all).map((d) => d.kernel)).toEqual([0, 0]);
  });

  test("a slice is no kernel: its reader skips the channels before", () => {
    const all = lowered(`%0: [B L H=4] = input u\n%1: [B L H=2] = slice start=2 %0\n%2: [B L H=2] = map {tanh($0)} %1\nreturn y: %2`);
    expect(listed(all, stepOf(all))).toEqual(["map(u, y)"]);
  });

  test("a repeat is none either", () => {
    const all = lowered(
      `%0: [B L H=2] = input u\n%1: [B L H=6] = repeat block=1 times=3 %0\n%2: [B L H=6] = map {tanh($0)} %1\nreturn y: %2`,
    );
    expect(listed(all, stepOf(all))).toEqual(["map(u, y)"]);
  });

  const parts = `
    %0: [B L H=2] = input u
    %1: [H=2 K=2] = param w
    %2: [B L H=2] = conv %0 %1
    %3: [B L H=2] = cumulate sum %0`;

  test("the parts of a concatenation are written side by side, and it is no kernel; so is one of parts that others read", () => {
    const joined = lowered(`${parts}\n%4: [B L H=4] = concat %2 %3\n%5: [B L H=4] = norm layer eps=1 %4\nreturn y: %5`);
    const body = joined.plan.whole.scan?.body ?? joined.plan.whole.convolution?.body;
    expect(listed(joined, body)).toEqual(["conv_taps(w, u, temp)", "cumulate_sum(u, temp)", "norm_layer_rows(temp, y)"]);
    expect(new Set(joined.memory.map(({ size }) => size))).toEqual(new Set(["d.B*4", "d.B*4*d.L"]));
    const both = lowered(
      `${parts}\n%4: [B L H=4] = concat %3 %2\n%5: [B L H=4] = norm layer eps=1 %4\n%6: [B L H=2] = conv %2 %1
       %7: [B L H=6] = concat %6 %4\n%8: [B L H=6] = norm layer eps=1 %7\nreturn y: %5, z: %8`,
    );
    expect(listed(both, stepOf(both)).filter((text) => text.startsWith("concat"))).toEqual([]);
    expect(listed(both, stepOf(both))).toContain("conv_step(w, temp, state6)");
    expect(both.plan.kernels.find(({ name }) => name === "conv_step")).toBeDefined();
  });

  test.each([
    ["an input", `%4: [B L H=4] = concat %0 %2\n%5: [B L H=4] = norm layer eps=1 %4\nreturn y: %5`],
    ["an output", `%4: [B L H=4] = concat %3 %2\n%5: [B L H=4] = norm layer eps=1 %4\nreturn y: %5, z: %2`],
    [
      "a strided part",
      `%4: [B L H=1] = slice start=0 step=2 %2\n%5: [B L H=3] = concat %3 %4\n%6: [B L H=3] = norm layer eps=1 %5\nreturn y: %6`,
    ],
  ])("of %s it is a copy", (_, rest) => {
    const all = lowered(`${parts}\n${rest}`);
    expect(listed(all, stepOf(all)).some((text) => text.startsWith("concat("))).toBe(true);
  });

  test("a step computes light maps of what adds up on the way, also one that another reads", () => {
    const all = lowered(
      `${parts}\n%4: [B L H=2] = map {abs($0)} %2\n%5: [B L H=2] = map {($0 + $1)} %4 %3\n%6: [B L H=2] = cumulate max-plus %5 %4\nreturn y: %6`,
    );
    expect(listed(all, stepOf(all))).toEqual([
      "conv_step(w, u, state2, temp)",
      "cumulate_sum_step(state3, u, temp)",
      "cumulate_max_plus_step(state6, temp, temp, y)",
    ]);
  });

  test("maps that read the same are one kernel, also where one reads another", () => {
    const all = lowered(
      `${parts}\n%4: [B L H=2] = map {tanh($0)} %2\n%5: [B L H=2] = map {exp(($0 * $1))} %2 %4\n%6: [B L H=2] = conv %4 %1
       %7: [B L H=2] = conv %5 %1\n%8: [B L H=2] = map {sin($0)} %6\nreturn y: %7, z: %8`,
    );
    expect(listed(all, stepOf(all)).filter((text) => text.startsWith("map"))).toEqual(["map(temp, temp, temp)", "map(temp, z)"]);
  });
});
