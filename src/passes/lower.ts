/**
 * Graph to kernels: every entry point (whole sequences and resumed streams by mode, one step) becomes a list of dispatches,
 * each node by the first schedule that applies. Identical kernels are one; tables, weights and states are shared.
 */
import type { BufferSource, DispatchSource } from "../codegen/plan-source.ts";
import { emitWgsl } from "../codegen/wgsl.ts";
import { bug } from "../ir/error.ts";
import { arg } from "../ir/expr.ts";
import type { Graph, Node, ValueId } from "../ir/graph.ts";
import type { Kernel, KExpr } from "../ir/kernel.ts";
import type { Mode } from "../runtime/plan.ts";
import type { DispatchCost, Lowered, ProgramCosts, ShippedTensor } from "./lowered.ts";
import { planMemory, type VirtualProgram } from "./memory.ts";
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

export interface LowerOptions {
  /** The longest sequence one execution takes. */
  readonly maxLength: number;
}

/** The storage buffers a compute stage may bind on every device. */
const maxStorageBuffers = 8;

/** Gives every output a value of its own that a kernel writes: no inputs, views or shared values. */
export function separateOutputs(graph: Graph): Graph {
  const nodes: Node[] = [...graph.nodes];
  const taken = new Set<ValueId>();
  const outputs = graph.outputs.map((output) => {
    const node = nodes[output.value] ?? bug(`no value %${output.value}`);
    if (!taken.has(output.value) && !["input", "param", "slice"].includes(node.op)) {
      taken.add(output.value);
      return output;
    }
    nodes.push({ op: "map", expr: arg(0), args: [output.value], type: { dtype: "f32", dims: node.type.dims }, loc: node.loc });
    return { name: output.name, value: nodes.length - 1 };
  });
  return { ...graph, nodes, outputs };
}

/** Parts of the plan that all entry points share. */
interface Shared {
  readonly module: Module;
  readonly options: LowerOptions;
  readonly buffers: BufferSource[];
  readonly kernels: { readonly kernel: Kernel; readonly wgsl: string }[];
  readonly tensors: Map<string, ShippedTensor>;
  readonly tables: { readonly key: string; readonly request: TableRequest; readonly out: Readonly<Record<string, number>> }[];
  /** Buffers by what they hold. */
  readonly known: Map<string, number>;
  readonly prepared: Map<string, { readonly buffer: number; readonly dispatches: readonly (readonly [DispatchSource, DispatchCost])[] }>;
}

const sizeSource = (size: Size): string => `${size}`;

function bufferFor(shared: Shared, key: string, make: () => BufferSource): number {
  const old = shared.known.get(key);
  if (old !== undefined) return old;
  shared.known.set(key, shared.buffers.push(make()) - 1);
  return shared.buffers.length - 1;
}

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

interface LoweredEntry {
  readonly prepare: readonly DispatchSource[];
  readonly body: readonly DispatchSource[];
  readonly costs: ProgramCosts;
}

