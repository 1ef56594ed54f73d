/** The simulator itself: what it computes, counts and catches, on kernels of a few lines. */
import { expect, test } from "vitest";
import {
  add,
  dim,
  f32,
  group,
  type KernelBuilder,
  kernelBuilder,
  type KExpr,
  lane,
  lt,
  mul,
  sub,
  u32,
  unary,
} from "../../src/passes/schedules/kit.ts";
import { type Counts, simulate } from "../setup/simulate.ts";

const dims = { B: 1, L: 8, t: 0, pos: 0, M: 8 };

/** Runs a kernel of 4 lanes over buffers 0 (read) and 1 (written), each of eight words; `grid` workgroups. */
function run(write: (k: KernelBuilder, from: string, to: string) => void, grid = 2): { counts: Counts; out: readonly number[] } {
  const k = kernelBuilder("kernel", 4);
  const [from, to] = [k.bind(0), k.bind(1, "read_write")];
  write(k, from, to);
  const out = new Float32Array(8);
  const counts = simulate({
    kernel: k.finish().kernel,
    buffers: [Float32Array.from({ length: 8 }, (_, i) => i + 0.5), out],
    dims,
    grid: [grid, 1, 1],
  });
  return { counts, out: [...out] };
}

const flat = add(mul(group(0), 4), lane);

test("every lane of every workgroup runs, and words and operations are counted", () => {
  const { counts, out } = run((k, from, to) => k.store(to, flat, mul(k.load(from, flat), f32(2))));
  expect(out).toEqual([1, 3, 5, 7, 9, 11, 13, 15]);
  expect(counts).toEqual({ words: 16, distinct: 16, flops: 8, barriers: 0, violations: new Set() });
});

test("every call counts once, however deep", () => {
  const deep = (x: KExpr, depth: number): KExpr => (depth === 0 ? x : unary("abs", unary("sqrt", deep(x, depth - 1))));
  const { counts } = run((k, from, to) => k.store(to, flat, deep(k.load(from, flat), 3)));
  expect(counts.flops).toBe(8 * 6);
});

test("a word that two workgroups read counts twice in `words` and once in `distinct`; twice in one workgroup counts once", () => {
  const { counts } = run((k, from, to) => {
    const first = k.let("a", k.load(from, u32(0)));
    k.store(to, flat, add(first, k.load(from, u32(0))));
  });
  expect([counts.words, counts.distinct]).toEqual([8 + 2, 8 + 1]);
});

test("lanes exchange numbers through workgroup memory, which a barrier orders", () => {
  const reverse = (barrier: boolean): ReturnType<typeof run> =>
    run((k, from, to) => {
      const scratch = k.shared("scratch", 4);
      k.storeShared(scratch, lane, k.load(from, flat));
      if (barrier) k.barrier();
      k.store(to, flat, k.loadShared(scratch, sub(u32(3), lane)));
    });
  const right = reverse(true);
  expect(right.out).toEqual([3.5, 2.5, 1.5, 0.5, 7.5, 6.5, 5.5, 4.5]);
  expect(right.counts).toMatchObject({ barriers: 2, violations: new Set() });
  expect(reverse(false).counts.violations).toContain("kernel: a lane reads what another writes in scratch");
});

test("two lanes that write one word are a race, and no barrier orders device buffers", () => {
  expect(run((k, _, to) => k.store(to, u32(0), f32(1))).counts.violations).toContain("kernel: two lanes write one word of b2");
  const after = run((k, _, to) => {
    k.store(to, flat, f32(1));
    k.barrier();
    const other = k.let("x", k.load(to, add(mul(group(0), 4), sub(u32(3), lane))));
    k.if(lt(other, f32(0)), () => k.store(to, u32(7), f32(2)));
  });
  expect([...after.counts.violations]).toContain("kernel: a lane reads what another writes in b2");
});

test("accesses outside of buffers and of workgroup memory are caught", () => {
  const { counts } = run((k, from, to) => {
    const scratch = k.shared("scratch", 3);
    k.storeShared(scratch, lane, k.load(from, add(flat, 1)));
    k.store(to, add(flat, 1), f32(0));
  });
  expect([...counts.violations].toSorted()).toEqual([
    "kernel: reads outside of b1",
    "kernel: writes outside of b2",
    "kernel: writes outside of scratch",
  ]);
});

test("a barrier that only some lanes reach is caught", () => {
  const { counts } = run((k) => k.if(lt(lane, 2), () => k.barrier()));
  expect(counts.violations).toContain("kernel: a barrier is not reached by all lanes");
});

test("f32 arithmetic rounds after every operation, u32 arithmetic wraps", () => {
  const { out } = run((k, _, to) => {
    k.if(lt(lane, 1), () => {
      k.store(to, u32(0), sub(add(f32(16777216), f32(1)), f32(16777216)));
      const wrapped = k.let("w", sub(dim("B"), 2));
      k.if(lt(wrapped, dim("L")), () => k.store(to, u32(1), f32(1)));
    });
  }, 1);
  expect(out.slice(0, 2)).toEqual([0, 0]);
});
