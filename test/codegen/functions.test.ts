/**
 * Every scalar function on the device against its definition in float64. Tolerances are what WGSL promises of the
 * operations a function is made of (section "Floating Point Accuracy"), in units of 2^-23 relative (`ulp`); helpers of our
 * own add the error of their fits.
 */
import { describe, expect, test } from "vitest";
import { emitWgsl } from "../../src/codegen/wgsl.ts";
import { compileGraph } from "../../src/compile.ts";
import { evaluatePlan } from "../../src/codegen/plan-source.ts";
import { graphBuilder } from "../../src/ir/build.ts";
import { arg, call, constant, type Expr, evalExpr, type ScalarFn, scalarDef, scalarFns } from "../../src/ir/expr.ts";
import * as kit from "../../src/passes/schedules/kit.ts";
import { loadPlan } from "../setup/execute.ts";
import { sharedDevice } from "../setup/shared-device.ts";

const ulp = 2 ** -23;
/** The least normal number: results below it may be 0. */
const least = 2 ** -126;

/** Runs `expr` of $0 and $1 on the device at every pair. */
async function onDevice(expr: Expr, pairs: readonly (readonly [number, number])[]): Promise<Float32Array> {
  const g = graphBuilder("scalar");
  const dims = [{ name: "B", size: "B" } as const, { name: "L", size: "L" } as const];
  const input = g.input("x", { dtype: "f32", dims: [...dims, { name: "H", size: 2 }] });
  const y = g.map(expr, [g.slice(input, 0, 1), g.slice(input, 1, 1)]);
  const compiled = await compileGraph(g.finish([{ name: "y", value: y }]), new Map(), { maxLength: 4096 });
  const model = await loadPlan(evaluatePlan(compiled.plan), compiled.shards, { device: await sharedDevice() });
  const outputs = await model.run({ x: { data: Float32Array.from(pairs.flat()), dims: [1, pairs.length, 2] } });
  model.destroy();
  return outputs["y"]?.data ?? new Float32Array();
}

/** A call of `fn` with numbers in and a number out. */
function callOf(fn: ScalarFn): Expr {
  const positive = (i: number): Expr => call("gt", arg(i), constant(0));
  const number = (condition: Expr): Expr => call("select", condition, constant(1), constant(0));
  if (fn === "select") return call("select", positive(0), arg(0), arg(1));
  if (fn === "not") return number(call("not", positive(0)));
  if (fn === "and" || fn === "or") return number(call(fn, positive(0), positive(1)));
  const plain = call(fn, ...[arg(0), arg(1)].slice(0, scalarDef(fn).arity));
  return scalarDef(fn).result === "bool" ? number(plain) : plain;
}

const f32 = Math.fround;
const magnitudes = [0.001, 0.1, 0.37, 0.5, 0.61, 0.75, 0.99, 1, 1.01, 1.5, 2, 2.5, 3, 3.9, 5, 7.7, 10, 20, 50, 80].map(f32);
const reals = [0, ...magnitudes, ...magnitudes.map((x) => -x)];
const positives = [1e-30, 1e-6, ...magnitudes, 1e6, 1e30].map(f32);
const grid = (a: readonly number[], b: readonly number[]): (readonly [number, number])[] => a.flatMap((x) => b.map((y) => [x, y] as const));
const alone = (a: readonly number[]): (readonly [number, number])[] => a.map((x) => [x, 0] as const);

interface Check {
  readonly at: readonly (readonly [number, number])[];
  /** The error allowed at x, y where the value is v. */
  readonly error: (x: number, y: number, v: number) => number;
}

const relative =
  (ulps: number) =>
  (_x: number, _y: number, v: number): number =>
    ulps * ulp * Math.abs(v) + least;
const exact = (): number => 0;
const overReals = (error: Check["error"]): Check => ({ at: alone(reals), error });
const overPairs = (error: Check["error"]): Check => ({ at: grid(reals, reals), error });
/** log2(x): 2^-21 between 0.5 and 2, 3 ulp elsewhere. */
const logError = (x: number, v: number): number => (x >= 0.5 && x <= 2 ? 2 ** -21 : 3 * ulp * Math.abs(v));

const checks: Readonly<Record<ScalarFn, Check>> = {
  add: overPairs(relative(1)),
  sub: overPairs(relative(1)),
  mul: overPairs(relative(1)),
  div: {
    at: grid(
      reals,
      reals.filter((x) => x !== 0),
    ),
    error: relative(2.5),
  },
  // exp2(y log2 x): the error of the exponent, and that of exp2.
  pow: {
    at: grid(
      positives.filter((x) => x > 1e-7 && x < 1e7),
      [-2, -1, -0.5, 0, 0.5, 1, 2, 3],
    ),
    error: (x, y, v) =>
      v *
      (Math.LN2 * Math.abs(y) * (logError(x, Math.log2(x)) + ulp * Math.abs(Math.log2(x))) + (3 + 2 * Math.abs(y * Math.log2(x))) * ulp),
  },
  min: overPairs(exact),
  max: overPairs(exact),
  neg: overReals(exact),
  abs: overReals(exact),
  sign: overReals(exact),
  floor: overReals(exact),
  ceil: overReals(exact),
  sqrt: { at: alone([0, ...positives]), error: relative(4.5) },
  rsqrt: { at: alone(positives), error: relative(2) },
  exp: overReals((x, _, v) => (3 + 2 * Math.abs(x)) * ulp * v + least),
  log: { at: alone(positives), error: (x, _, v) => logError(x, v) },
  sin: { at: alone([...reals, 1000, -9999]), error: () => 1.5e-7 },
  cos: { at: alone([...reals, 1000, -9999]), error: () => 1.5e-7 },
  tanh: { at: alone([...reals, 1e-20, -1e-6]), error: (_x, _y, v) => 3e-7 * Math.abs(v) },
  // exp(-|x|) / (1 + exp(-|x|)): 3 + 2 |x|, an addition, a division.
  sigmoid: overReals((x, _, v) => (3 + 2 * Math.min(Math.abs(x), 1 / v) + 1 + 2.5) * ulp * v + least),
  // log of a number in [1, 2] to 2^-21, which may be off by 2^-24 and the error of exp.
  softplus: overReals((_x, _y, v) => 2 ** -21 + 5 * ulp + ulp * v),
  erf: overReals((x, _, v) => (Math.abs(x) < 1 ? 3e-7 * Math.abs(v) : 3e-7)),
  lt: overPairs(exact),
  le: overPairs(exact),
  gt: overPairs(exact),
  ge: overPairs(exact),
  eq: overPairs(exact),
  ne: overPairs(exact),
  and: overPairs(exact),
  or: overPairs(exact),
  not: overReals(exact),
  select: overPairs(exact),
};

