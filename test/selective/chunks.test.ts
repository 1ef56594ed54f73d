/**
 * Selective recurrences in chunks, on the simulator of kernels: random forms and sizes, any length of a chunk, streams cut
 * anywhere, decays from none to all at once. Results are those of the float64 interpreter, no kernel races or leaves its
 * buffers, and costs are as stated.
 */
import fc from "fast-check";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { compileGraph, type Compiled } from "../../src/compile.ts";
import { graphBuilder } from "../../src/ir/build.ts";
import { arg, call } from "../../src/ir/expr.ts";
import {
  type Constant,
  type Constants,
  type SelectiveForm,
  type SelectiveRole,
  selectiveRoles,
  selectiveSizes,
} from "../../src/ir/graph.ts";
import { interpret } from "../../src/ir/interpret.ts";
import { numbers, type Ran, SimulatedModel } from "../kernels/program.ts";
import { errorOf, loadCompiled, toInputs } from "../setup/execute.ts";
import { sharedDevice } from "../setup/shared-device.ts";
import { cutInputs, joinPieces } from "../setup/tensors.ts";

/** Steps of a chunk; what the compiler would choose where absent. */
const chunk = vi.hoisted(() => ({ steps: undefined as number | undefined }));
vi.mock(import("../../src/passes/schedules/chunk-steps.ts"), async (original) => {
  const { chunkSteps } = await original();
  return { chunkSteps: (form) => chunk.steps ?? chunkSteps(form) };
});
beforeEach(() => {
  chunk.steps = undefined;
});

/** INDEX.md, f32 on a CPU. */
const tolerance = 1e-5;

type Parts = Pick<SelectiveForm, "heads" | "groups" | "width" | "state"> &
  Partial<Pick<SelectiveForm, "writes" | "reads" | "rates" | "gain" | "correction" | "before">>;

interface Case {
  readonly parts: Parts;
  /** Whether every row has a decay of its own. */
  readonly rows?: boolean;
  /** Operands that are parameters. */
  readonly constants?: readonly string[];
  /** Decays are `scale` times numbers in [-1, 0], now and then none at all, or 50. */
  readonly scale?: number;
  /** Whether results are scaled and added to what is given with them. */
  readonly post?: boolean;
  readonly B?: number;
  /** Lengths of the pieces of a stream. */
  readonly pieces: readonly number[];
  readonly seed?: number;
}

const formOf = (parts: Parts): SelectiveForm => ({
  stage: "selective",
  writes: 1,
  reads: 1,
  rates: false,
  gain: false,
  correction: false,
  before: false,
  bonus: false,
  ...parts,
});

function mapped(value: Constant, f: (x: number, index: number) => number): Constant {
  return { shape: value.shape, data: value.data.map((x, i) => Math.fround(f(x, i))) };
}

/** Every `size` numbers scaled to length one. */
function unit(value: Constant, size: number): Constant {
  const norms = Array.from({ length: value.data.length / size }, (_, i) => Math.hypot(...value.data.subarray(i * size, (i + 1) * size)));
  return mapped(value, (x, i) => x / (norms[Math.floor(i / size)] ?? NaN));
}

/** Values of the same steps, their channels one after the other. */
function sideBySide(values: readonly Constant[]): Constant {
  const sizes = values.map(({ shape }) => shape.at(-1) ?? NaN);
  const total = sizes.reduce((a, b) => a + b, 0);
  const [B = NaN, L = NaN] = values[0]?.shape ?? [];
  const data = new Float64Array(B * L * total);
  let first = 0;
  for (const [i, { data: own }] of values.entries()) {
    const size = sizes[i] ?? NaN;
    own.forEach((x, at) => (data[Math.floor(at / size) * total + first + (at % size)] = x));
    first += size;
  }
  return { shape: [B, L, total], data };
}

