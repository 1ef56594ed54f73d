/**
 * The user's tensors: checking inputs against the model's, finding batch and length, and where the parts of a split
 * execution lie in them. No device work.
 */
import type { DeviceTensor, TensorOutput } from "./api.ts";
import { InputError } from "./errors.ts";
import type { Plan, TensorSpec } from "./plan.ts";

export type HostArray = Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer>;
export type Values = ReadonlyMap<string, HostArray | GPUBuffer>;

/** What a call resolves to, by the names of the plan's outputs. */
export type Outputs = Record<string, TensorOutput | DeviceTensor>;

/** Checked inputs. */
export interface Given {
  readonly B: number;
  readonly L: number;
  readonly values: Values;
}

/** A rectangle of sequences and time steps of a larger tensor of `of.B` sequences and `of.L` steps. */
export interface Part {
  readonly b: number;
  readonly t: number;
  readonly B: number;
  readonly L: number;
  readonly of: { readonly B: number; readonly L: number };
}

export const isBuffer = (data: unknown): data is GPUBuffer => typeof data === "object" && data !== null && "mapAsync" in data;

/** Dims in numbers. */
export const sized = (spec: TensorSpec, B: number, L: number): number[] =>
  spec.dims.map((dim) => (dim === "B" ? B : dim === "L" ? L : dim));

export const product = (dims: readonly number[]): number => dims.reduce((a, b) => a * b, 1);

/** An array of zeros for a tensor of this dtype. */
export const zeros = (spec: TensorSpec, size: number): HostArray => (spec.dtype === "f32" ? new Float32Array(size) : new Int32Array(size));

/**
 * Checks names, dtypes and sizes, and finds B and L.
 * Throws: InputError naming the input and, where one is at fault, the dim.
 */
export function readInputs(plan: Plan, inputs: unknown, batch: number | undefined, maxLength: number, period = 1): Given {
  if (typeof inputs !== "object" || inputs === null)
    throw new InputError(plan.inputs[0]?.name ?? "", undefined, "the inputs are to be an object of tensors by name");
  for (const name of Object.keys(inputs)) {
    const names = plan.inputs.map((spec) => spec.name);
    if (!names.includes(name)) throw new InputError(name, undefined, `the model has no such input; it takes ${names.join(", ")}`);
  }
  const known = { B: batch, L: undefined as number | undefined };
  const values = new Map<string, HostArray | GPUBuffer>();
  const plain: (readonly [TensorSpec, number])[] = [];
  for (const spec of plan.inputs) {
    const { data, dims } = readTensor(spec, (inputs as Record<string, unknown>)[spec.name]);
    values.set(spec.name, data);
    const count = isBuffer(data) ? data.size / 4 : data.length;
    if (dims) matchDims(spec, dims, count, isBuffer(data), known);
    else plain.push([spec, count]);
  }
  const B = (known.B ??= 1);
  for (const [spec, count] of plain) matchCount(spec, count, known);
  const { L = 1 } = known;
  const first = plan.inputs[0];
  for (const [dim, size, most, unit] of [
    ["B", B, 2 ** 31, 1],
    ["L", L, maxLength, period],
  ] as const) {
    const limit = size > most ? `at most ${most}` : !Number.isInteger(size / unit) ? `a multiple of ${unit}` : size < 1 && "at least 1";
    if (limit) throw new InputError(first?.name ?? "", dim, `dim ${dim} is ${size}; it is to be ${limit}`);
  }
  return { B, L, values };
}

/** An input as given: its data and, where stated, its dims. */
function readTensor(
  spec: TensorSpec,
  given: unknown,
): { readonly data: HostArray | GPUBuffer; readonly dims: readonly number[] | undefined } {
  const wrapped = typeof given === "object" && given !== null && "data" in given;
  const { data, dims } = (wrapped ? given : { data: given }) as { data: unknown; dims?: unknown };
  const wanted = spec.dtype === "f32" ? "Float32Array" : "Int32Array";
  const kind = data === undefined ? "missing" : Object.prototype.toString.call(data).slice(8, -1);
  if (!isBuffer(data) && kind !== wanted) throw new InputError(spec.name, undefined, `it is ${kind}; a ${wanted} or a GPUBuffer is needed`);
  if (!isBuffer(data) && spec.below !== undefined) checkIds(spec.name, data as HostArray, spec.below);
  if (dims !== undefined && !(Array.isArray(dims) && dims.every((dim) => Number.isInteger(dim) && dim > 0)))
    throw new InputError(spec.name, undefined, "its dims are to be positive integers");
  return { data: data as HostArray | GPUBuffer, dims: dims as readonly number[] | undefined };
}

/** Throws: InputError where one is no whole number from 0 to below `below`. */
export function checkIds(name: string, ids: readonly number[] | Float32Array | Int32Array, below: number): void {
  for (const [i, id] of ids.entries())
    if (!(id >>> 0 === id && id < below)) throw new InputError(name, undefined, `value ${i} is ${id}; ids are from 0 to ${below - 1}`);
}

type Known = { B: number | undefined; L: number | undefined };

function matchDims(spec: TensorSpec, dims: readonly number[], count: number, larger: boolean, known: Known): void {
  const shape = `[${spec.dims.join(", ")}]`;
  if (dims.length !== spec.dims.length) throw new InputError(spec.name, undefined, `it has ${dims.length} dims; ${shape} are needed`);
  spec.dims.forEach((dim, i) => {
    const size = dims[i] ?? 0;
    const expected = typeof dim === "number" ? dim : (known[dim] ??= size);
    if (size !== expected)
      throw new InputError(spec.name, spec.names[i] ?? String(dim), `dim ${spec.names[i] ?? dim} is ${size}, not ${expected}`);
  });
  const needed = product(dims);
  if (larger ? count < needed : count !== needed)
    throw new InputError(spec.name, undefined, `it has ${count} values; its dims [${dims.join(", ")}] make ${needed}`);
}

function matchCount(spec: TensorSpec, count: number, known: Known): void {
  const { B = 1 } = known;
  const each = product(sized(spec, B, 1));
  const rest = count / each;
  const shape = `[${spec.names.join(", ")}]`;
  if (spec.dims.includes("L")) {
    if (!Number.isInteger(rest))
      throw new InputError(
        spec.name,
        "L",
        `${count} values do not fill ${shape} with B = ${B} and ${each} values a time step; pass \`batch\` or dims`,
      );
    if (rest !== (known.L ??= rest)) throw new InputError(spec.name, "L", `dim L is ${rest}, not ${known.L}`);
  } else if (rest !== 1) throw new InputError(spec.name, undefined, `it has ${count} values; ${shape} with B = ${B} is ${each}`);
}

/** The contiguous runs of a part: offset in the whole, offset in the part, and count, in elements. */
export function* runs(spec: TensorSpec, part: Part): Generator<readonly [whole: number, part: number, count: number]> {
  if (spec.dims[0] !== "B") return yield [0, 0, product(sized(spec, 1, part.L))];
  const row = product(sized(spec, 1, part.of.L));
  const own = product(sized(spec, 1, part.L));
  if (own === row) return yield [part.b * row, 0, part.B * row];
  for (let i = 0; i < part.B; i++) yield [(part.b + i) * row + (part.t * row) / part.of.L, i * own, own];
}

/** The outputs with their dims. */
export function toOutputs(plan: Plan, values: Values, B: number, L: number): Outputs {
  return Object.fromEntries(plan.outputs.map((spec) => [spec.name, { data: values.get(spec.name), dims: sized(spec, B, L) }])) as Outputs;
}
