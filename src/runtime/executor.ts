/**
 * A plan on one device: its pipelines, weights, tables, temporaries, and the encoding of its programs. It knows buffers
 * and dispatches; what an input or a stream is, its callers know.
 */
import type { Device } from "./device.ts";
import { usage } from "./device.ts";
import { LimitError } from "./errors.ts";
import type { Dims, Dispatch, KernelSpec, Plan, Program } from "./plan.ts";
import { fftPoints } from "./plan.ts";
import type { Tensors } from "./shards.ts";
import type { TableMaker } from "./tables.ts";

/** The buffers of one caller (inputs, outputs, states), by their index in the plan, and the bind groups made with them. */
export interface Bindings {
  readonly buffers: Map<number, GPUBuffer>;
  readonly groups: Map<Dispatch, { readonly buffers: readonly GPUBuffer[]; readonly group: GPUBindGroup }>;
}

/** A dispatch ready to be encoded. */
interface Ready {
  readonly dispatch: Dispatch;
  readonly pipeline: GPUComputePipeline;
  readonly group: GPUBindGroup;
}

interface KernelState {
  readonly spec: KernelSpec;
  readonly module: GPUShaderModule;
  readonly layout: GPUBindGroupLayout;
  readonly pipelines: Map<string, Promise<GPUComputePipeline>>;
}

/** Bytes between two uniforms: every device allows this offset. */
const SLOT = 256;
/** The most steps of one submit. */
const STEPS = 128;
/** FFT sizes whose tables and spectra are kept. */
const KEPT = 4;

export const newBindings = (): Bindings => ({ buffers: new Map(), groups: new Map() });

/** One plan on one device. */
export class Executor {
  readonly device: Device;
  readonly plan: Plan;
  readonly #tensors: Tensors;
  readonly #makers: Readonly<Record<string, TableMaker>>;
  readonly #kernels: readonly KernelState[];
  readonly #uniform: GPUBuffer;
  readonly #fixed = new Map<number, GPUBuffer>();
  readonly #temps = new Map<number, GPUBuffer>();
  /** By M, least recently used first. */
  readonly #sizes = new Map<number, { readonly buffers: Map<number, GPUBuffer>; readonly prepared: Set<Program> }>();
  readonly #f: number;
  #staging: GPUBuffer | undefined;

