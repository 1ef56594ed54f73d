import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Constant } from "../../src/ir/graph.ts";
import { emptyState, interpret, type GraphState } from "../../src/ir/interpret.ts";
import { parseGraph } from "../../src/ir/parse.ts";
import { verifyGraph } from "../../src/ir/verify.ts";
import { arbitraryModule, type RandomModel } from "../setup/random-graph.ts";
import { cutInputs, joinPieces, largestError, largestErrorOf } from "../setup/tensors.ts";

const tensor = (shape: readonly number[], data: readonly number[]): Constant => ({ shape, data: Float64Array.from(data) });
const values = (entries: Readonly<Record<string, Constant>>): Map<string, Constant> => new Map(Object.entries(entries));

/** The output `y` of a one-node graph, with its final state. */
function evaluate(
  lines: string,
  params: Readonly<Record<string, Constant>>,
  inputs: Readonly<Record<string, Constant>>,
  state?: GraphState,
) {
  const count = lines.trim().split("\n").length;
  const graph = parseGraph(`graph g {\n${lines}\n  return y: %${count - 1}\n}`);
  verifyGraph(graph);
  const { outputs, state: after } = interpret(graph, values(params), values(inputs), state === undefined ? {} : { state });
  return { y: [...(outputs.get("y")?.data ?? [])], after, state: [...(after.nodes.get(count - 1) ?? [])] };
}

const u = (...data: number[]): Constant => tensor([1, data.length / 2, 2], data);
const input = "%0: [B L H=2] = input u";

