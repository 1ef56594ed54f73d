/**
 * One entry point of a graph: every node by the first schedule that applies to it. Buffers, weights, tables and identical
 * kernels are shared between entry points, in `Shared`.
 */
import type { BufferSource, DispatchSource } from "../codegen/plan-source.ts";
import { emitWgsl } from "../codegen/wgsl.ts";
import { bug } from "../ir/error.ts";
import type { Graph, Node, RepeatNode, ValueId } from "../ir/graph.ts";
import { rateOfType } from "../ir/infer.ts";
import type { Kernel, KExpr } from "../ir/kernel.ts";
import type { Mode } from "../runtime/plan.ts";
import type { StoredTensor } from "../weights/stored.ts";
import { type Assigned, assign } from "./assign.ts";
import type { BlockPlace } from "./blocks.ts";
import { type Joins, joinsOf, type Run } from "./joined.ts";
import type { DispatchCost, ProgramCosts } from "./lowered.ts";
import type { Module } from "./pass.ts";
import { atRate, lengthAtRate } from "./rates.ts";
import { add, div, lt, mod, mul, select, u32 } from "./schedules/kit.ts";
import {
  channelsOf,
  type DispatchSpec,
  elements,
  type Entry,
  hasLength,
  type LowerContext,
  type Size,
  type TableRequest,
  type ValueRef,
} from "./schedules/schedule.ts";
import type { Weight } from "./schedules/weight.ts";
import { productWeight, type Shipping, tableWeight } from "./weights.ts";

/** The storage buffers a compute stage may bind on every device. */
const maxStorageBuffers = 8;

/** Parts of the plan that all entry points share. */
export interface Shared {
  readonly module: Module;
  /** The longest sequence one execution takes. */
  readonly maxLength: number;
  readonly buffers: BufferSource[];
  readonly kernels: { readonly kernel: Kernel; readonly wgsl: string }[];
  /** Bytes of the largest buffer of a weight. */
  readonly bindingLimit: number;
  readonly tensors: Map<string, StoredTensor>;
  readonly tables: {
    readonly key: string;
    readonly request: TableRequest;
    /** The rate whose FFT they are for, where they are made for every M. */
    readonly rate: number;
    readonly out: Readonly<Record<string, number>>;
  }[];
  /** Of all dispatches, as the plan numbers them. */
  readonly rates: number[];
  /** Buffers by what they hold. */
  readonly known: Map<string, number>;
  /** Parameters that lie side by side, by name. */
  readonly blocks: ReadonlyMap<string, BlockPlace>;
  /** Weights of products and tables, by use and name. */
  readonly weights: Map<string, Weight>;
  readonly prepared: Map<string, { readonly buffer: number; readonly dispatches: readonly Costed[] }>;
}

const sizeSource = (size: Size): string => `${size}`;

/** The buffer that holds what `key` names. */
export function bufferFor(shared: Shared, key: string, make: () => BufferSource): number {
  const old = shared.known.get(key);
  if (old !== undefined) return old;
  shared.known.set(key, shared.buffers.push(make()) - 1);
  return shared.buffers.length - 1;
}

/** The buffer of an input, which a plan has even where no kernel reads it. */
export const inputBuffer = (shared: Shared, name: string): number => bufferFor(shared, `input:${name}`, () => ({ kind: "input", name }));

/** The buffer of a tensor that the bundle ships. */
const shippedBuffer = (shared: Shared, name: string, tensor: () => StoredTensor): number =>
  bufferFor(shared, `weight:${name}`, () => {
    shared.tensors.set(name, tensor());
    return { kind: "weight", tensor: name };
  });

function parameterTensor(shared: Shared, name: string): StoredTensor {
  const { shape, data } = shared.module.constants.get(name) ?? bug(`no values for ${name}`);
  return { dtype: "F32", shape, data: new Float32Array(data) };
}

const weightBuffer = (shared: Shared, name: string): number => shippedBuffer(shared, name, () => parameterTensor(shared, name));