  constructor(device: Device, plan: Plan, makers: Readonly<Record<string, TableMaker>>, tensors: Tensors) {
    this.device = device;
    this.plan = plan;
    this.#makers = makers;
    this.#tensors = tensors;
    const layouts = new Map<string, GPUBindGroupLayout>();
    this.#kernels = plan.kernels.map((spec) => {
      const layout = layouts.get(spec.access) ?? createLayout(device.gpu, spec.access);
      layouts.set(spec.access, layout);
      return { spec, layout, module: device.gpu.createShaderModule({ label: spec.name, code: spec.wgsl }), pipelines: new Map() };
    });
    this.#uniform = device.buffer("uniform", SLOT * STEPS, usage.uniform | usage.copyDst);
    this.#f = 2 ** Math.floor(Math.log2(device.gpu.limits.maxComputeWorkgroupStorageSize / 8));
  }

  /** The dims of an execution on this device. */
  dims(B: number, L: number, pos = 0): Dims {
    return { B, L, t: 0, pos, M: fftPoints(L), F: this.#f };
  }

  /** Uploads weights and tables, and compiles what most calls will need. Throws: LimitError. */
  async load(programs: readonly (readonly [Program, Dims])[], onShader: (loaded: number, total: number) => void, signal?: AbortSignal): Promise<void> {
    await this.device.checked(() => {
      this.plan.buffers.forEach((spec, index) => {
        if (spec.kind === "weight") this.#fixed.set(index, this.device.upload(spec.tensor, this.#tensor(spec.tensor).data));
      });
      this.#makeTables((index) => !this.#isPerM(index), this.dims(1, this.plan.maxLength), this.#fixed);
    }, signal);
    const dispatches = programs.flatMap(([program, d]) => active([...program.prepare, ...program.body], d).map((dispatch) => [dispatch, d] as const));
    let loaded = 0;
    const compile = async ([dispatch, d]: readonly [Dispatch, Dims]): Promise<void> => {
      await this.#pipeline(dispatch, d);
      onShader(++loaded, dispatches.length);
    };
    await this.device.guard(Promise.all(dispatches.map(compile)), signal);
  }

  /** The first limit `program` breaks at these dims, or undefined. `soft` bounds the sum of all buffers. */
  exceeded(program: Program, d: Dims, soft: number): LimitError | undefined {
    const { maxBufferSize, maxStorageBufferBindingSize, maxComputeWorkgroupsPerDimension } = this.device.gpu.limits;
    let sum = 0;
    for (const index of new Set(active(program.body, d).flatMap((dispatch) => dispatch.bind))) {
      const bytes = this.bytes(index, d);
      sum += bytes;
      if (bytes > maxStorageBufferBindingSize) return new LimitError("maxStorageBufferBindingSize", bytes, maxStorageBufferBindingSize);
      if (bytes > maxBufferSize) return new LimitError("maxBufferSize", bytes, maxBufferSize);
    }
    const groups = Math.max(0, ...active(program.body, d).flatMap((dispatch) => dispatch.grid(d)));
    if (groups > maxComputeWorkgroupsPerDimension) return new LimitError("maxComputeWorkgroupsPerDimension", groups, maxComputeWorkgroupsPerDimension);
    return sum > soft ? new LimitError("memory", sum, soft) : undefined;
  }

  /** Bytes of a buffer of the plan at these dims; 0 where its size does not follow from them. */
  bytes(index: number, d: Dims): number {
    const spec = this.#spec(index);
    if ("size" in spec) return 4 * spec.size(d);
    if (spec.kind === "weight") return 0;
    const tensors = spec.kind === "input" ? this.plan.inputs : this.plan.outputs;
    const dims = tensors.find((tensor) => tensor.name === spec.name)?.dims ?? [];
    return dims.reduce<number>((size, dim) => size * (typeof dim === "number" ? dim : d[dim]), 4);
  }

  /**
   * Executes the body of `program` once, or for `steps` time steps from `d.t` on. Dispatches of the tail run on the last
   * step, and there only where `tail` says so. Everything is submitted when the promise resolves, not finished.
   */
  async execute(program: Program, d: Dims, bindings: Bindings, steps: number | undefined, tail: boolean, signal?: AbortSignal): Promise<void> {
    await this.#prepare(program, d, signal);
    const { ready, known } = await this.#ready(program.body, d, bindings, signal);
    const count = steps ?? 1;
    let finished: Promise<undefined> = Promise.resolve(undefined);
    for (let from = 0; from < count; from += STEPS) {
      await this.device.guard(finished, signal);
      const upTo = Math.min(from + STEPS, count);
      const submit = (): void => this.#submit(ready, d, from, upTo, tail ? count - 1 : -1);
      if (known) submit();
      else await this.device.checked(submit, signal);
      if (upTo < count) finished = this.device.gpu.queue.onSubmittedWorkDone();
    }
  }

  /** Reads `bytes` bytes that `copy` puts into the buffer it is given. */
  async read(bytes: number, copy: (encoder: GPUCommandEncoder, into: GPUBuffer) => void, signal?: AbortSignal): Promise<ArrayBuffer> {
    if (!this.#staging || this.#staging.size < bytes) {
      this.device.release(this.#staging);
      this.#staging = await this.device.checked(() => this.device.buffer("staging", bytes, usage.mapRead | usage.copyDst), signal);
    }
    const staging = this.#staging;
    const encoder = this.device.gpu.createCommandEncoder();
    copy(encoder, staging);
    this.device.gpu.queue.submit([encoder.finish()]);
    try {
      await this.device.guard(staging.mapAsync(1, 0, bytes), signal);
      return staging.getMappedRange(0, bytes).slice(0);
    } finally {
      staging.unmap();
    }
  }

  #submit(ready: readonly Ready[], d: Dims, from: number, upTo: number, tailAt: number): void {
    const slots = new Uint32Array((SLOT / 4) * (upTo - from));
    const encoder = this.device.gpu.createCommandEncoder();
    const pass = encoder.beginComputePass();
    for (let step = from; step < upTo; step++) {
      const at: Dims = { ...d, t: d.t + step, pos: d.pos + step };
      const slot = step - from;
      slots.set([at.B, at.L, at.t, at.pos, at.M], (SLOT / 4) * slot);
      for (const { dispatch, pipeline, group } of ready) {
        if (dispatch.tail && step !== tailAt) continue;
        pass.setPipeline(pipeline);
        pass.setBindGroup(0, group, [SLOT * slot]);
        pass.dispatchWorkgroups(...dispatch.grid(at));
      }
    }
    pass.end();
    this.device.gpu.queue.writeBuffer(this.#uniform, 0, slots);
    this.device.gpu.queue.submit([encoder.finish()]);
  }

  /** Makes the tables and prepared buffers that `program` needs for this M, where they are not there yet. */
  async #prepare(program: Program, d: Dims, signal?: AbortSignal): Promise<void> {
    const at = this.dims(1, d.M);
    const used = new Set(active([...program.prepare, ...program.body], d).flatMap((dispatch) => dispatch.bind));
    if (![...used].some((index) => this.#isPerM(index))) return;
    const size = this.#sizes.get(d.M) ?? { buffers: new Map<number, GPUBuffer>(), prepared: new Set() };
    this.#sizes.delete(d.M);
    this.#sizes.set(d.M, size);
    for (const M of this.#sizes.keys()) if (this.#sizes.size > KEPT) this.#evict(M);
    if (size.prepared.has(program)) return;
    await this.#allocating(() => this.#makeTables((index) => used.has(index) && !size.buffers.has(index) && this.#isPerM(index), at, size.buffers), signal);
    const { ready } = await this.#ready(program.prepare, at, newBindings(), signal);
    if (ready.length > 0) await this.device.checked(() => this.#submit(ready, at, 0, 1, 0), signal);
    size.prepared.add(program);
  }

  #isPerM(index: number): boolean {
    const spec = this.#spec(index);
    return spec.kind === "prepared" || (spec.kind === "table" && (spec.perM ?? false));
  }

  #evict(M: number): void {
    for (const buffer of this.#sizes.get(M)?.buffers.values() ?? []) this.device.release(buffer);
    this.#sizes.delete(M);
  }

  /** `work` creates temporaries or buffers of an M: where that fails, all of them go. */
  async #allocating<T>(work: () => T, signal?: AbortSignal): Promise<T> {
    try {
      return await this.device.checked(work, signal);
    } catch (error) {
      for (const temp of this.#temps.values()) this.device.release(temp);
      this.#temps.clear();
      for (const M of this.#sizes.keys()) this.#evict(M);
      throw error;
    }
  }

  /** Makes the tables that fill a wanted buffer. */
  #makeTables(wanted: (index: number) => boolean, d: Dims, into: Map<number, GPUBuffer>): void {
    for (const table of this.plan.tables.filter(({ out }) => Object.values(out).some(wanted))) {
      const tensors = Object.entries(table.tensors).map(([role, name]) => [role, this.#tensor(name)] as const);
      const make = this.#makers[table.maker] ?? missing(`table maker ${table.maker}`);
      const made = make(
        Object.fromEntries(tensors.map(([role, { data }]) => [role, Float64Array.from(data)])),
        Object.fromEntries(tensors.map(([role, { shape }]) => [role, [...shape]])),
        table.options,
        d,
      );
      for (const [role, index] of Object.entries(table.out).filter(([, i]) => wanted(i))) into.set(index, this.device.upload(role, made[role] ?? missing(`table ${role}`)));
    }
  }

  /** Pipelines and bind groups of the dispatches that run at these dims, and whether all the groups were there before. */
  async #ready(dispatches: readonly Dispatch[], d: Dims, bindings: Bindings, signal?: AbortSignal): Promise<{ ready: Ready[]; known: boolean }> {
    const running = active(dispatches, d);
    const pipelines = await this.device.guard(Promise.all(running.map((dispatch) => this.#pipeline(dispatch, d))), signal);
    const bind = (): GPUBindGroup[] => running.map((dispatch) => this.#group(dispatch, d, bindings));
    const known = running.every((dispatch) => bindings.groups.get(dispatch)?.buffers.every((buffer, i) => buffer === this.#existing(dispatch.bind[i] ?? -1, d, bindings)));
    const groups = known ? bind() : await this.#allocating(bind, signal);
    return { ready: running.map((dispatch, i) => ({ dispatch, pipeline: pipelines[i] ?? missing("pipeline"), group: groups[i] ?? missing("group") })), known };
  }

  #group(dispatch: Dispatch, d: Dims, bindings: Bindings): GPUBindGroup {
    const buffers = dispatch.bind.map((index) => this.#existing(index, d, bindings) ?? this.#create(index, d));
    const cached = bindings.groups.get(dispatch);
    if (cached && buffers.every((buffer, i) => buffer === cached.buffers[i])) return cached.group;
    const { layout } = this.#kernel(dispatch.kernel);
    const entries = buffers.map((buffer, i) => ({ binding: i + 1, resource: { buffer } }));
    const group = this.device.gpu.createBindGroup({ layout, entries: [{ binding: 0, resource: { buffer: this.#uniform, size: 32 } }, ...entries] });
    bindings.groups.set(dispatch, { buffers, group });
    return group;
  }

  /** The buffer bound for `index`, where there is one that is large enough. */
  #existing(index: number, d: Dims, bindings: Bindings): GPUBuffer | undefined {
    const spec = this.#spec(index);
    if (this.#isPerM(index)) return this.#sizes.get(d.M)?.buffers.get(index);
    if (spec.kind === "weight" || spec.kind === "table") return this.#fixed.get(index);
    if (spec.kind !== "temp") return bindings.buffers.get(index);
    const temp = this.#temps.get(index);
    return temp && temp.size >= this.bytes(index, d) ? temp : undefined;
  }

  #create(index: number, d: Dims): GPUBuffer {
    const { kind } = this.#spec(index);
    const into = kind === "temp" ? this.#temps : kind === "prepared" ? this.#sizes.get(d.M)?.buffers : undefined;
    if (!into) missing(`buffer ${index} of kind ${kind}`);
    this.device.release(into.get(index));
    const buffer = this.device.buffer(`${kind} ${index}`, this.bytes(index, d), usage.storage);
    into.set(index, buffer);
    return buffer;
  }

  /** Throws: LimitError where the kernel needs more than the device has. */
  #pipeline(dispatch: Dispatch, d: Dims): Promise<GPUComputePipeline> {
    const { spec, module, layout, pipelines } = this.#kernel(dispatch.kernel);
    const constants = dispatch.constants?.(d) ?? {};
    const key = JSON.stringify(constants);
    const known = pipelines.get(key);
    if (known) return known;
    const { maxComputeWorkgroupStorageSize: most, maxStorageBuffersPerShaderStage: bindings } = this.device.gpu.limits;
    const shared = spec.shared?.(constants) ?? 0;
    if (shared > most) throw new LimitError("maxComputeWorkgroupStorageSize", shared, most);
    if (spec.access.length > bindings) throw new LimitError("maxStorageBuffersPerShaderStage", spec.access.length, bindings);
    const pipeline = this.device.gpu.createComputePipelineAsync({
      label: spec.name,
      layout: this.device.gpu.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: { module, constants },
    });
    pipelines.set(key, pipeline);
    return pipeline;
  }

  readonly #spec = (index: number) => this.plan.buffers[index] ?? missing(`buffer ${index}`);
  readonly #kernel = (index: number) => this.#kernels[index] ?? missing(`kernel ${index}`);
  readonly #tensor = (name: string) => this.#tensors.get(name) ?? missing(`tensor ${name}`);
}

const active = (dispatches: readonly Dispatch[], d: Dims): Dispatch[] => dispatches.filter((dispatch) => dispatch.when?.(d) ?? true);

function createLayout(gpu: GPUDevice, access: string): GPUBindGroupLayout {
  const storage = [...access].map((letter, i): GPUBindGroupLayoutEntry => ({ binding: i + 1, visibility: 4, buffer: { type: letter === "r" ? "read-only-storage" : "storage" } }));
  return gpu.createBindGroupLayout({ entries: [{ binding: 0, visibility: 4, buffer: { type: "uniform", hasDynamicOffset: true } }, ...storage] });
}

/** The plan names something it does not have: the compiler's fault, not the user's. */
function missing(what: string): never {
  throw new Error(`bug: the plan has no ${what}`);
}
