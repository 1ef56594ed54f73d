/**
 * A plan written by hand, with every kind of buffer: x_t = a x_{t-1} + g u_t per sequence, outputs `y` = x over time and
 * `last` = b + x after the last step, with a table for a, a weight for b and a prepared buffer for g = 2.
 */
import { createHash } from "node:crypto";
import type { TableMaker } from "../../src/runtime/tables.ts";
import type { BufferSource, BundleParts, DispatchSource, KernelSource, PlanSource, ProgramSource } from "../../src/codegen/plan-source.ts";
import { evaluatePlan } from "../../src/codegen/plan-source.ts";
import type { Plan } from "../../src/runtime/plan.ts";

export const A = 0.9;
export const OFFSET = 0.5;
export const GAIN = 2;

/** A safetensors file. */
export function safetensors(header: Record<string, unknown>, data: Uint8Array): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder().encode(JSON.stringify(header));
  const bytes = new Uint8Array(8 + text.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  bytes.set(data, 8 + text.length);
  return bytes;
}

const values = new Uint8Array(20);
const view = new DataView(values.buffer);
view.setFloat64(0, A, true);
[OFFSET, A, 1].forEach((value, i) => view.setFloat32(8 + 4 * i, value, true));
const f32 = (i: number): object => ({ dtype: "F32", shape: [1], data_offsets: [8 + 4 * i, 12 + 4 * i] });
/** The shard: `a` as F64, deliberately not at a multiple of 8 bytes of the file, and as F32 `b`, `a32` and `one`. */
export const shard = safetensors(
  { __metadata__: { format: "pt" }, a: { dtype: "F64", shape: [1], data_offsets: [0, 8] }, b: f32(0), a32: f32(1), one: f32(2) },
  values,
);

export const makers: Record<string, TableMaker> = {
  decay: (tensors) => ({ a: Float32Array.from(tensors["a"] ?? []) }),
  size: (_tensors, _shapes, options, d) => ({ m: Float32Array.of((options["factor"] ?? 0) * d.M) }),
};

const head = `struct Dims { B: u32, L: u32, t: u32, pos: u32, M: u32 }
@group(0) @binding(0) var<uniform> d: Dims;
`;
const binding = (i: number, name: string, access: string): string =>
  `@group(0) @binding(${i}) var<storage, ${access}> ${name}: array<f32>;\n`;
const kernel = (name: string, buffers: readonly (readonly [string, "r" | "w"])[], body: string): KernelSource => ({
  name,
  access: buffers.map(([, access]) => access).join(""),
  wgsl: `${head}${buffers.map(([buffer, access], i) => binding(i + 1, buffer, access === "r" ? "read" : "read_write")).join("")}
override lanes: u32 = 4u;
@compute @workgroup_size(lanes) fn main(@builtin(global_invocation_id) id: vec3u) {
  let b = id.x;
  if (b >= d.B) { return; }
${body}}`,
});

const whole = (state: boolean): string => `  var x = ${state ? "s[b]" : "0.0"};
  for (var l = 0u; l < d.L; l++) { x = a[0] * x + g[0] / m[0] * u[b * d.L + l]; y[b * d.L + l] = x; }
  ${state ? "s[b]" : "z[b]"} = x;
`;

const io = [
  ["a", "r"],
  ["g", "r"],
  ["m", "r"],
  ["u", "r"],
  ["y", "w"],
] as const;

const kernels: KernelSource[] = [
  kernel(
    "prepare_gain",
    [
      ["m", "r"],
      ["g", "w"],
    ],
    `  g[0] = ${GAIN}.0 * m[0];\n`,
  ),
  kernel("whole", [...io, ["z", "w"]], whole(false)),
  kernel("resume", [...io, ["s", "w"]], whole(true)),
  kernel(
    "step",
    [
      ["a", "r"],
      ["u", "r"],
      ["y", "w"],
      ["s", "w"],
    ],
    `  let i = b * d.L + d.t;\n  s[b] = a[0] * s[b] + ${GAIN}.0 * u[i];\n  y[i] = s[b];\n`,
  ),
  kernel(
    "finish",
    [
      ["w", "r"],
      ["z", "r"],
      ["last", "w"],
    ],
    `  last[b] = w[0] + z[b];\n`,
  ),
];

