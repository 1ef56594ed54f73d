/**
 * One entry point of a graph: every node by the first schedule that applies to it. Buffers, weights, tables and identical
 * kernels are shared between entry points, in `Shared`.
 */
import type { BufferSource, DispatchSource } from "../codegen/plan-source.ts";
import { emitWgsl } from "../codegen/wgsl.ts";
import { bug } from "../ir/error.ts";
import type { Graph, Node, ValueId } from "../ir/graph.ts";
import type { Kernel } from "../ir/kernel.ts";
import type { Mode } from "../runtime/plan.ts";
import type { DispatchCost, ProgramCosts, ShippedTensor } from "./lowered.ts";
import type { Module } from "./pass.ts";
import { schedules } from "./schedules/index.ts";
import {
  channelsOf,
  type DispatchSpec,
  elements,
  type Entry,
  hasLength,
  type LowerContext,
  type Schedule,
  type Size,
  type TableRequest,
  type ValueRef,
} from "./schedules/schedule.ts";

/** The storage buffers a compute stage may bind on every device. */
const maxStorageBuffers = 8;

/** Parts of the plan that all entry points share. */
export interface Shared {
  readonly module: Module;
  /** The longest sequence one execution takes. */
  readonly maxLength: number;
  readonly buffers: BufferSource[];
  readonly kernels: { readonly kernel: Kernel; readonly wgsl: string }[];
  readonly tensors: Map<string, ShippedTensor>;
  readonly tables: { readonly key: string; readonly request: TableRequest; readonly out: Readonly<Record<string, number>> }[];
  /** Buffers by what they hold. */
  readonly known: Map<string, number>;
  readonly prepared: Map<string, { readonly buffer: number; readonly dispatches: readonly Costed[] }>;
}

const sizeSource = (size: Size): string => `${size}`;

function bufferFor(shared: Shared, key: string, make: () => BufferSource): number {
  const old = shared.known.get(key);
  if (old !== undefined) return old;
  shared.known.set(key, shared.buffers.push(make()) - 1);
  return shared.buffers.length - 1;
}

/** The buffer of an input, which a plan has even where no kernel reads it. */
export const inputBuffer = (shared: Shared, name: string): number => bufferFor(shared, `input:${name}`, () => ({ kind: "input", name }));

function transposed(data: Float64Array, rows: number, columns: number): Float64Array {
  return data.map((_, i) => data[(i % rows) * columns + Math.floor(i / rows)] ?? 0);
}

function weightBuffer(shared: Shared, name: string, transpose: boolean): number {
  const tensor = transpose ? `${name}.transposed` : name;
  return bufferFor(shared, `weight:${tensor}`, () => {
    const constant = shared.module.constants.get(name) ?? bug(`no values for ${name}`);
    const [rows = 1, columns = 1] = constant.shape;
    shared.tensors.set(
      tensor,
      transpose
        ? { dtype: "F32", shape: [columns, rows], data: transposed(constant.data, rows, columns) }
        : { dtype: "F32", shape: constant.shape, data: constant.data },
    );
    return { kind: "weight", tensor };
  });
}

function tableBuffers(shared: Shared, request: TableRequest): Readonly<Record<string, number>> {
  const key = JSON.stringify(request);
  const old = shared.tables.find((t) => t.key === key);
  if (old !== undefined) return old.out;
  const { constants } = shared.module;
  const tensors = Object.fromEntries(
    Object.entries(request.tensors).map(([role, name]) => {
      const constant = constants.get(name) ?? bug(`no values for ${name}`);
      shared.tensors.set(`${name}.f64`, { dtype: "F64", shape: constant.shape, data: constant.data });
      return [role, `${name}.f64`];
    }),
  );
  const perM = request.perM === true ? { perM: true } : {};
  const out = Object.fromEntries(
    Object.entries(request.sizes).map(([role, size]) => [
      role,
      shared.buffers.push({ kind: "table", size: sizeSource(size), ...perM }) - 1,
    ]),
  );
  shared.tables.push({ key, request: { ...request, tensors }, out });
  return out;
}

/** `{POINTS:d.M,...}` */
const record = (fields: Readonly<Record<string, Size>>): string =>
  `{${Object.entries(fields)
    .map(([name, value]) => `${name}:${value}`)
    .join(",")}}`;

function dispatchSource(shared: Shared, spec: DispatchSpec): DispatchSource {
  const { kernel, bindings } = spec.built;
  if (kernel.buffers.length > maxStorageBuffers) bug(`${kernel.name} binds ${kernel.buffers.length} storage buffers`);
  const wgsl = emitWgsl(kernel);
  let index = shared.kernels.findIndex((k) => k.wgsl === wgsl);
  if (index < 0) index = shared.kernels.push({ kernel, wgsl }) - 1;
  return {
    kernel: index,
    bind: bindings,
    grid: `[${spec.grid.join(",")}]`,
    ...(spec.constants === undefined ? {} : { constants: record(spec.constants) }),
    ...(spec.when === undefined ? {} : { when: spec.when }),
  };
}

function costOf(spec: DispatchSpec, schedule: string, value: ValueId): DispatchCost {
  const { flops, bytes, minimum, serial = 1 } = spec.cost;
  return {
    kernel: spec.built.kernel.name,
    schedule,
    value,
    flops: `${flops}`,
    bytes: `${bytes}`,
    minimum: `${minimum}`,
    serial: `${serial}`,
    when: spec.when,
  };
}

