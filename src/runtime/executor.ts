/**
 * A plan on one device: its weights, tables, temporaries, and the encoding of its programs. It knows buffers and
 * dispatches; what an input or a stream is, its callers know.
 */
import type { Device } from "./device.ts";
import { usage } from "./device.ts";
import { LimitError } from "./errors.ts";
import { Pipelines } from "./pipelines.ts";
import type { BufferSpec, Dims, Dispatch, Plan, Program } from "./plan.ts";
import { fftPoints, missing } from "./plan.ts";
import type { Tensors } from "./shards.ts";
import type { Readback } from "./staging.ts";
import { Staging } from "./staging.ts";
import type { TableMaker } from "./tables.ts";

/** Table makers by name. */
export type Makers = Readonly<Record<string, TableMaker>>;

/** The buffers of one caller (inputs, outputs, states), by their index in the plan, and the bind groups made with them. */
export interface Bindings {
  readonly buffers: Map<number, GPUBuffer>;
  readonly groups: Map<Dispatch, { readonly buffers: readonly GPUBuffer[]; readonly group: GPUBindGroup }>;
}

/** One execution of a program's body. */
export interface Execution {
  readonly program: Program;
  readonly d: Dims;
  readonly bindings: Bindings;
  /** Time steps to repeat it for, from `d.t` and `d.pos` on. */
  readonly steps: number;
  /** Whether the dispatches of the tail run, on the last step. */
  readonly tail: boolean;
  /** Encoded after the last dispatch, in the same submit. */
  readonly finish: (encoder: GPUCommandEncoder) => void;
  readonly readback: Readback;
  readonly signal: AbortSignal | undefined;
}

/** A dispatch ready to be encoded. */
interface Ready {
  readonly dispatch: Dispatch;
  readonly pipeline: GPUComputePipeline;
  readonly group: GPUBindGroup;
}

/** Bytes between two uniforms: every device allows this offset. */
const SLOT = 256;
/** The most steps of one submit, and the dispatches it has in about: while a device works on them, the next ones are encoded. */
const STEPS = 128;
const DISPATCHES = 512;
/** FFT sizes whose tables and spectra are kept. */
const KEPT = 4;

/** One plan on one device. */
export class Executor {
  readonly device: Device;
  readonly plan: Plan;
  readonly #tensors: Tensors;
  readonly #makers: Makers;
  readonly #pipelines: Pipelines;
  readonly #uniform: GPUBuffer;
  readonly #fixed = new Map<number, GPUBuffer>();
  readonly #temps = new Map<number, GPUBuffer>();
  /** By M, least recently used first. */
  readonly #sizes = new Map<number, { readonly buffers: Map<number, GPUBuffer>; readonly prepared: Set<Program> }>();
  readonly #staging: Staging;

  constructor(device: Device, plan: Plan, makers: Makers, tensors: Tensors) {
    this.device = device;
    this.plan = plan;
    this.#makers = makers;
    this.#tensors = tensors;
    this.#pipelines = new Pipelines(device.gpu, plan.kernels);
    this.#staging = new Staging(device);
    this.#uniform = device.buffer("uniform", SLOT * STEPS * plan.rates.length, usage.uniform | usage.copyDst);
  }

  /** The dims of an execution on this device; a complex number of an FFT takes 8 bytes. */
  dims(B: number, L: number, pos = 0): Dims {
    const F = 2 ** Math.floor(Math.log2(this.device.gpu.limits.maxComputeWorkgroupStorageSize / 8));
    const W = this.device.software ? 32 : 256;
    return { B, L, t: 0, pos, M: fftPoints(L), F, W };
  }

  /** Uploads weights and tables, and compiles what most calls will need. Throws: LimitError. */
  async load(
    programs: readonly (readonly [Program, Dims])[],
    onShader: (loaded: number, total: number) => void,
    signal?: AbortSignal,
  ): Promise<void> {
    await this.device.checked(() => {
      this.plan.buffers.forEach((spec, index) => {
        if (spec.kind === "weight") {
          const names = [spec.tensor, ...(spec.more ?? [])];
          this.#fixed.set(index, this.device.upload(spec.tensor, ...names.map((name) => this.#tensor(name).data)));
        }
      });
      this.#makeTables((index) => !this.#isPerM(index), this.dims(1, this.plan.maxLength), this.#fixed);
    }, signal);
    const dispatches = programs.flatMap(([{ prepare, body }, d]) =>
      active([...prepare, ...body], d).map((dispatch) => [dispatch, d] as const),
    );
    let loaded = 0;
    const compiling = dispatches.map(async ([dispatch, d]) => {
      await this.#pipelines.compile(dispatch, d);
      onShader(++loaded, dispatches.length);
    });
    await this.device.guard(Promise.all(compiling), signal);
  }