/** Numbers for an operand that keep the state bounded. */
function valuesOf(role: string, shape: readonly number[], { parts, scale = 1, seed = 1 }: Case): Constant {
  const raw = (salt: number): Constant => numbers(shape, seed + salt);
  const key = (): Constant => (parts.correction === true ? unit(raw(1), parts.state) : raw(1));
  switch (role) {
    case "decay":
      return mapped(raw(2), (x) => (x > 0.98 ? -50 : x > 0.9 ? 0 : -(scale * (x + 1)) / 2));
    case "rates":
    case "gain":
      return mapped(raw(3), (x) => 1 + x / 2);
    case "b":
      return mapped(unit(raw(4), parts.state), (x) => -0.9 * x);
    case "c":
      return unit(raw(4), parts.state);
    case "k":
      return key();
    default:
      return raw(role.charCodeAt(0));
  }
}

async function compileCase(c: Case): Promise<{ readonly compiled: Compiled; readonly inputs: Constants; readonly L: number }> {
  const form = formOf(c.parts);
  const [B, L] = [c.B ?? 2, c.pieces.reduce((a, b) => a + b, 0)];
  const g = graphBuilder("chunks");
  const [inputs, constants] = [new Map<string, Constant>(), new Map<string, Constant>()];
  const sequence = (channels: number) => ({
    dtype: "f32" as const,
    dims: [
      { name: "B", size: "B" as const },
      { name: "L", size: "L" as const },
      { name: "H", size: channels },
    ],
  });
  // Behind a map, where the device keeps it channel after channel.
  const input = (name: string, value: Constant): number => {
    inputs.set(name, value);
    return g.map(call("neg", arg(0)), [g.input(name, sequence(value.shape.at(-1) ?? NaN))]);
  };
  const isFixed = (name: string): boolean => c.constants?.includes(name) === true || name === "rates" || name === "skip";
  const given = (name: string, channels: number): number => {
    if (!isFixed(name))
      return input(
        name,
        mapped(valuesOf(name, [B, L, channels], c), (x) => -x),
      );
    constants.set(name, valuesOf(name, [channels], c));
    return g.param(name, [{ name: "H", size: channels }]);
  };
  const roles = selectiveRoles(form);
  const channelsOf = (role: SelectiveRole): number =>
    (c.rows === true ? selectiveSizes(form, role).at(-1) : selectiveSizes(form, role)[0]) ?? NaN;
  // The delta rule has more operands than a kernel has buffers: those that vary are slices of one value.
  const varying = form.correction ? roles.filter((role) => !isFixed(role)) : [];
  const starts = varying.map((_, i) => varying.slice(0, i).reduce((sum, role) => sum + channelsOf(role), 0));
  const all =
    varying.length > 0
      ? input("all", sideBySide(varying.map((role) => mapped(valuesOf(role, [B, L, channelsOf(role)], c), (x) => -x))))
      : 0;
  const args = roles.map((role) =>
    varying.includes(role) ? g.slice(all, starts[varying.indexOf(role)] ?? NaN, channelsOf(role)) : given(role, channelsOf(role)),
  );
  const y = g.ssm(form, args);
  const channels = form.reads * form.heads * form.width;
  const result = (): number => {
    const skip = g.map(call("mul", arg(0), arg(1)), [given("z", channels), given("skip", channels)]);
    return g.map(call("add", arg(0), arg(1)), [y, skip]);
  };
  const graph = g.finish([{ name: "y", value: c.post === true ? result() : y }]);
  return { compiled: await compileGraph(graph, constants, { maxLength: 4096 }), inputs, L };
}

