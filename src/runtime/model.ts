/** A loaded model: whole sequences, one call at a time, with the device won back where it was lost. */
import type { DeviceTensor, ExecutionMode, LoadOptions, ModelInfo, RunOptions, SavedStream, StreamOptions, TensorOutput } from "./api.ts";
import { Device, usage } from "./device.ts";
import { DeviceLostError, InputError, LimitError } from "./errors.ts";
import { Executor } from "./executor.ts";
import type { Plan, Program, TensorSpec } from "./plan.ts";
import { Session } from "./session.ts";
import { readShards } from "./shards.ts";
import { Stream } from "./stream.ts";
import type { TableMaker } from "./tables.ts";
import type { Given, Values } from "./tensors.ts";
import { product, readInputs, sized, toOutputs, zeros } from "./tensors.ts";

export type Makers = Readonly<Record<string, TableMaker>>;
export type Outputs = Record<string, TensorOutput | DeviceTensor>;

/** Bytes one execution may use where the caller does not say. */
const MEMORY = 2 ** 29;
/** How long a failure may precede the news that the device was lost, in milliseconds. */
const GRACE = 100;

/** A plan with its weights on a device. */
export class Model {
  readonly plan: Plan;
  /** Names the weights and the program, for saved states. */
  readonly hash: string;
  /** Bytes one execution may use before it is split. */
  readonly memory: number;
  readonly #base: string;
  readonly #makers: Makers;
  readonly #options: LoadOptions;
  #executor: Executor;
  #session: Session;
  #queue: Promise<unknown> = Promise.resolve();
  #closed = false;

  private constructor(plan: Plan, base: string, makers: Makers, options: LoadOptions, executor: Executor) {
    this.plan = plan;
    this.hash = [plan.name, ...plan.shards.map((shard) => shard.sha256.slice(0, 16))].join(":");
    this.memory = options.memory ?? MEMORY;
    this.#base = base;
    this.#makers = makers;
    this.#options = options;
    this.#executor = executor;
    this.#session = new Session(executor);
  }

  /** Throws: NoWebGPUError, WeightsError, LimitError, DeviceLostError, the signal's reason. */
  static async load(plan: Plan, base: string, makers: Makers, options: LoadOptions): Promise<Model> {
    return new Model(plan, base, makers, options, await open(plan, base, makers, options));
  }

  get device(): GPUDevice {
    return this.#executor.device.gpu;
  }

  get info(): ModelInfo {
    const { name, inputs, outputs, maxLength, whole } = this.plan;
    const modes = [...new Set([...Object.keys(whole), "recurrence"])] as ExecutionMode[];
    const { vendor = "", architecture = "", device = "", description = "" } = (this.device.adapterInfo as GPUAdapterInfo | undefined) ?? {};
    return { name, inputs, outputs, modes, maxLength, adapter: { vendor, architecture, device, description } };
  }