/** Where a parameter lies: in a buffer of its own, or with others. */
function parameterPlace(shared: Shared, name: string): Pick<ValueRef, "buffer" | "place"> {
  const block = shared.blocks.get(name);
  if (block === undefined) return { buffer: weightBuffer(shared, name), place: (c) => c };
  const [tensor = name, ...more] = block.names;
  const buffer = bufferFor(shared, `block:${block.names.join()}`, () => {
    for (const each of block.names) shared.tensors.set(each, parameterTensor(shared, each));
    return { kind: "weight", tensor, more };
  });
  return { buffer, place: (c) => add(c, block.offset) };
}

const shippingOf = (shared: Shared): Shipping => ({
  constants: shared.module.constants,
  limit: shared.bindingLimit,
  ship: (name, tensor) => shippedBuffer(shared, name, () => tensor),
});

/** A weight of the plan, made once. */
function knownWeight(shared: Shared, key: string, make: (shipping: Shipping) => Weight): Weight {
  const weight = shared.weights.get(key) ?? make(shippingOf(shared));
  shared.weights.set(key, weight);
  return weight;
}

function tableBuffers(shared: Shared, request: TableRequest, nodeRate: number): Readonly<Record<string, number>> {
  const rate = request.perM === true ? nodeRate : 1;
  const key = JSON.stringify([request, rate]);
  const old = shared.tables.find((t) => t.key === key);
  if (old !== undefined) return old.out;
  const { constants } = shared.module;
  const tensors = Object.fromEntries(
    Object.entries(request.tensors).map(([role, name]) => {
      const constant = constants.get(name) ?? bug(`no values for ${name}`);
      shared.tensors.set(`${name}.f64`, { dtype: "F64", shape: constant.shape, data: new Float64Array(constant.data) });
      return [role, `${name}.f64`];
    }),
  );
  const perM = request.perM === true ? { perM: true } : {};
  const out = Object.fromEntries(
    Object.entries(request.sizes).map(([role, size]) => [
      role,
      shared.buffers.push({ kind: "table", size: sizeSource(atRate(size, rate)), ...perM }) - 1,
    ]),
  );
  shared.tables.push({ key, request: { ...request, tensors }, rate, out });
  return out;
}

/** `{POINTS:d.M,...}` */
const record = (fields: Readonly<Record<string, Size>>): string =>
  `{${Object.entries(fields)
    .map(([name, value]) => `${name}:${value}`)
    .join(",")}}`;

/** Where a rate stands among the plan's. */
export function rateNumber({ rates }: Shared, rate: number): number {
  const known = rates.indexOf(rate);
  return known < 0 ? rates.push(rate) - 1 : known;
}

/** A dispatch as the plan has it, its kernel among the shared ones. */
export function dispatchSource(shared: Shared, spec: DispatchSpec, rate: number): DispatchSource {
  const { kernel, bindings } = spec.built;
  if (kernel.buffers.length > maxStorageBuffers) bug(`${kernel.name} binds ${kernel.buffers.length} storage buffers`);
  const wgsl = emitWgsl(kernel);
  let index = shared.kernels.findIndex((k) => k.wgsl === wgsl);
  if (index < 0) index = shared.kernels.push({ kernel, wgsl }) - 1;
  return {
    kernel: index,
    bind: bindings,
    grid: atRate(`[${spec.grid.join(",")}]`, rate),
    ...(spec.constants === undefined ? {} : { constants: atRate(record(spec.constants), rate) }),
    ...(spec.when === undefined ? {} : { when: atRate(spec.when, rate) }),
    ...(rate === 1 ? {} : { rate: rateNumber(shared, rate) }),
  };
}

/** Lanes of a workgroup. */
function lanesOf({ built: { kernel }, constants = {} }: DispatchSpec): Size {
  const { lanes, name } = kernel;
  if (lanes.op === "lit") return lanes.value;
  return (lanes.op === "override" ? constants[lanes.name] : undefined) ?? bug(`${name} has lanes that nothing tells`);
}