  /** The first limit `program` breaks at these dims, or undefined. `memory` bounds the sum of all its buffers. */
  exceeded({ body }: Program, d: Dims, memory: number): LimitError | undefined {
    const { maxBufferSize, maxStorageBufferBindingSize, maxComputeWorkgroupsPerDimension } = this.device.gpu.limits;
    const running = active(body, d);
    const bytes = [...new Set(running.flatMap(({ bind }) => bind))].map((index) => this.bytes(index, d));
    try {
      LimitError.check({ maxStorageBufferBindingSize, maxBufferSize }, Math.max(...bytes));
      LimitError.check({ maxComputeWorkgroupsPerDimension }, Math.max(...running.flatMap(({ grid }) => grid(d))));
      LimitError.check(
        { memory },
        bytes.reduce((sum, size) => sum + size, 0),
      );
      return undefined;
    } catch (error) {
      return error as LimitError;
    }
  }

  /** Bytes of a buffer of the plan at these dims; 0 for weights. */
  bytes(index: number, d: Dims): number {
    const spec = this.#spec(index);
    if ("size" in spec) return 4 * spec.size(d);
    if (spec.kind === "weight") return 0;
    const tensors = spec.kind === "input" ? this.plan.inputs : this.plan.outputs;
    const dims = tensors.find((tensor) => tensor.name === spec.name)?.dims ?? [];
    return dims.reduce<number>((size, dim) => size * (typeof dim === "number" ? dim : d[dim]), 4);
  }

  /** Executes, and resolves to what was to be read back. */
  async execute(execution: Execution): Promise<ArrayBuffer> {
    const { program, d, bindings, steps, tail, finish, readback, signal } = execution;
    await this.#prepare(program, d, signal);
    const { ready, known } = await this.#ready(program.body, d, bindings, signal);
    const copy = await this.#staging.prepare(readback, signal);
    const last = (encoder: GPUCommandEncoder): void => {
      finish(encoder);
      copy(encoder);
    };
    const each = Math.min(STEPS, Math.ceil(DISPATCHES / ready.length));
    let running: Promise<unknown> = Promise.resolve();
    let queued = running;
    for (let from = 0; from < steps; from += each) {
      await this.device.guard(running, signal);
      const upTo = Math.min(from + each, steps);
      const submit = (): void => this.#submit(ready, d, from, upTo, tail ? steps - 1 : -1, upTo === steps ? last : undefined);
      if (known) submit();
      else await this.device.checked(submit, signal);
      running = queued;
      // Whoever waits hears of a lost device from elsewhere.
      queued = this.device.gpu.queue.onSubmittedWorkDone().catch(() => undefined);
    }
    return this.#staging.read(readback, signal);
  }