export interface LoweredEntry {
  readonly prepare: readonly DispatchSource[];
  readonly body: readonly DispatchSource[];
  readonly costs: ProgramCosts;
}

/** A dispatch with what it costs. */
type Costed = readonly [DispatchSource, DispatchCost];

/** Where every value of the graph lives in one entry point; buffers of results are made when first asked for. */
function references(shared: Shared, graph: Graph, entry: Entry, temp: (size: Size) => number): (id: ValueId) => ValueRef {
  const refs = new Map<ValueId, ValueRef>();
  const outputNames = new Map(graph.outputs.map((o) => [o.value, o.name]));
  const make = (id: ValueId): ValueRef => {
    const node = graph.nodes[id] ?? bug(`no value %${id}`);
    const own = { type: node.type, channels: channelsOf(node.type), offset: 0, reversed: false };
    const external = hasLength(node.type) ? "BLC" : "BC";
    if (node.op === "param") return { ...own, buffer: weightBuffer(shared, node.name, false), layout: "P" };
    if (node.op === "input") return { ...own, buffer: inputBuffer(shared, node.name), layout: external };
    if (node.op === "slice") {
      const whole = reference(node.args[0] ?? bug("slice"));
      return { ...whole, type: node.type, offset: whole.offset + node.start };
    }
    if (node.op === "reverse") {
      const forwards = reference(node.args[0] ?? bug("reverse"));
      return { ...forwards, reversed: !forwards.reversed };
    }
    const name = outputNames.get(id);
    if (name !== undefined)
      return { ...own, buffer: bufferFor(shared, `output:${name}`, () => ({ kind: "output", name })), layout: external };
    return { ...own, buffer: temp(elements(node.type, entry)), layout: hasLength(node.type) && entry !== "step" ? "BCL" : "BC" };
  };
  const reference = (id: ValueId): ValueRef => {
    const ref = refs.get(id) ?? make(id);
    refs.set(id, ref);
    return ref;
  };
  return reference;
}

/** Lowers all nodes for one entry point, or gives the first node no schedule of this mode serves. */
export function lowerEntry(shared: Shared, graph: Graph, entry: Entry, mode: Mode): LoweredEntry | { readonly unserved: Node } {
  const body: Costed[] = [];
  const prepareKeys: string[] = [];
  const current = { id: 0, schedule: "" };
  const temp = (size: Size): number => shared.buffers.push({ kind: "temp", size: sizeSource(size) }) - 1;
  const reference = references(shared, graph, entry, temp);
  const costed = (spec: DispatchSpec): Costed => [dispatchSource(shared, spec), costOf(spec, current.schedule, current.id)];
  const context: LowerContext = {
    graph,
    constants: shared.module.constants,
    entry,
    mode,
    maxLength: shared.maxLength,
    value: reference,
    result: reference,
    temp,
    state: (id, size) => bufferFor(shared, `state:${id}`, () => ({ kind: "state", name: `state${id}`, size: sizeSource(size) })),
    weight: (name, transpose = false) => weightBuffer(shared, name, transpose),
    table: (request) => tableBuffers(shared, request),
    prepared: (key, size, make) => {
      if (!prepareKeys.includes(key)) prepareKeys.push(key);
      return preparedBuffer(shared, key, size, (buffer, dispatches) => make(buffer, (spec) => dispatches.push(costed(spec))));
    },
    emit: (spec) => {
      const [dispatch, cost] = costed(spec);
      body.push([isTail(graph.nodes[current.id], entry) ? { ...dispatch, tail: true } : dispatch, cost]);
    },
  };
  for (const [id, node] of graph.nodes.entries()) {
    if (node.op === "param" || node.op === "input" || isView(node)) continue;
    const found: Schedule | undefined = schedules.find((s) => s.applies(node, id, context));
    if (found === undefined) return { unserved: node };
    current.id = id;
    current.schedule = found.name;
    found.lower(node, id, context);
  }
  const prepare = prepareKeys.flatMap((key) => shared.prepared.get(key)?.dispatches ?? bug(`nothing prepares ${key}`));
  return {
    prepare: prepare.map(([d]) => d),
    body: body.map(([d]) => d),
    costs: { prepare: prepare.map(([, c]) => c), body: body.map(([, c]) => c) },
  };
}

/** Whether a node is another way to look at the buffer of its argument. */
export const isView = (node: Node): boolean => node.op === "slice" || node.op === "reverse";

/** Whether a step may leave a node out: what comes after pooling keeps no state. */
const isTail = (node: Node | undefined, entry: Entry): boolean =>
  entry === "step" && node !== undefined && !hasLength(node.type) && node.op !== "pool";

function preparedBuffer(shared: Shared, key: string, size: Size, make: (buffer: number, dispatches: Costed[]) => void): number {
  const old = shared.prepared.get(key);
  if (old !== undefined) return old.buffer;
  const buffer = shared.buffers.push({ kind: "prepared", size: sizeSource(size) }) - 1;
  const dispatches: Costed[] = [];
  make(buffer, dispatches);
  shared.prepared.set(key, { buffer, dispatches });
  return buffer;
}