/** What a dispatch costs that `schedule` emits for `values`. */
export function costOf(spec: DispatchSpec, schedule: string, values: readonly ValueId[], rate: number): DispatchCost {
  const { flops, bytes, minimum, serial = 1 } = spec.cost;
  const source = (size: Size): string => atRate(`${size}`, rate);
  return {
    kernel: spec.built.kernel.name,
    schedule,
    values,
    flops: source(flops),
    bytes: source(bytes),
    minimum: source(minimum),
    serial: source(serial),
    lanes: source([...spec.grid, lanesOf(spec)].map((size) => `(${size})`).join("*")),
    when: spec.when === undefined ? undefined : source(spec.when),
    rate,
  };
}

export interface LoweredEntry {
  readonly prepare: readonly DispatchSource[];
  readonly body: readonly DispatchSource[];
  readonly costs: ProgramCosts;
}

/** A dispatch with what it costs. */
type Costed = readonly [DispatchSource, DispatchCost];

/** The channel of `channels` that channel `c` of a repeat is. */
function repeated(c: KExpr, { block, times }: RepeatNode, channels: number): KExpr {
  const inside = mod(c, block);
  return block === channels ? inside : add(mul(div(c, block * times), block), inside);
}

/** Which channel of their buffer channel `c` of joined runs is. */
function joinedChannel({ places }: Joins, runs: readonly Run[]): ValueRef["place"] {
  const pieces: { end: number; readonly by: number }[] = [];
  let begin = 0;
  for (const { of, start, count } of runs) {
    const by = ((places.get(of)?.offset ?? bug("a run of nothing joined")) + start - begin) >>> 0;
    begin += count;
    const last = pieces.at(-1);
    if (last?.by === by) last.end = begin;
    else pieces.push({ end: begin, by });
  }
  return (c, { start, count } = { start: 0, count: begin }) => {
    const first = pieces.findIndex(({ end }) => start < end);
    const last = pieces.findIndex(({ end }) => start + count <= end);
    const by = pieces
      .slice(first, last)
      .reduceRight((rest, piece) => select(lt(c, piece.end), u32(piece.by), rest), u32(pieces[last]?.by ?? bug("channels beyond a value")));
    return add(c, by);
  };
}

