/**
 * Sequences in progress. What a stream is, is on the host: the states at some position, and the inputs pushed since. The
 * states on the device follow from it, so that a lost device or a failed push costs a replay of at most `REPLAY` steps.
 */
import type { PushOptions, SavedStream } from "./api.ts";
import { DeviceLostError } from "./errors.ts";
import type { Executor } from "./executor.ts";
import type { Model, Outputs } from "./model.ts";
import { newOutputs } from "./model.ts";
import type { Program } from "./plan.ts";
import type { States } from "./session.ts";
import { Session } from "./session.ts";
import type { Given, Values } from "./tensors.ts";
import { isBuffer, readInputs, toOutputs } from "./tensors.ts";

/** Time steps that may be replayed before the states are read back. */
const REPLAY = 64;

/** Recurrent state of `batch` sequences. */
export class Stream {
  readonly batch: number;
  readonly #model: Model;
  /** States that were read back, zero where undefined, and the position they belong to. */
  #states: States | undefined;
  #from = 0;
  /** Host inputs pushed since, with their lengths. */
  #log: Given[] = [];
  #position = 0;
  /** Holds the states at `#position`; undefined where they have to be made again. */
  #session: Session | undefined;
  #busy = false;
  #destroyed = false;

  constructor(model: Model, batch: number, saved: SavedStream | undefined) {
    this.#model = model;
    this.batch = batch;
    this.#begin(saved);
  }

  get position(): number {
    return this.#position;
  }

  /** Throws: InputError, LimitError, DeviceLostError, the signal's reason. */
  async push(inputs: unknown, options: PushOptions & { readonly onDevice?: boolean } = {}): Promise<Outputs> {
    const given = readInputs(this.#model.plan, inputs, this.batch, Infinity);
    return this.#exclusive((executor) => this.#push(executor, given, options), options.signal);
  }

  /** Throws: DeviceLostError. */
  async save(): Promise<SavedStream> {
    return this.#exclusive(async (executor) => {
      const session = await this.#revive(executor, undefined);
      this.#keep(await session.getStates(this.batch));
      return structuredClone({ format: 1 as const, model: this.#model.hash, batch: this.batch, position: this.#position, states: this.#states ?? {} });
    }, undefined);
  }

  /** Throws: InputError where `saved` is not a state of this model and batch. */
  async restore(saved: SavedStream): Promise<void> {
    const checked = this.#model.checkSaved(saved, this.batch);
    return this.#exclusive(async () => this.#begin(checked), undefined);
  }

  async fork(): Promise<Stream> {
    return new Stream(this.#model, this.batch, await this.save());
  }

  async reset(): Promise<void> {
    return this.#exclusive(async () => this.#begin(undefined), undefined);
  }

  destroy(): void {
    this.#destroyed = true;
    if (!this.#busy) this.#drop();
  }

  #begin(saved: SavedStream | undefined): void {
    this.#drop();
    this.#from = this.#position = saved?.position ?? 0;
    this.#states = saved?.states;
    this.#log = [];
  }

  /** Forgets the states on the device. */
  #drop(): void {
    this.#session?.free();
    this.#session = undefined;
  }

  #keep(states: States): void {
    this.#states = states;
    this.#from = this.#position;
    this.#log = [];
  }

  #exclusive<T>(work: (executor: Executor) => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    return this.#model.exclusive(async (executor) => {
      if (this.#destroyed) throw new DeviceLostError("the stream was destroyed");
      this.#busy = true;
      try {
        return await work(executor);
      } catch (error) {
        this.#drop();
        throw error;
      } finally {
        this.#busy = false;
        if (this.#destroyed) this.#drop();
      }
    }, signal);
  }

  async #push(executor: Executor, given: Given, options: PushOptions & { readonly onDevice?: boolean }): Promise<Outputs> {
    const { B, L, values } = given;
    const session = await this.#revive(executor, options.signal);
    const outputs = await newOutputs(executor, B, L, options.onDevice ?? false);
    const replayable = this.#position + L - this.#from <= REPLAY && ![...values.values()].some(isBuffer);
    const copies = replayable ? new Map([...values].map(([name, data]) => [name, isBuffer(data) ? data : data.slice()])) : values;
    try {
      const states = await this.#advance(session, given, this.#position, outputs, !replayable, options.signal);
      this.#position += L;
      if (states) this.#keep(states);
      else this.#log.push({ B, L, values: copies });
    } catch (error) {
      if (options.onDevice) for (const buffer of outputs.values()) executor.device.release(buffer as GPUBuffer);
      throw error;
    }
    if (options.onDevice) for (const buffer of outputs.values()) executor.device.disown(buffer as GPUBuffer);
    return toOutputs(this.#model.plan, outputs, B, L);
  }

  /** A session whose states are those at `#position`. */
  async #revive(executor: Executor, signal: AbortSignal | undefined): Promise<Session> {
    if (this.#session?.executor === executor) return this.#session;
    this.#drop();
    const session = (this.#session = new Session(executor));
    await session.setStates(this.batch, this.#states, signal);
    let position = this.#from;
    for (const given of this.#log) {
      await this.#advance(session, given, position, new Map(), false, signal);
      position += given.L;
    }
    return session;
  }

  /** Processes all of `given`, in parts where it is too long for one execution. */
  async #advance(session: Session, given: Given, position: number, outputs: Values, snapshot: boolean, signal: AbortSignal | undefined): Promise<States | undefined> {
    const { B, L: length, values } = given;
    let states: States | undefined;
    for (let t = 0, L = 0; t < length; t += L) {
      const { size, program, stepwise } = this.#fit(session.executor, length - t, position + t);
      L = size;
      const part = { b: 0, t, B, L, of: { B, L: length } };
      const last = t + L === length;
      states = await session.execute({ program, stepwise, part, position: position + t, inputs: values, outputs, last, snapshot: snapshot && last, signal });
    }
    return states;
  }

  /** The most steps that one execution takes of `left`, and how. Throws: LimitError where not even one fits. */
  #fit(executor: Executor, left: number, position: number): { readonly size: number; readonly program: Program; readonly stepwise: boolean } {
    const { plan, memory } = this.#model;
    for (let size = Math.min(left, plan.maxLength); ; size = Math.ceil(size / 2)) {
      const d = executor.dims(this.batch, size, position);
      const mode = plan.chooseResume(d);
      const resume = mode === "recurrence" ? undefined : plan.resume[mode];
      const program = resume ?? plan.step;
      const limit = executor.exceeded(program, d, memory);
      if (!limit || (size === 1 && limit.limit === "memory")) return { size, program, stepwise: !resume };
      if (size === 1) throw limit;
    }
  }
}