describe("every scalar function is its definition", () => {
  test.each(Object.keys(scalarFns) as ScalarFn[])("%s", async (fn) => {
    const { at, error } = checks[fn];
    const expr = callOf(fn);
    const values = await onDevice(expr, at);
    const off = at.flatMap(([x, y], i) => {
      const expected = evalExpr(expr, [x, y]);
      const difference = Math.abs((values[i] ?? NaN) - expected);
      const allowed = error(x, y, expected);
      return difference <= allowed ? [] : [{ x, y, got: values[i], expected, allowed }];
    });
    expect(off).toEqual([]);
  });
});

describe("at the ends of numbers", () => {
  const huge = 3e38;
  test.each([
    ["tanh", [100, -100, huge, -huge, Infinity, -Infinity], [1, -1, 1, -1, 1, -1]],
    ["sigmoid", [100, huge, -huge, Infinity, -Infinity], [1, 1, 0, 1, 0]],
    ["softplus", [100, huge, -huge, Infinity, -Infinity], [100, f32(huge), 0, Infinity, 0]],
    ["erf", [100, -100, huge, -huge, Infinity, -Infinity], [1, -1, 1, -1, 1, -1]],
    ["exp", [89, -200, Infinity, -Infinity], [Infinity, 0, Infinity, 0]],
    ["log", [0, Infinity], [-Infinity, Infinity]],
    ["sqrt", [Infinity, 0], [Infinity, 0]],
    ["rsqrt", [Infinity], [0]],
  ] as const)("%s overflows to what it tends to", async (fn, at, expected) => {
    expect([...(await onDevice(callOf(fn), alone(at)))]).toEqual([...expected]);
  });

  test.each(["neg", "abs", "floor", "ceil", "sqrt", "rsqrt", "exp", "log", "sin", "cos", "tanh", "sigmoid", "softplus", "erf"] as const)(
    "%s of NaN is NaN",
    async (fn) => {
      expect([...(await onDevice(callOf(fn), alone([NaN])))]).toEqual([NaN]);
    },
  );

  test.each([
    ["sqrt", -1],
    ["log", -1],
    ["sin", Infinity],
    ["cos", -Infinity],
  ] as const)("%s(%d) is NaN", async (fn, x) => {
    expect([...(await onDevice(callOf(fn), alone([x])))]).toEqual([NaN]);
  });

  test("constants that are no finite numbers stay what they are", async () => {
    const values = await Promise.all(
      [Infinity, -Infinity, NaN].map((c) => onDevice(call("mul", call("abs", arg(0)), constant(c)), alone([2]))),
    );
    expect(values.map(([v]) => v)).toEqual([Infinity, -Infinity, NaN]);
  });
});

/** exp of numbers, four at once. */
async function expOfFour(numbers: readonly number[]): Promise<readonly number[]> {
  const k = kit.kernelBuilder("four", 1);
  const [from, to] = [k.bind(0), k.bind(1, "read_write")];
  const first = k.let("first", kit.mul(kit.group(0), 4));
  const four = kit.joined([0, 1, 2, 3].map((i) => k.load(from, kit.add(first, i))));
  const y = k.let("y", kit.unary("exp", four));
  k.for("i", 0, 4, (i) => k.store(to, kit.add(first, i), kit.component(y, i)));
  const device = await sharedDevice();
  const module = device.createShaderModule({ code: emitWgsl(k.finish().kernel) });
  const pipeline = await device.createComputePipelineAsync({ layout: "auto", compute: { module, entryPoint: "main" } });
  const size = 4 * numbers.length;
  const [input, output, copy] = [0x88, 0x84, 0x9].map((usage) => device.createBuffer({ size, usage }));
  if (!input || !output || !copy) throw new Error("no buffers");
  device.queue.writeBuffer(input, 0, Float32Array.from(numbers));
  const entries = [input, output].map((buffer, i) => ({ binding: i + 1, resource: { buffer } }));
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
  pass.dispatchWorkgroups(numbers.length / 4);
  pass.end();
  encoder.copyBufferToBuffer(output, 0, copy, 0, size);
  device.queue.submit([encoder.finish()]);
  await copy.mapAsync(1);
  const results = [...new Float32Array(copy.getMappedRange())];
  [input, output, copy].forEach((buffer) => buffer.destroy());
  return results;
}

test("exp of four numbers at once is that of each, at the ends and of NaN too", async () => {
  const at = [...reals, NaN, 89, -200, Infinity, -Infinity];
  const padded = [...at, ...Array.from({ length: -at.length & 3 }, () => 0)];
  const values = await expOfFour(padded);
  const one = await onDevice(callOf("exp"), alone(padded));
  expect(values).toEqual([...one]);
});