/** Lowers all nodes for one entry point, or gives the first node no schedule of this mode serves. */
function lowerEntry(shared: Shared, graph: Graph, entry: Entry, mode: Mode): LoweredEntry | { readonly unserved: Node } {
  const body: (readonly [DispatchSource, DispatchCost])[] = [];
  const prepareKeys: string[] = [];
  const refs = new Map<ValueId, ValueRef>();
  const outputNames = new Map(graph.outputs.map((o) => [o.value, o.name]));
  const current = { id: 0, schedule: "" };
  const temp = (size: Size): number => shared.buffers.push({ kind: "temp", size: sizeSource(size) }) - 1;
  const reference = (id: ValueId): ValueRef => refs.get(id) ?? (refs.set(id, makeRef(id)), refs.get(id) ?? bug("no reference"));
  const makeRef = (id: ValueId): ValueRef => {
    const node = graph.nodes[id] ?? bug(`no value %${id}`);
    const channels = channelsOf(node.type);
    const own = { type: node.type, channels, offset: 0 };
    const external = hasLength(node.type) ? "BLC" : "BC";
    switch (node.op) {
      case "param":
        return { ...own, buffer: weightBuffer(shared, node.name, false), layout: "P" };
      case "input":
        return { ...own, buffer: bufferFor(shared, `input:${node.name}`, () => ({ kind: "input", name: node.name })), layout: external };
      case "slice": {
        const whole = reference(node.args[0] ?? bug("slice"));
        return { ...whole, type: node.type, offset: whole.offset + node.start };
      }
      default: {
        const name = outputNames.get(id);
        if (name !== undefined)
          return { ...own, buffer: bufferFor(shared, `output:${name}`, () => ({ kind: "output", name })), layout: external };
        return { ...own, buffer: temp(elements(node.type, entry)), layout: hasLength(node.type) && entry !== "step" ? "BCL" : "BC" };
      }
    }
  };
  const context: LowerContext = {
    graph,
    constants: shared.module.constants,
    entry,
    mode,
    maxLength: shared.options.maxLength,
    value: reference,
    result: reference,
    temp,
    state: (id, size) => bufferFor(shared, `state:${id}`, () => ({ kind: "state", name: `state${id}`, size: sizeSource(size) })),
    weight: (name, transpose = false) => weightBuffer(shared, name, transpose),
    table: (request) => tableBuffers(shared, request),
    prepared: (key, size, make) => {
      if (!prepareKeys.includes(key)) prepareKeys.push(key);
      const old = shared.prepared.get(key);
      if (old !== undefined) return old.buffer;
      const buffer = shared.buffers.push({ kind: "prepared", size: sizeSource(size) }) - 1;
      const dispatches: (readonly [DispatchSource, DispatchCost])[] = [];
      make(buffer, (spec) => dispatches.push([dispatchSource(shared, spec), costOf(spec, current.schedule, current.id)]));
      shared.prepared.set(key, { buffer, dispatches });
      return buffer;
    },
    emit: (spec) => {
      const node = graph.nodes[current.id];
      const tail = entry === "step" && node !== undefined && !hasLength(node.type) && node.op !== "pool";
      body.push([{ ...dispatchSource(shared, spec), ...(tail ? { tail } : {}) }, costOf(spec, current.schedule, current.id)]);
    },
  };
  for (const [id, node] of graph.nodes.entries()) {
    if (node.op === "param" || node.op === "input" || node.op === "slice") continue;
    const found: Schedule | undefined = schedules.find((s) => s.applies(node, id, context));
    if (found === undefined) return { unserved: node };
    current.id = id;
    current.schedule = found.name;
    found.lower(node, id, context);
  }
  const prepare = orderPrepared(shared, prepareKeys);
  return {
    prepare: prepare.map(([d]) => d),
    body: body.map(([d]) => d),
    costs: { prepare: prepare.map(([, c]) => c), body: body.map(([, c]) => c) },
  };
}

/** Preparations in the order their buffers were made: what one reads was made before it. */
function orderPrepared(shared: Shared, keys: readonly string[]): readonly (readonly [DispatchSource, DispatchCost])[] {
  const wanted = keys.map((key) => shared.prepared.get(key) ?? bug(`nothing prepares ${key}`));
  return wanted.flatMap((p) => p.dispatches);
}

/** The kernels that programs use, those of one name side by side: compression finds what they share. */
function orderKernels(
  kernels: Shared["kernels"],
  programs: readonly VirtualProgram[],
): { readonly ordered: Shared["kernels"]; readonly renumber: (d: DispatchSource) => DispatchSource } {
  const used = new Set(programs.flatMap((p) => [...p.prepare, ...p.body].map((d) => d.kernel)));
  const order = [...used].toSorted((a, b) => (kernels[a]?.kernel.name ?? "").localeCompare(kernels[b]?.kernel.name ?? "") || a - b);
  const places = new Map(order.map((kernel, place) => [kernel, place]));
  return {
    ordered: order.map((i) => kernels[i] ?? bug("no kernel")),
    renumber: (d) => ({ ...d, kernel: places.get(d.kernel) ?? bug("no kernel") }),
  };
}

function sharedBytes(kernel: Kernel): string {
  const source = (e: KExpr): string => {
    switch (e.op) {
      case "lit":
        return `${e.value}`;
      case "override":
        return `c.${e.name}`;
      case "call": {
        const [a, b] = e.args.map(source);
        return `(${a}${{ add: "+", sub: "-", mul: "*", div: "/" }[e.fn as "add" | "sub" | "mul" | "div"]}${b})`;
      }
      default:
        return bug(`the size of workgroup memory in ${kernel.name} is no constant`);
    }
  };
  return kernel.shared.map((s) => `4*${source(s.size)}`).join("+");
}