/** Where every value of the graph lives in one entry point; buffers of results are made when first asked for. */
function references(shared: Shared, graph: Graph, entry: Entry, temp: (size: Size) => number): (id: ValueId) => ValueRef {
  const refs = new Map<ValueId, ValueRef>();
  const outputNames = new Map(graph.outputs.map((o) => [o.value, o.name]));
  const joins = joinsOf(graph);
  const joined = new Map<ValueId, number>();
  const make = (id: ValueId): ValueRef => {
    const node = graph.nodes[id] ?? bug(`no value %${id}`);
    const own = { type: node.type, channels: channelsOf(node.type), place: (c: KExpr) => c, reversed: false };
    const source = (): ValueRef => reference(node.args[0] ?? bug(`a ${node.op} of nothing`));
    const view = (of: ValueRef, channel: (c: KExpr) => KExpr): ValueRef => ({ ...of, type: node.type, place: (c) => of.place(channel(c)) });
    const external = hasLength(node.type) ? "BLC" : "BC";
    if (node.op === "param") return { ...own, ...parameterPlace(shared, node.name), layout: "P" };
    if (node.op === "input") return { ...own, buffer: inputBuffer(shared, node.name), layout: external };
    if (node.op === "slice") return view(source(), (c) => add(mul(c, node.step ?? 1), node.start));
    if (node.op === "repeat") return view(source(), (c) => repeated(c, node, channelsOf(source().type)));
    const runs = joins.views.get(id);
    if (runs !== undefined) return { ...reference(runs[0]?.of ?? bug("concat")), type: node.type, place: joinedChannel(joins, runs) };
    if (node.op === "reverse") return { ...source(), reversed: !source().reversed };
    const name = outputNames.get(id);
    if (name !== undefined)
      return { ...own, buffer: bufferFor(shared, `output:${name}`, () => ({ kind: "output", name })), layout: external };
    const layout = hasLength(node.type) && entry !== "step" ? "BCL" : "BC";
    const room = (channels: number): number => temp(atRate(elements(node.type, entry, channels), rateOfType(node.type)));
    const place = joins.places.get(id);
    if (place === undefined) return { ...own, buffer: room(own.channels), layout };
    const buffer = joined.get(place.buffer) ?? room(place.channels);
    joined.set(place.buffer, buffer);
    return { ...own, buffer, layout, channels: place.channels, place: (c) => add(c, place.offset) };
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
  let current: Assigned | undefined;
  const now = (): Assigned => current ?? bug("no node is being lowered");
  const temp = (size: Size): number => shared.buffers.push({ kind: "temp", size: sizeSource(size) }) - 1;
  const reference = references(shared, graph, entry, temp);
  const costed = (spec: DispatchSpec, rate: number): Costed => {
    const { id, schedule, absorbed, beside } = now();
    return [dispatchSource(shared, spec, rate), costOf(spec, schedule.name, [...absorbed, id, ...beside], rate)];
  };
  const contextAt = (rate: number): LowerContext => ({
    graph,
    constants: shared.module.constants,
    entry,
    mode,
    rate,
    maxLength: lengthAtRate(shared.maxLength, rate),
    value: reference,
    result: reference,
    beside: () => current?.beside ?? [],
    absorbed: (id) => current?.absorbed.includes(id) ?? false,
    temp: (size) => temp(atRate(size, rate)),
    state: (id, size) => bufferFor(shared, `state:${id}`, () => ({ kind: "state", name: `state${id}`, size: sizeSource(size) })),
    weight: (name) => weightBuffer(shared, name),
    product: (name, parts) => knownWeight(shared, `product:${parts}:${name}`, (shipping) => productWeight(shipping, name, parts)),
    lookup: (name) => knownWeight(shared, `table:${name}`, (shipping) => tableWeight(shipping, name, graph)),
    table: (request) => tableBuffers(shared, request, rate),
    prepared: (key, size, make) => {
      if (!prepareKeys.includes(key)) prepareKeys.push(key);
      return preparedBuffer(shared, key, atRate(size, rate), (buffer, dispatches) =>
        make(buffer, (spec) => dispatches.push(costed(spec, rate))),
      );
    },
    emit: (spec) => {
      const own = spec.rate ?? rate;
      const [dispatch, cost] = costed(spec, own);
      const every = entry === "step" && own > 1 ? { every: own } : {};
      const tail = (spec.tail ?? isTail(now().node, entry)) ? { tail: true } : {};
      body.push([{ ...dispatch, ...every, ...tail }, cost]);
    },
  });
  const contextOf = (node: Node): LowerContext => contextAt(nodeRate(graph, node));
  const assigned = assign(graph, contextOf);
  if ("unserved" in assigned) return assigned;
  for (current of assigned) current.schedule.lower(current.node, current.id, contextOf(current.node));
  const prepare = prepareKeys.flatMap((key) => shared.prepared.get(key)?.dispatches ?? bug(`nothing prepares ${key}`));
  return {
    prepare: prepare.map(([d]) => d),
    body: body.map(([d]) => d),
    costs: { prepare: prepare.map(([, c]) => c), body: body.map(([, c]) => c) },
  };
}

/** The rate of a node's result; of a pool that of what it pools. */
function nodeRate(graph: Graph, node: Node): number {
  const of = node.op === "pool" ? graph.nodes[node.args[0] ?? -1] : node;
  return rateOfType(of?.type ?? bug("a pool of nothing"));
}

/** Whether a step may leave a node out: what comes after pooling keeps no state. */
const isTail = (node: Node, entry: Entry): boolean => entry === "step" && !hasLength(node.type) && node.op !== "pool";

function preparedBuffer(shared: Shared, key: string, size: Size, make: (buffer: number, dispatches: Costed[]) => void): number {
  const old = shared.prepared.get(key);
  if (old !== undefined) return old.buffer;
  const buffer = shared.buffers.push({ kind: "prepared", size: sizeSource(size) }) - 1;
  const dispatches: Costed[] = [];
  make(buffer, dispatches);
  shared.prepared.set(key, { buffer, dispatches });
  return buffer;
}