/** Runs the case whole, and in pieces from state to state; gives what ran. */
async function check(c: Case): Promise<{ readonly whole: readonly Ran[]; readonly pieces: readonly Ran[] }> {
  const { compiled, inputs, L } = await compileCase(c);
  const { graph, constants } = compiled.module;
  const expected = interpret(graph, constants, inputs).outputs;
  const B = c.B ?? 2;
  const error = (outputs: Constants): number =>
    errorOf(
      Object.fromEntries([...outputs].map(([name, { shape, data }]) => [name, { data: Float32Array.from(data), dims: shape }])),
      expected,
    );
  const model = new SimulatedModel(compiled);
  expect(model.modes).toContain("chunked");
  const whole = model.run({ kind: "whole", mode: "chunked" }, inputs, B, L);
  const stream = new SimulatedModel(compiled);
  let from = 0;
  const ran = c.pieces.map((length) => {
    const piece = cutInputs(graph, inputs, from, from + length);
    from += length;
    return stream.run({ kind: "resume", mode: "chunked" }, piece, B, length);
  });
  const text = JSON.stringify({ ...c, chunk: chunk.steps });
  const pieces = ran.flatMap((r) => r.ran);
  expect([...new Set([...whole.ran, ...pieces].flatMap((r) => [...r.counts.violations]))], text).toEqual([]);
  expect(error(whole.outputs), `whole: ${text}`).toBeLessThan(tolerance);
  expect(
    error(
      joinPieces(
        graph,
        ran.map((r) => r.outputs),
      ),
    ),
    `in pieces: ${text}`,
  ).toBeLessThan(tolerance);
  return { whole: whole.ran, pieces };
}

const own = (ran: readonly Ran[], schedule: string): Ran[] => ran.filter((r) => r.schedule === schedule);

function expectCosts(ran: readonly Ran[], flops: boolean): void {
  const ratios = ran.map(({ kernel, stated, counts }) => ({
    kernel,
    bytes: stated.bytes / (4 * counts.words),
    minimum: stated.minimum / (4 * counts.distinct),
    flops: stated.flops / counts.flops,
  }));
  const far = (ratio: number, most: number): boolean => Math.abs(ratio - 1) > most && !Number.isNaN(ratio);
  expect(ratios.filter((r) => far(r.bytes, 0.1) || far(r.minimum, 0.1) || (flops && far(r.flops, 0.3)))).toEqual([]);
}

const someForm = (sizes: fc.Arbitrary<Parts>) =>
  fc.record({
    parts: sizes,
    scale: fc.constantFrom(1e-4, 0.1, 1, 8),
    post: fc.boolean(),
    B: fc.constantFrom(1, 2),
    pieces: fc.array(fc.integer({ min: 1, max: 24 }), { minLength: 1, maxLength: 3 }),
    seed: fc.integer({ min: 1, max: 1000 }),
  });

describe("one decay a head", () => {
  const parts = fc
    .record({
      groups: fc.constantFrom(1, 2),
      perGroup: fc.constantFrom(1, 2),
      width: fc.constantFrom(2, 3, 6, 9, 33),
      state: fc.constantFrom(1, 2, 4, 5, 17, 33),
      writes: fc.constantFrom(1, 1, 2),
      reads: fc.constantFrom(1, 1, 2),
      gain: fc.boolean(),
      rates: fc.boolean(),
    })
    .map(({ perGroup, ...rest }): Parts => ({ ...rest, heads: perGroup * rest.groups }));

  test.each([4, 8, 16, 32, 64])("random sizes in chunks of %i steps", { timeout: 300_000 }, async (steps) => {
    chunk.steps = steps;
    const constants = fc.constantFrom([], ["decay"], ["k", "gain"], ["q"]);
    for (const c of fc.sample(fc.tuple(someForm(parts), constants), { numRuns: 5, seed: steps }))
      expect(own((await check({ ...c[0], constants: c[1] })).whole, "selective-ssd").length).toBe(4);
  });

  test("a sequence of many chunks, and none of decay", { timeout: 300_000 }, async () => {
    const sizes: Parts = { heads: 2, groups: 1, width: 4, state: 4, gain: true };
    await check({ parts: sizes, scale: 0, pieces: [100, 1, 63], B: 1 });
    await check({ parts: sizes, scale: 100, pieces: [100, 1, 63], B: 1 });
  });

  test.each([32, 64])("costs of chunks of %i steps", { timeout: 300_000 }, async (steps) => {
    chunk.steps = steps;
    const sizes: Parts = { heads: 2, groups: 1, width: 32, state: 32, gain: true, rates: true };
    const full = await check({ parts: sizes, post: true, pieces: [128], B: 1 });
    expectCosts(own([...full.whole, ...full.pieces], "selective-ssd"), true);
    const odd = await check({ parts: { ...sizes, groups: 2, width: 34, state: 6, writes: 2, reads: 2 }, pieces: [70], B: 2 });
    expectCosts(own([...odd.whole, ...odd.pieces], "selective-ssd"), false);
    const fixed = await check({ parts: sizes, constants: ["decay", "q"], pieces: [65, 40], B: 1 });
    expectCosts(own([...fixed.whole, ...fixed.pieces], "selective-ssd"), false);
  });
});

