/** Plans as text: what repeats is written once, and the text still means the plan. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { mapFunctions, printPlan, type BufferSource, type DispatchSource, type PlanSource } from "../../src/codegen/plan-source.ts";
import { compileGraph } from "../../src/compile.ts";
import { model, tokens } from "../../src/dsl/index.ts";
import { attentionBlock, mambaBlock, mambaModel } from "../../src/models/index.ts";
import { repeat } from "../../src/runtime/plan.ts";
import { parts } from "../runtime/integrator.ts";

/** What the text of a plan means, its functions as text. */
function meaning(plan: PlanSource): unknown {
  // oxlint-disable-next-line typescript/no-implied-eval
  const made: unknown = new Function("repeat", `return ${printPlan(plan)}`)(repeat);
  return JSON.parse(JSON.stringify(made, (_, value: unknown) => (typeof value === "function" ? String(value) : value)));
}

const expected = (plan: PlanSource): unknown =>
  JSON.parse(JSON.stringify(mapFunctions(plan, (parameter, expression) => `(${parameter}) => (${expression})`)));

const withLists = (buffers: readonly BufferSource[], body: readonly DispatchSource[]): PlanSource => ({
  ...parts.plan,
  kernels: [],
  buffers,
  step: { prepare: [], body },
});

describe("random plans", () => {
  const integer = fc.oneof(fc.integer({ min: 0, max: 50 }), fc.integer());
  const step = fc.integer({ min: -3, max: 20 });
  const name = fc.oneof(
    fc.string({ unit: fc.constantFrom("0", "7", "10", ".", "a", '"', "\\", "`", "${", "\n", "\u0001", "é", "-") }),
    fc.constantFrom("layers.0.weight", "1e9", "99999999999999999999", "007", "3.5"),
  );
  const buffer = fc.record({ name, number: integer, step });
  const dispatch = fc.record({
    kernel: integer,
    bind: fc.array(fc.tuple(integer, step, step), { maxLength: 3 }),
    grid: fc.constantFrom("[d.B,1,1]", "[d.L,1,1]"),
  });
  const run = <T>(item: fc.Arbitrary<T>): fc.Arbitrary<{ block: T[]; times: number; cut: number }> =>
    fc.record({ block: fc.array(item, { minLength: 1, maxLength: 4 }), times: fc.integer({ min: 1, max: 5 }), cut: fc.nat(3) });
  const expand = <T, R>(runs: readonly { block: T[]; times: number; cut: number }[], at: (item: T, i: number) => R): R[] =>
    runs.flatMap(({ block, times, cut }) =>
      Array.from({ length: times }, (_, i) => block.map((item) => at(item, i)))
        .flat()
        .slice(0, Math.max(1, block.length * times - cut)),
    );

  test("mean the same after what repeats is written once", () => {
    fc.assert(
      fc.property(fc.array(run(buffer), { maxLength: 4 }), fc.array(run(dispatch), { maxLength: 4 }), (buffers, dispatches) => {
        const plan = withLists(
          expand(buffers, (b, i) => ({ kind: "weight", tensor: `${b.name}${b.number + b.step * i}.${b.name}`, more: [`x.${i}`] })),
          expand(dispatches, ({ bind, ...rest }, i) => ({
            ...rest,
            bind: bind.map(([first, by, swing]) => first + by * i + swing * (i % 2)),
          })),
        );
        expect(meaning(plan)).toEqual(expected(plan));
      }),
    );
  });
});

describe("a run", () => {
  const buffers = (names: readonly string[]): PlanSource =>
    withLists(
      names.map((input) => ({ kind: "input", name: input })),
      [],
    );
  const written = (names: readonly string[]): number => printPlan(buffers(names)).split('"kind": "input"').length - 1;

  test.each([
    ["that counts up", ["a.0", "a.1", "a.2", "a.3"], 1],
    ["that counts down by two", ["a.6", "a.4", "a.2", "a.0"], 1],
    ["that swings", ["a.8", "a.3", "a.8", "a.3", "a.8"], 1],
    ["that swings and counts", ["a.0", "a.5", "a.1", "a.6", "a.2", "a.7"], 1],
    ["of one item, again and again", ["a", "a", "a", "a"], 1],
    ["whose last period is not whole", ["a.0", "b.0", "a.1", "b.1", "a.2"], 2],
    ["between others", ["x", "a.0", "a.1", "a.2", "a.3", "y"], 3],
    ["of alternating blocks", ["a0", "a1", "b", "a2", "a3", "b", "a4", "a5", "b"], 3],
  ])("%s is written once", (_, names, count) => {
    expect(written(names)).toBe(count);
    expect(meaning(buffers(names))).toEqual(expected(buffers(names)));
  });

  test.each([
    ["steps that differ", ["a.0", "a.1", "a.3", "a.9"]],
    ["numbers that arithmetic prints otherwise", ["a.006", "a.007", "a.008", "a.009"]],
    ["other text", ["a.0", "b.1", "c.2", "d.3"]],
  ])("%s: written out", (_, names) => {
    expect(written(names)).toBe(names.length);
  });
});

describe("layers of a language model", () => {
  type Block = "mamba" | "attention";
  /** Its plan, without kernels. */
  const language = async (blocks: readonly Block[]): Promise<PlanSource> => {
    const { graph } = model("m", { ids: tokens(8) }, ({ ids }) => {
      let layer = 0;
      return {
        logits: mambaModel(ids, {
          width: 8,
          layers: blocks.length,
          mixer: (x) => (blocks[layer++] === "mamba" ? mambaBlock(x, { state: 4 }) : attentionBlock(x, { heads: 2 })),
        }),
      };
    });
    return { ...(await compileGraph(graph, new Map(), { maxLength: 64 })).plan, kernels: [] };
  };
  const repeated = (times: number, ...of: Block[]): Block[] => Array.from({ length: times }, () => of).flat();
  /** How many dispatches and buffers its text has. */
  const written = (plan: PlanSource): number => printPlan(plan).split(/"kernel"|"kind"/).length - 1;

  test.each([
    ["of one kind", repeated(4, "mamba"), repeated(8, "mamba")],
    ["of a hybrid", repeated(6, "mamba", "mamba", "attention"), repeated(8, "mamba", "mamba", "attention")],
  ] as const)("%s: more of them are no more text", async (_, few, many) => {
    const [small, large] = [await language(few), await language(many)];
    expect(meaning(large)).toEqual(expected(large));
    expect(large.buffers.length).toBeGreaterThan(1.2 * small.buffers.length);
    expect(written(large)).toBe(written(small));
  });
});