/** The modes in which a stream can process many steps at once. */
export const parallelModes: readonly Mode[] = ["convolution", "scan", "chunked"];

/**
 * Lowers a fused module for every mode its nodes allow.
 */
export function lower(module: Module, options: LowerOptions): Lowered {
  const graph = separateOutputs(module.graph);
  const shared: Shared = {
    module,
    options,
    buffers: [],
    kernels: [],
    tensors: new Map(),
    tables: [],
    known: new Map(),
    prepared: new Map(),
  };
  for (const node of graph.nodes)
    if (node.op === "input") bufferFor(shared, `input:${node.name}`, () => ({ kind: "input", name: node.name }));
  const step = lowerEntry(shared, graph, "step", "recurrence");
  if ("unserved" in step) bug(`nothing runs one step of ${step.unserved.op}`);
  const entries = parallelModes.flatMap((mode) => {
    const before = shared.buffers.length;
    const whole = lowerEntry(shared, graph, "whole", mode);
    const resume = lowerEntry(shared, graph, "resume", mode);
    if ("unserved" in whole || "unserved" in resume) {
      if (shared.buffers.length < before) bug("buffers vanished");
      return [];
    }
    return [{ mode, whole, resume }];
  });
  if (entries.length === 0) bug(`the model ${graph.name} runs in no mode that processes whole sequences`);
  const programs: VirtualProgram[] = [
    { name: "step", prepare: step.prepare, body: step.body },
    ...entries.flatMap(({ mode, whole, resume }) => [
      { name: `whole.${mode}`, prepare: whole.prepare, body: whole.body },
      { name: `resume.${mode}`, prepare: resume.prepare, body: resume.body },
    ]),
  ];
  const kernels = orderKernels(shared.kernels, programs);
  const memory = planMemory(
    shared.buffers,
    programs.map((p) => ({ name: p.name, prepare: p.prepare.map(kernels.renumber), body: p.body.map(kernels.renumber) })),
  );
  const program = (name: string): { prepare: readonly DispatchSource[]; body: readonly DispatchSource[] } => {
    const found = memory.programs.find((p) => p.name === name) ?? bug(`no program ${name}`);
    return { prepare: found.prepare, body: found.body };
  };
  const byMode = <T>(of: (entry: (typeof entries)[number]) => T): Partial<Record<Mode, T>> =>
    Object.fromEntries(entries.map((e) => [e.mode, of(e)]));
  return {
    plan: {
      format: 1,
      name: graph.name,
      maxLength: options.maxLength,
      inputs: graph.nodes.flatMap((n) => (n.op === "input" ? [tensorSpec(n.name, n)] : [])),
      outputs: graph.outputs.map((o) => tensorSpec(o.name, graph.nodes[o.value] ?? bug("no output"))),
      kernels: kernels.ordered.map(({ kernel, wgsl }) => ({
        name: kernel.name,
        wgsl,
        access: kernel.buffers.map((b) => (b.access === "read" ? "r" : "w")).join(""),
        ...(kernel.shared.length > 0 ? { shared: sharedBytes(kernel) } : {}),
      })),
      buffers: memory.buffers,
      tables: shared.tables.map(({ request, out }) => ({
        maker: request.maker,
        tensors: request.tensors,
        options: request.options,
        out: Object.fromEntries(Object.entries(out).map(([role, buffer]) => [role, memory.renumber(buffer)])),
        ...(request.perM === true ? { perM: true } : {}),
      })),
      whole: byMode(({ mode }) => program(`whole.${mode}`)),
      resume: byMode(({ mode }) => program(`resume.${mode}`)),
      step: program("step"),
    },
    kernels: kernels.ordered.map((k) => k.kernel),
    tensors: shared.tensors,
    costs: { whole: byMode((e) => e.whole.costs), resume: byMode((e) => e.resume.costs), step: step.costs },
    memory: memory.slots,
  };
}

const tensorSpec = (
  name: string,
  node: Node,
): { name: string; dtype: "f32" | "i32"; dims: readonly (number | "B" | "L")[]; names: readonly string[] } => ({
  name,
  dtype: node.type.dtype,
  dims: node.type.dims.map((d) => d.size),
  names: node.type.dims.map((d) => d.name),
});