describe("the meaning of each op", () => {
  test("map: broadcasts by the names of dims", () => {
    const lines = `${input}\n%1: [H=2] = param p\n%2: [] = param s\n%3: [B L H=2] = map {(($0 * $1) + $2)} %0 %1 %2`;
    expect(evaluate(lines, { p: tensor([2], [10, 100]), s: tensor([], [0.5]) }, { u: u(1, 2, 3, 4) }).y).toEqual([
      10.5, 200.5, 30.5, 400.5,
    ]);
  });
  test("matmul: rows of w are outputs", () => {
    const lines = `${input}\n%1: [H=1 K=2] = param w\n%2: [B L H=1] = matmul %0 %1`;
    expect(evaluate(lines, { w: tensor([1, 2], [1, 10]) }, { u: u(1, 2, 3, 4) }).y).toEqual([21, 43]);
  });
  test("matmul of parts: each part is a value of the epilogue, further arguments follow", () => {
    const lines = `${input}\n%1: [H=4 K=2] = param w\n%2: [H=2] = param b\n%3: [B L H=2] = matmul parts=2 %0 %1 post {(($0 * 100) + ($1 + $2))} %2`;
    expect(evaluate(lines, { w: tensor([4, 2], [1, 0, 0, 1, 1, 1, 2, 0]), b: tensor([2], [0.5, 0.25]) }, { u: u(1, 2) }).y).toEqual([
      103.5, 202.25,
    ]);
  });
  test("norm: biased variance, eps inside the root", () => {
    const layer = evaluate(`${input}\n%1: [B L H=2] = norm layer eps=3 %0`, {}, { u: u(1, 3) });
    expect(layer.y).toEqual([-0.5, 0.5]);
    const rms = evaluate(`${input}\n%1: [B L H=2] = norm rms eps=2 %0`, {}, { u: u(1, 3) });
    expect(largestError(rms.y, [1 / Math.sqrt(7), 3 / Math.sqrt(7)])).toBeLessThan(1e-15);
  });
  test.each([
    ["mean", [2, -3], [4, -6]],
    ["max", [3, -2], [3, -2]],
    ["last", [1, -4], [1, -4]],
    ["first", [3, -2], [3, -2]],
  ])("pool %s: of the steps so far", (kind, y, state) => {
    const got = evaluate(`${input}\n%1: [B H=2] = pool ${kind} %0`, {}, { u: u(3, -2, 1, -4) });
    expect(got.y).toEqual(y);
    expect(got.state).toEqual(state);
  });
  test("conv: the last tap meets the present; the tail keeps the last inputs, oldest first", () => {
    const got = evaluate(
      `${input}\n%1: [H=2 K=3] = param w\n%2: [B L H=2] = conv %0 %1`,
      { w: tensor([2, 3], [100, 10, 1, 1, 1, 1]) },
      { u: u(1, 5, 2, 6, 3, 7) },
    );
    expect(got.y).toEqual([1, 5, 12, 11, 123, 18]);
    expect(got.state).toEqual([2, 6, 3, 7]);
  });
  test("reverse: the last step first, of each sequence by itself; never of a part", () => {
    const lines = `${input}\n%1: [B L H=2] = reverse %0`;
    const two = tensor([2, 3, 2], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    expect(evaluate(lines, {}, { u: two }).y).toEqual([5, 6, 3, 4, 1, 2, 11, 12, 9, 10, 7, 8]);
    expect(() => evaluate(lines, {}, { u: two }, { position: 3, nodes: new Map() })).toThrow(/only whole/);
  });
  test("embed: rows of the table, whatever map reads them", () => {
    const lines = `%0: i32[B L] = input ids\n%1: [V=3 H=2] = param table\n%2: [B L H=2] = embed %0 %1 post {($0 + 1)}`;
    expect(evaluate(lines, { table: tensor([3, 2], [0, 1, 2, 3, 4, 5]) }, { ids: tensor([1, 2], [2, 0]) }).y).toEqual([5, 6, 1, 2]);
  });
  test("slice and concat: of the last dim", () => {
    const lines = `${input}\n%1: [B L H=1] = slice start=1 %0\n%2: [B L H=3] = concat %1 %0`;
    expect(evaluate(lines, {}, { u: u(1, 2, 3, 4) }).y).toEqual([2, 1, 2, 4, 3, 4]);
  });
  const twoRates = `${input}\n%1: [B L/2 H=4] = pack by=2 %0`;
  test("pool of several steps: in the order of time, zeros where there are none; in a stream of those so far", () => {
    const graph = parseGraph(
      `graph g {\n${input}\n%1: [B H=6] = pool last steps=3 %0\n%2: [B H=6] = pool first steps=3 %0\nreturn last: %1, first: %2\n}`,
    );
    let state = emptyState;
    const push = (...data: number[]) => {
      const next = interpret(graph, new Map(), new Map([["u", { shape: [1, data.length / 2, 2], data: Float64Array.from(data) }]]), {
        state,
      });
      state = next.state;
      return ["last", "first"].map((name) => [...(next.outputs.get(name)?.data ?? [])]);
    };
    expect(push(1, 10)).toEqual([
      [0, 0, 0, 0, 1, 10],
      [1, 10, 0, 0, 0, 0],
    ]);
    expect(push(2, 20, 3, 30, 4, 40)).toEqual([
      [2, 20, 3, 30, 4, 40],
      [1, 10, 2, 20, 3, 30],
    ]);
    expect(push(5, 50)).toEqual([
      [3, 30, 4, 40, 5, 50],
      [1, 10, 2, 20, 3, 30],
    ]);
  });
  test("pack: two steps become one, channel by channel; a block that is not full waits", () => {
    const got = evaluate(twoRates, {}, { u: u(1, 10, 2, 20, 3, 30) });
    expect(got.y).toEqual([1, 2, 10, 20]);
    const rest = evaluate(twoRates, {}, { u: u(4, 40) }, got.after);
    expect(rest.y).toEqual([3, 4, 30, 40]);
    expect(evaluate(twoRates, {}, { u: u(5, 50) }, rest.after).y).toEqual([]);
  });
  test("pack of only one step: the channels stay", () => {
    const got = evaluate(`${input}\n%1: [B L/2 H=2] = pack by=2 only=1 %0`, {}, { u: u(1, 10, 2, 20, 3, 30) });
    expect(got.y).toEqual([2, 20]);
  });
  test("unpack: the steps of a block, one step of the slower sequence later, zeros first", () => {
    const lines = `${twoRates}\n%2: [B L H=2] = unpack by=2 %1`;
    const got = evaluate(lines, {}, { u: u(1, 10, 2, 20, 3, 30) });
    expect(got.y).toEqual([0, 0, 0, 0, 1, 10]);
    expect(got.state).toEqual([1, 2, 10, 20]);
    expect(evaluate(lines, {}, { u: u(4, 40, 5, 50) }, got.after).y).toEqual([2, 20, 3, 30]);
  });
  test("a pool of a slower sequence: of the steps there are, zero before the first", () => {
    const lines = `${twoRates}\n%2: [B H=4] = pool mean %1`;
    const before = evaluate(lines, {}, { u: u(1, 10) });
    expect(before.y).toEqual([0, 0, 0, 0]);
    expect(evaluate(lines, {}, { u: u(2, 20, 3, 30, 4, 40, 5, 50) }, before.after).y).toEqual([2, 3, 20, 30]);
  });
  test("diagonal ssm: complex states driven by u, read by the real part of gain", () => {
    const lines = `%0: [B L H=1] = input u\n%1: [H=1 N=1 c=2] = param abar\n%2: [H=1 N=1 c=2] = param gain\n%3: [H=1] = param d\n%4: [B L H=1] = ssm discrete diagonal state=1 %0 %1 %2 %3`;
    const params = { abar: tensor([1, 1, 2], [0, 1]), gain: tensor([1, 1, 2], [2, 3]), d: tensor([1], [10]) };
    // x: 1, i, -1; Re((2 + 3i) x): 2, -3, -2
    const got = evaluate(lines, params, { u: tensor([1, 3, 1], [1, 0, 0]) });
    expect(got.y).toEqual([12, -3, -2]);
    expect(got.state.map((x) => x + 0)).toEqual([-1, 0]);
  });
  test("dense ssm: one system for all channels where G is 1; the state is component-major", () => {
    const lines = `${input}\n%1: [G=1 N=2 N2=2] = param abar\n%2: [G=1 N=2] = param bbar\n%3: [G=1 N=2] = param c\n%4: [G=1] = param d\n%5: [B L H=2] = ssm discrete dense state=2 %0 %1 %2 %3 %4`;
    const params = {
      abar: tensor([1, 2, 2], [0, 1, 0, 0]),
      bbar: tensor([1, 2], [0, 1]),
      c: tensor([1, 2], [1, 0]),
      d: tensor([1], [0.5]),
    };
    // a delay line of one step: y_t = u_(t-1) + u_t / 2
    const got = evaluate(lines, params, { u: u(1, 2, 3, 4) });
    expect(got.y).toEqual([0.5, 1, 2.5, 4]);
    expect(got.state).toEqual([1, 2, 3, 4]);
  });
  test("dense ssm: a system for every channel where G is H", () => {
    const lines = `${input}\n%1: [G=2 N=1 N2=1] = param abar\n%2: [G=2 N=1] = param bbar\n%3: [G=2 N=1] = param c\n%4: [G=2] = param d\n%5: [B L H=2] = ssm discrete dense state=1 %0 %1 %2 %3 %4`;
    const rows = (a: number, b: number): Constant => tensor([2, 1], [a, b]);
    const params = { abar: tensor([2, 1, 1], [2, 3]), bbar: rows(1, 10), c: rows(5, 7), d: tensor([2], [0, 1]) };
    // channel 0: 5 * (2 * 1 + 1), channel 1: 7 * (3 * 10 + 10) + 1
    const got = evaluate(lines, params, { u: u(1, 1, 1, 1) });
    expect(got.y).toEqual([5, 71, 15, 281]);
    expect(got.state).toEqual([3, 40]);
  });
  test("an ssm of an earlier stage: its system comes from the evaluator, given the operands after x", () => {
    const graph = parseGraph(
      `graph g {\n%0: [B L H=1] = input u\n%1: [H=1] = param a\n%2: [B L H=1] = ssm family leak zoh state=1 options={} %0 %1\nreturn y: %2\n}`,
    );
    const scalar = (x: number): Constant => tensor([1, 1], [x]);
    const { outputs } = interpret(graph, values({ a: tensor([1], [0.5]) }), values({ u: tensor([1, 3, 1], [1, 0, 0]) }), {
      systems: (node, [a]) => ({
        structure: "dense",
        abar: tensor([1, 1, 1], [...(a?.data ?? [])]),
        bbar: scalar(node.form.state),
        c: scalar(4),
        d: tensor([1], [0]),
      }),
    });
    expect([...(outputs.get("y")?.data ?? [])]).toEqual([4, 2, 1]);
  });
  test("an input of another shape than the graph says is refused", () => {
    expect(() => evaluate(`${input}\n%1: [B H=2] = pool last %0`, {}, { u: tensor([1, 2, 3], [1, 2, 3, 4, 5, 6]) })).toThrow(
      "bug: input u is [1 2 3], the graph says [1 2 2]",
    );
  });
  test("an id outside the table is that of the nearest row; one that is no integer is refused", () => {
    const lines = `%0: i32[B L] = input ids\n%1: [V=3 H=2] = param table\n%2: [B L H=2] = embed %0 %1`;
    const rowsOf = (...ids: number[]) => evaluate(lines, { table: tensor([3, 2], [0, 1, 2, 3, 4, 5]) }, { ids: tensor([1, 2], ids) });
    expect(rowsOf(1, 3)).toEqual(rowsOf(1, 2));
    expect(rowsOf(-1, 1)).toEqual(rowsOf(0, 1));
    expect(rowsOf(-1, 1)).not.toEqual(rowsOf(1, 1));
    expect(() => rowsOf(0.5, 1)).toThrow("id 0.5 is no integer");
  });
});

/** Interprets in pieces of random sizes, the state carried from one to the next. */
function inPieces({ module, inputs, L }: RandomModel, sizes: readonly number[]) {
  let state = emptyState;
  const pieces = [];
  for (let from = 0, i = 0; from < L; i++) {
    const to = Math.min(L, from + (sizes[i % sizes.length] ?? 1));
    const result = interpret(module.graph, module.constants, cutInputs(module.graph, inputs, from, to), { state });
    pieces.push(result.outputs);
    state = result.state;
    from = to;
  }
  return { outputs: joinPieces(module.graph, pieces), state };
}

describe("random models", () => {
  test("any chunking of a stream gives the outputs and the final state of the whole", () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(arbitraryModule(), sizes, (model, chunks) => {
        const whole = interpret(model.module.graph, model.module.constants, model.inputs);
        const pieces = inPieces(model, chunks);
        expect(largestErrorOf(pieces.outputs, whole.outputs)).toBe(0);
        expect(pieces.state).toEqual(whole.state);
      }),
      { numRuns: 300 },
    );
  });
  test("causality: later inputs do not change earlier outputs", () => {
    fc.assert(
      fc.property(arbitraryModule(), fc.nat(), (model, cut) => {
        const { module, inputs, L } = model;
        const to = 1 + (cut % L);
        const whole = interpret(module.graph, module.constants, inputs).outputs;
        const begin = interpret(module.graph, module.constants, cutInputs(module.graph, inputs, 0, to)).outputs;
        for (const { name, value } of module.graph.outputs) {
          const { dims } = module.graph.nodes[value]?.type ?? { dims: [] };
          const [full, part] = [whole.get(name), begin.get(name)];
          if (!dims.some((d) => d.size === "L") || full === undefined || part === undefined) continue;
          const width = part.data.length / (model.B * to);
          for (let b = 0; b < model.B; b++)
            expect(part.data.slice(b * to * width, (b + 1) * to * width)).toEqual(full.data.slice(b * L * width, (b * L + to) * width));
        }
      }),
      { numRuns: 200 },
    );
  });
});