const buffer = { a: 0, g: 1, m: 2, u: 3, y: 4, last: 5, w: 6, z: 7, s: 8 } as const;
const buffers: BufferSource[] = [
  { kind: "table", size: "1" },
  { kind: "prepared", size: "1" },
  { kind: "table", size: "1", perM: true },
  { kind: "input", name: "u" },
  { kind: "output", name: "y" },
  { kind: "output", name: "last" },
  { kind: "weight", tensor: "b" },
  { kind: "temp", size: "d.B" },
  { kind: "state", name: "x", size: "d.B" },
];

const dispatch = (index: number, names: readonly (keyof typeof buffer)[], rest: Partial<DispatchSource> = {}): DispatchSource => ({
  kernel: index,
  bind: names.map((name) => buffer[name]),
  grid: "[Math.ceil(d.B / 4), 1, 1]",
  ...rest,
});

const prepare = [dispatch(0, ["m", "g"])];
const step: ProgramSource = {
  prepare: [],
  body: [dispatch(3, ["a", "u", "y", "s"], { constants: "{ lanes: 4 }" }), dispatch(4, ["w", "s", "last"], { tail: true })],
};

/** The plan; pushes of at least 8 steps resume by convolution. */
export const planSource: PlanSource = {
  format: 1,
  name: "integrator",
  maxLength: 1000,
  rates: ["d"],
  period: 1,
  inputs: [{ name: "u", dtype: "f32", dims: ["B", "L", 1], names: ["B", "L", "C"] }],
  outputs: [
    { name: "y", dtype: "f32", dims: ["B", "L", 1], names: ["B", "L", "C"] },
    { name: "last", dtype: "f32", dims: ["B", 1], names: ["B", "C"] },
  ],
  kernels,
  buffers,
  tables: [
    { maker: "decay", tensors: { a: "a" }, options: {}, out: { a: buffer.a } },
    { maker: "size", tensors: {}, options: { factor: 3 }, out: { m: buffer.m }, perM: true },
  ],
  whole: { convolution: { prepare, body: [dispatch(1, ["a", "g", "m", "u", "y", "z"]), dispatch(4, ["w", "z", "last"])] } },
  resume: {
    convolution: { prepare, body: [dispatch(2, ["a", "g", "m", "u", "y", "s"]), dispatch(4, ["w", "s", "last"], { tail: true })] },
  },
  step,
  choose: `"convolution"`,
  chooseResume: `d.L < 8 ? "recurrence" : "convolution"`,
  shards: [{ file: "weights.safetensors", bytes: shard.length, sha256: createHash("sha256").update(shard).digest("hex") }],
};

export const plan: Plan = evaluatePlan(planSource);

/** The same with weights in place of tables, and nothing but data: what a bundle can be made of. */
export const parts: BundleParts = {
  plan: {
    ...planSource,
    tables: [],
    buffers: buffers.map((spec, i) =>
      i === buffer.a ? { kind: "weight", tensor: "a32" } : i === buffer.m ? { kind: "weight", tensor: "one" } : spec,
    ),
  },
  shards: [shard],
  manifest: { format: 1, compiler: "recurve 0.1.0", name: "integrator" },
};

/** What the plan computes, in float64: `y` for each sequence, from the zero state. */
export function reference(u: ArrayLike<number>, B = 1): { readonly y: number[]; readonly last: number[] } {
  const L = u.length / B;
  const y: number[] = [];
  const last: number[] = [];
  for (let b = 0; b < B; b++) {
    let x = 0;
    for (let l = 0; l < L; l++) y.push((x = A * x + GAIN * (u[b * L + l] ?? 0)));
    last.push(OFFSET + x);
  }
  return { y, last };
}

/** Values without a pattern, the same each time. */
export function signal(size: number, seed = 1): Float32Array<ArrayBuffer> {
  let state = seed;
  return Float32Array.from({ length: size }, () => (state = (state * 16807) % 2147483647) / 2147483647 - 0.5);
}
