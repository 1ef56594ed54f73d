/**
 * What a model and its streams share: the executor on the device in use, the order of their calls, and the device won
 * back where it was lost.
 */
import type { LoadOptions } from "./api.ts";
import { Device } from "./device.ts";
import { DeviceLostError, InputError, LimitError } from "./errors.ts";
import type { Makers } from "./executor.ts";
import { Executor } from "./executor.ts";
import type { Dims, Plan, Program } from "./plan.ts";
import { readShards } from "./shards.ts";

/** How long a failure may precede the news that the device was lost, in milliseconds. */
const GRACE = 100;

/** What a bundle is made of. */
export interface Bundle {
  readonly plan: Plan;
  /** The URL that the shards are beside. */
  readonly base: string;
  readonly makers: Makers;
}

/** What one execution would be. */
export interface Attempt {
  /** Sequences or time steps. */
  readonly size: number;
  readonly program: Program;
  readonly d: Dims;
}

/** A plan with its weights on a device, for one call at a time. */
export class Engine {
  readonly plan: Plan;
  /** Names the weights and the program, for saved states. */
  readonly hash: string;
  /** Bytes one execution may use before it is split. */
  readonly memory: number;
  readonly #bundle: Bundle;
  readonly #options: LoadOptions;
  #executor: Executor;
  #queue: Promise<unknown> = Promise.resolve();
  #closed = false;

  private constructor(bundle: Bundle, options: LoadOptions, executor: Executor) {
    this.plan = bundle.plan;
    this.hash = [bundle.plan.name, ...bundle.plan.shards.map((shard) => shard.sha256.slice(0, 16))].join(":");
    this.memory = options.memory ?? 2 ** 29;
    this.#bundle = bundle;
    this.#options = options;
    this.#executor = executor;
  }

  /** Throws: NoWebGPUError, WeightsError, LimitError, DeviceLostError, the signal's reason. */
  static async open(bundle: Bundle, options: LoadOptions): Promise<Engine> {
    return new Engine(bundle, options, await openExecutor(bundle, options));
  }

  /** The executor of the next call, if the device lives. */
  get executor(): Executor {
    return this.#executor;
  }

  /** Does `work` when all earlier calls are done, and once more where the device is lost in it and had again. */
  exclusive<T>(work: (executor: Executor) => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    const result = this.#queue.then(() => this.#attempt(work, signal));
    this.#queue = result.catch(() => undefined);
    return result;
  }

  /** The first of ever smaller attempts that the device takes, from `most` on. Throws: LimitError where it does not even take one of 1. */
  fit<A extends Attempt>(executor: Executor, most: number, attempt: (most: number) => A): A {
    for (let size = most; ; size = Math.ceil(size / 2)) {
      const one = attempt(size);
      const limit = executor.exceeded(one.program, one.d, this.memory);
      if (!limit || (size === 1 && limit.limit === "memory")) return one;
      if (size === 1) throw limit;
    }
  }

  close(): void {
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
    device.close("");
    try {
      this.#executor = await openExecutor(this.#bundle, { ...this.#options, onProgress: undefined, signal });
    } catch (cause) {
      signal?.throwIfAborted();
      throw new DeviceLostError(`${device.failed.message}; and it could not be had again: ${String(cause)}`, { cause });
    }
    if (this.#closed) this.close();
    return this.#executor;
  }
}

async function openExecutor({ plan, base, makers }: Bundle, options: LoadOptions): Promise<Executor> {
  const { signal, onProgress } = options;
  signal?.throwIfAborted();
  const device = await Device.open(options.device, options.gpu);
  try {
    const executor = new Executor(device, plan, makers, await device.guard(readShards(plan.shards, base, options), signal));
    const programs: [Program, Dims][] = plan.step ? [[plan.step, executor.dims(1, 1)]] : [];
    if (options.length !== undefined) {
      const expected = executor.dims(1, options.length);
      const program = plan.whole[plan.choose(expected)];
      if (program) programs.push([program, expected]);
    }
    await executor.load(programs, (loaded, total) => onProgress?.({ stage: "shaders", loaded, total }), signal);
    return executor;
  } catch (error) {
    device.close("loading failed");
    throw error;
  }
}