  /** Throws: InputError, LimitError, DeviceLostError, the signal's reason. */
  async run(inputs: unknown, options: RunOptions & { readonly onDevice?: boolean } = {}): Promise<Outputs> {
    const given = readInputs(this.plan, inputs, options.batch, this.plan.maxLength);
    return this.exclusive((executor) => this.#run(executor, given, options), options.signal);
  }

  /** Throws: InputError where `from` is not a state of this model. */
  async stream(options: StreamOptions = {}): Promise<Stream> {
    const batch = options.batch ?? options.from?.batch ?? 1;
    if (!Number.isInteger(batch) || batch < 1) throw new InputError("batch", "B", `it is ${batch}; a positive integer is needed`);
    return new Stream(this, batch, options.from && this.checkSaved(options.from, batch));
  }

  /** Throws: InputError where a saved state is not one of this model and batch. */
  checkSaved(saved: SavedStream, batch: number): SavedStream {
    const fail = (dim: string | undefined, message: string): never => {
      throw new InputError("from", dim, message);
    };
    if (saved.format !== 1 || saved.model !== this.hash) fail(undefined, `a saved state of ${saved.model}, not of ${this.hash}`);
    if (saved.batch !== batch) fail("B", `a saved state of batch ${saved.batch}, not ${batch}`);
    if (!Number.isSafeInteger(saved.position) || saved.position < 0) fail(undefined, "its position is not a count of time steps");
    const d = this.#executor.dims(batch, 1);
    for (const spec of this.plan.buffers) {
      if (spec.kind !== "state") continue;
      const state = (saved.states as SavedStream["states"] | undefined)?.[spec.name];
      if (Object.prototype.toString.call(state) !== "[object Float32Array]" || state?.length !== spec.size(d)) fail(undefined, `state ${spec.name} is not ${spec.size(d)} floats`);
    }
    return structuredClone(saved);
  }

  /** Runs `work` when all earlier calls are done, and once more where the device is lost in it and had again. */
  exclusive<T>(work: (executor: Executor) => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    const result = this.#queue.then(() => this.#attempt(work, signal));
    this.#queue = result.catch(() => undefined);
    return result;
  }

  destroy(): void {
    this.#closed = true;
    this.#executor.device.close("the model was destroyed");
  }

  async #attempt<T>(work: (executor: Executor) => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    const executor = await this.#live(signal);
    try {
      return await work(executor);
    } catch (error) {
      const { device } = executor;
      if (signal?.aborted || error instanceof InputError || error instanceof LimitError) throw error;
      if (!device.failed) await Promise.race([device.gpu.lost, new Promise((resolve) => setTimeout(resolve, GRACE))]);
      if (!device.failed) throw error;
    }
    return work(await this.#live(signal));
  }

  /** The executor, on a new device where the old one of ours was lost. Throws: DeviceLostError. */
  async #live(signal: AbortSignal | undefined): Promise<Executor> {
    signal?.throwIfAborted();
    const { device } = this.#executor;
    if (!device.failed) return this.#executor;
    if (this.#closed || !device.own) throw device.failed;
    device.close(device.failed.message);
    try {
      const executor = await open(this.plan, this.#base, this.#makers, { ...this.#options, onProgress: undefined, signal });
      if (this.#closed) executor.device.close("the model was destroyed");
      this.#executor = executor;
      this.#session = new Session(executor);
      return executor;
    } catch (error) {
      signal?.throwIfAborted();
      throw new DeviceLostError(`${device.failed.message}; and it could not be had again: ${String(error)}`, { cause: error });
    }
  }

  async #run(executor: Executor, { B, L, values }: Given, options: RunOptions & { readonly onDevice?: boolean }): Promise<Outputs> {
    const { program, stepwise } = this.#program(executor, B, L, options.mode ?? "auto");
    let size = B;
    let limit = executor.exceeded(program, executor.dims(size, L), this.memory);
    while (limit && size > 1) limit = executor.exceeded(program, executor.dims((size = Math.ceil(size / 2)), L), this.memory);
    if (limit && limit.limit !== "memory") throw limit;
    const outputs = await newOutputs(executor, B, L, options.onDevice ?? false);
    try {
      for (let b = 0; b < B; b += size) {
        const part = { b, t: 0, B: Math.min(size, B - b), L, of: { B, L } };
        if (stepwise) await this.#session.setStates(part.B, undefined, options.signal);
        await this.#session.execute({ program, stepwise, part, position: 0, inputs: values, outputs, last: true, snapshot: false, signal: options.signal });
      }
    } catch (error) {
      if (options.onDevice) for (const buffer of outputs.values()) executor.device.release(buffer as GPUBuffer);
      throw error;
    }
    if (options.onDevice) for (const buffer of outputs.values()) executor.device.disown(buffer as GPUBuffer);
    return toOutputs(this.plan, outputs, B, L);
  }

  /** Throws: InputError where the model has no such mode. */
  #program(executor: Executor, B: number, L: number, asked: ExecutionMode): { readonly program: Program; readonly stepwise: boolean } {
    const mode = asked === "auto" ? this.plan.choose(executor.dims(B, L)) : asked;
    if (mode === "recurrence") return { program: this.plan.step, stepwise: true };
    const program = this.plan.whole[mode];
    if (!program) throw new InputError("mode", undefined, `the model has no mode ${mode}; it has ${this.info.modes.join(", ")}`);
    return { program, stepwise: false };
  }
}

/** Room for a call's outputs: host arrays, or device buffers. Throws: LimitError. */
export async function newOutputs({ device, plan }: Executor, B: number, L: number, onDevice: boolean): Promise<Values> {
  const flags = usage.storage | usage.copySrc | usage.copyDst;
  const make = <T>(one: (spec: TensorSpec, size: number) => T): Map<string, T> =>
    new Map(plan.outputs.map((spec) => [spec.name, one(spec, product(sized(spec, B, L)))]));
  if (!onDevice) return make(zeros);
  return device.checked(() => make((spec, size) => device.buffer(spec.name, 4 * size, flags)));
}

async function open(plan: Plan, base: string, makers: Makers, options: LoadOptions): Promise<Executor> {
  const { signal, onProgress } = options;
  signal?.throwIfAborted();
  const device = await Device.open(options.device, options.gpu);
  try {
    const tensors = await device.guard(readShards(plan.shards, base, options), signal);
    const executor = new Executor(device, plan, makers, tensors);
    const longest = executor.dims(1, plan.maxLength);
    const mode = plan.choose(longest);
    const whole = mode === "recurrence" ? undefined : plan.whole[mode];
    const programs = [[plan.step, executor.dims(1, 1)] as const, ...(whole ? [[whole, longest] as const] : [])];
    await executor.load(programs, (loaded, total) => onProgress?.({ stage: "shaders", loaded, total }), signal);
    return executor;
  } catch (error) {
    device.close("loading failed");
    throw error;
  }
}