describe("the delta rule", () => {
  const parts = fc
    .record({
      groups: fc.constantFrom(1, 2),
      perGroup: fc.constantFrom(1, 2),
      width: fc.constantFrom(2, 3, 6, 17),
      state: fc.constantFrom(2, 4, 5, 17, 33),
      writes: fc.constantFrom(1, 1, 2),
      reads: fc.constantFrom(1, 1, 2),
      gain: fc.boolean(),
      rates: fc.boolean(),
      before: fc.boolean(),
    })
    .map(({ perGroup, ...rest }): Parts => ({ ...rest, heads: perGroup * rest.groups, correction: true }));

  test.each([4, 8, 16])("random sizes in chunks of %i steps", { timeout: 300_000 }, async (steps) => {
    chunk.steps = steps;
    const more = fc.record({ rows: fc.boolean(), constants: fc.constantFrom([], ["decay"], ["q"]) });
    for (const [c, rest] of fc.sample(fc.tuple(someForm(parts), more), { numRuns: 5, seed: steps }))
      expect(own((await check({ ...c, ...rest })).whole, "selective-delta").length).toBe(2);
  });

  test("a sequence of many chunks, and none of decay", { timeout: 300_000 }, async () => {
    const sizes: Parts = { heads: 2, groups: 2, width: 4, state: 4, gain: true, correction: true };
    await check({ parts: sizes, scale: 0, pieces: [50, 1, 33], B: 1 });
    await check({ parts: sizes, rows: true, scale: 100, pieces: [50, 1, 33], B: 1 });
  });

  test("costs", { timeout: 300_000 }, async () => {
    const sizes: Parts = { heads: 2, groups: 1, width: 16, state: 32, gain: true, rates: true, correction: true };
    const full = await check({ parts: sizes, rows: true, post: true, pieces: [64], B: 1 });
    expectCosts(own([...full.whole, ...full.pieces], "selective-delta"), true);
    const odd = await check({ parts: { ...sizes, groups: 2, width: 18, state: 6, writes: 2, reads: 2 }, pieces: [37], B: 2 });
    expectCosts(own([...odd.whole, ...odd.pieces], "selective-delta"), false);
    const fixed = await check({ parts: sizes, constants: ["decay", "q"], pieces: [33, 20], B: 1 });
    expectCosts(own([...fixed.whole, ...fixed.pieces], "selective-delta"), false);
  });
});

describe("on the device", () => {
  test.each([
    ["one decay a head", { heads: 2, groups: 1, width: 64, state: 128, gain: true }, false, "ssd_apply"],
    ["the delta rule", { heads: 2, groups: 2, width: 64, state: 64, gain: true, correction: true }, false, "delta_chunks"],
    ["the delta rule, decays of rows", { heads: 1, groups: 1, width: 20, state: 128, correction: true }, true, "delta_chunks"],
  ] as const)("%s, sizes of published models", { timeout: 300_000 }, async (_, sizes, rows, kernel) => {
    const { compiled, inputs } = await compileCase({ parts: sizes, rows, scale: 0.2, pieces: [150], B: 1 });
    const { graph, constants } = compiled.module;
    expect(compiled.lowered.costs.whole.chunked?.body.map((d) => d.kernel)).toContain(kernel);
    const model = await loadCompiled(compiled, { device: await sharedDevice() });
    const found = await model.run(toInputs(compiled, inputs), { mode: "chunked" });
    expect(errorOf(found, interpret(graph, constants, inputs).outputs)).toBeLessThan(tolerance);
  });
});