  /** Reads back what is there. */
  async read(readback: Readback, signal: AbortSignal | undefined): Promise<ArrayBuffer> {
    this.device.submit(await this.#staging.prepare(readback, signal));
    return this.#staging.read(readback, signal);
  }

  /** Steps `from` to `upTo` in one submit. */
  #submit(
    ready: readonly Ready[],
    d: Dims,
    from: number,
    upTo: number,
    tailAt: number,
    finish?: (encoder: GPUCommandEncoder) => void,
  ): void {
    const { rates } = this.plan;
    const slots = new Uint32Array((SLOT / 4) * rates.length * (upTo - from));
    this.device.submit((encoder) => {
      const pass = encoder.beginComputePass();
      for (let step = from; step < upTo; step++) {
        const at: Dims = { ...d, t: d.t + step, pos: d.pos + step };
        const first = (step - from) * rates.length;
        rates.forEach((dimsOf, i) => slots.set(Object.values(dimsOf(at)), (SLOT / 4) * (first + i)));
        for (const { dispatch, pipeline, group } of ready) {
          const { tail, rate = 0, every = 1 } = dispatch;
          if ((tail && step !== tailAt) || (at.pos + 1) % every) continue;
          pass.setPipeline(pipeline);
          pass.setBindGroup(0, group, [SLOT * (first + rate)]);
          pass.dispatchWorkgroups(...dispatch.grid(at));
        }
      }
      pass.end();
      finish?.(encoder);
      this.device.gpu.queue.writeBuffer(this.#uniform, 0, slots);
    });
  }

  /** Makes the tables and prepared buffers that `program` needs for this M, where they are not there yet. */
  async #prepare(program: Program, d: Dims, signal: AbortSignal | undefined): Promise<void> {
    const { prepare, body } = program;
    const used = new Set(active([...prepare, ...body], d).flatMap(({ bind }) => bind));
    if (![...used].some((index) => this.#isPerM(index))) return;
    const at = this.dims(1, d.M);
    const size = this.#sizes.get(d.M) ?? { buffers: new Map<number, GPUBuffer>(), prepared: new Set() };
    this.#sizes.delete(d.M);
    this.#sizes.set(d.M, size);
    for (const M of this.#sizes.keys()) if (this.#sizes.size > KEPT) this.#evict(M);
    if (size.prepared.has(program)) return;
    await this.#allocating(
      () => this.#makeTables((index) => used.has(index) && !size.buffers.has(index) && this.#isPerM(index), at, size.buffers),
      signal,
    );
    const { ready } = await this.#ready(prepare, at, { buffers: new Map(), groups: new Map() }, signal);
    await this.device.checked(() => this.#submit(ready, at, 0, 1, 0), signal);
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
  async #allocating<T>(work: () => T, signal: AbortSignal | undefined): Promise<T> {
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
    for (const { maker, tensors, options, out, rate = 0 } of this.plan.tables) {
      const filled = Object.entries(out).filter(([, index]) => wanted(index));
      if (filled.length === 0) continue;
      const found = Object.entries(tensors).map(([role, name]) => [role, this.#tensor(name)] as const);
      const data = found.map(([role, tensor]) => [role, Float64Array.from(tensor.data)]);
      const shapes = found.map(([role, tensor]) => [role, tensor.shape]);
      const dimsOf = this.plan.rates[rate] ?? missing("rate");
      const made = (this.#makers[maker] ?? missing(maker))(Object.fromEntries(data), Object.fromEntries(shapes), options, dimsOf(d));
      for (const [role, index] of filled) into.set(index, this.device.upload(role, made[role] ?? missing(role)));
    }
  }

  /** Pipelines and bind groups of the dispatches that run at these dims, and whether all the groups were there before. */
  async #ready(
    dispatches: readonly Dispatch[],
    d: Dims,
    bindings: Bindings,
    signal: AbortSignal | undefined,
  ): Promise<{ ready: Ready[]; known: boolean }> {
    const running = active(dispatches, d);
    const pipelines = await this.device.guard(Promise.all(running.map((dispatch) => this.#pipelines.compile(dispatch, d))), signal);
    const bind = (): Ready[] =>
      running.map((dispatch, i) => ({
        dispatch,
        pipeline: pipelines[i] ?? missing("pipeline"),
        group: this.#group(dispatch, d, bindings),
      }));
    const known = running.every((dispatch) =>
      bindings.groups.get(dispatch)?.buffers.every((buffer, i) => buffer === this.#existing(dispatch.bind[i] ?? -1, d, bindings)),
    );
    return { ready: known ? bind() : await this.#allocating(bind, signal), known };
  }

  #group(dispatch: Dispatch, d: Dims, bindings: Bindings): GPUBindGroup {
    const buffers = dispatch.bind.map((index) => this.#existing(index, d, bindings) ?? this.#create(index, d));
    const cached = bindings.groups.get(dispatch);
    if (cached && buffers.every((buffer, i) => buffer === cached.buffers[i])) return cached.group;
    const resources: GPUBufferBinding[] = [{ buffer: this.#uniform, size: 32 }, ...buffers.map((buffer) => ({ buffer }))];
    const entries = resources.map((resource, binding) => ({ binding, resource }));
    const group = this.device.gpu.createBindGroup({ layout: this.#pipelines.layout(dispatch), entries });
    bindings.groups.set(dispatch, { buffers, group });
    return group;
  }

  /** The buffer bound for `index`, where there is one that is large enough. */
  #existing(index: number, d: Dims, bindings: Bindings): GPUBuffer | undefined {
    const { kind } = this.#spec(index);
    if (this.#isPerM(index)) return this.#sizes.get(d.M)?.buffers.get(index);
    if (kind === "weight" || kind === "table") return this.#fixed.get(index);
    if (kind !== "temp") return bindings.buffers.get(index);
    const temp = this.#temps.get(index);
    return temp && temp.size >= this.bytes(index, d) ? temp : undefined;
  }

  #create(index: number, d: Dims): GPUBuffer {
    const { kind } = this.#spec(index);
    const into = kind === "temp" ? this.#temps : kind === "prepared" ? this.#sizes.get(d.M)?.buffers : undefined;
    if (!into) return missing(`${kind} ${index}`);
    this.device.release(into.get(index));
    const buffer = this.device.buffer(`${kind} ${index}`, this.bytes(index, d), usage.storage);
    into.set(index, buffer);
    return buffer;
  }

  readonly #spec = (index: number): BufferSpec => this.plan.buffers[index] ?? missing(`buffer ${index}`);
  readonly #tensor = (name: string) => this.#tensors.get(name) ?? missing(name);
}

const active = (dispatches: readonly Dispatch[], d: Dims): Dispatch[] => dispatches.filter((dispatch) => dispatch.when?.(d) ?? true);
