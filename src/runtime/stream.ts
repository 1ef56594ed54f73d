/**
 * Sequences in progress. What a stream is, is on the host: the states at some position, and the inputs pushed since. The
 * states on the device follow from it, so that a lost device or a failed push costs a replay of at most `REPLAY` steps.
 */
import type { PushOptions, SavedStream, StreamOptions } from "./api.ts";
import type { Attempt, Engine } from "./engine.ts";
import { DeviceLostError, InputError, StreamError } from "./errors.ts";
import type { Executor } from "./executor.ts";
import type { Plan } from "./plan.ts";
import type { States } from "./session.ts";
import { Session, withOutputs } from "./session.ts";
import type { Given, Outputs, Values } from "./tensors.ts";
import { isBuffer, readInputs } from "./tensors.ts";

/** Time steps that may be replayed before the states are read back. */
export const REPLAY = 64;

/** States that were read back, zero where undefined, the position they belong to, and what the stream read since. */
export interface Past {
  readonly states: States | undefined;
  readonly from: number;
  readonly log: Entry[];
}

/** Host inputs, and whether they were read step by step, so that a replay gives the same numbers. */
export type Entry = Given & { readonly stepwise?: boolean };

/** Recurrent state of `batch` sequences. */
export class Stream {
  readonly batch: number;
  readonly #engine: Engine;
  /** What the stream is. */
  protected past: Past = { states: undefined, from: 0, log: [] };
  /** Time steps read. */
  protected read = 0;
  /** The position that the states of the session belong to. */
  protected reached = 0;
  #session: Session | undefined;
  #busy = false;
  #destroyed = false;

  /** Throws: StreamError; InputError where `from` is not a state of this model and batch. */
  constructor(engine: Engine, { from, batch = from?.batch ?? 1 }: StreamOptions) {
    if (!Number.isInteger(batch) || batch < 1) throw new InputError("batch", "B", `it is ${batch}; a positive integer is needed`);
    this.#engine = engine;
    programsOf(engine.plan);
    this.batch = batch;
    this.begin(from && checkSaved(engine, from, batch));
  }

  get position(): number {
    return this.read;
  }

  /** Throws: InputError, LimitError, DeviceLostError, the signal's reason. */
  async push(inputs: unknown, options: PushOptions & { readonly onDevice?: boolean } = {}): Promise<Outputs> {
    const given = readInputs(this.#engine.plan, inputs, this.batch, Infinity);
    return this.exclusive((executor) => this.pushGiven(executor, given, options), options.signal);
  }

  /** Throws: DeviceLostError. */
  async save(): Promise<SavedStream> {
    return this.exclusive(async (executor) => {
      const session = await this.revive(executor, undefined);
      this.keep(await session.getStates(this.batch));
      return structuredClone(this.snapshot());
    });
  }

  /** Throws: InputError where `saved` is not a state of this model and batch. */
  async restore(saved: SavedStream): Promise<void> {
    const checked = checkSaved(this.#engine, saved, this.batch);
    return this.exclusive(async () => this.begin(checked));
  }

  async fork(): Promise<Stream> {
    return new Stream(this.#engine, { from: await this.save() });
  }

  async reset(): Promise<void> {
    return this.exclusive(async () => this.begin(undefined));
  }

  destroy(): void {
    this.#destroyed = true;
    if (!this.#busy) this.#drop();
  }

  /** Starts anew from here. */
  protected begin(saved: SavedStream | undefined): void {
    this.#drop();
    this.read = saved?.position ?? 0;
    this.past = { states: saved?.states, from: this.read, log: [] };
  }

  /** Takes these states as those at the position. */
  protected keep(states: States | undefined): void {
    this.past = { states, from: this.read, log: [] };
  }

  /** What its user saves, of the states just kept. */
  protected snapshot(): SavedStream {
    return { format: 1, model: this.#engine.hash, batch: this.batch, position: this.read, states: this.past.states ?? {} };
  }

  /** Forgets the states on the device. */
  #drop(): void {
    this.#session?.free();
    this.#session = undefined;
  }

  /** What it runs; where `silent`, nobody asks for outputs. */
  protected programs(_silent: boolean): Programs {
    return programsOf(this.#engine.plan);
  }

  /** Does `work` when all earlier calls of the model are done. */
  protected exclusive<T>(work: (executor: Executor) => Promise<T>, signal?: AbortSignal): Promise<T> {
    return this.#engine.exclusive(async (executor) => {
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

  protected async pushGiven(
    executor: Executor,
    given: Given,
    { onDevice = false, signal }: PushOptions & { readonly onDevice?: boolean },
  ): Promise<Outputs> {
    const session = await this.revive(executor, signal);
    return withOutputs(executor, given.B, given.L, onDevice, (outputs) => this.process(session, given, outputs, signal));
  }

  /** Reads `given` from the position on. */
  protected async process(session: Session, given: Entry, outputs: Values, signal: AbortSignal | undefined): Promise<void> {
    const { L, values } = given;
    checkEnd(this.#engine.plan, this.read, L);
    const replayed = this.read + L - this.past.from <= REPLAY ? copyOf(values) : undefined;
    const states = await this.#advance(session, given, this.read, outputs, !replayed, signal);
    this.read += L;
    this.reached = this.read;
    if (replayed) this.past.log.push({ ...given, values: replayed });
    else this.keep(states);
  }

  /** A session whose states are those at the position. */
  protected async revive(executor: Executor, signal: AbortSignal | undefined): Promise<Session> {
    if (this.#session?.executor === executor && this.reached === this.read) return this.#session;
    this.#drop();
    const session = (this.#session = new Session(executor));
    await session.setStates(this.batch, this.past.states, signal);
    let position = this.past.from;
    for (const given of this.past.log) {
      await this.#advance(session, given, position, new Map(), false, signal);
      position += given.L;
    }
    this.reached = this.read;
    return session;
  }

  /** Processes all of `given`, in parts where it is too long for one execution. */
  async #advance(
    session: Session,
    given: Entry,
    from: number,
    outputs: Values,
    snapshot: boolean,
    signal: AbortSignal | undefined,
  ): Promise<States | undefined> {
    const { B, L: length, values, stepwise } = given;
    let states: States | undefined;
    for (let t = 0, L = 0; t < length; t += L) {
      const position = from + t;
      const fit = this.#fit(session.executor, length - t, position, this.programs(outputs.size === 0), stepwise);
      L = fit.size;
      const part = { b: 0, t, B, L, of: { B, L: length } };
      const last = t + L === length;
      states = await session.execute({ ...fit, part, position, inputs: values, outputs, last, snapshot: snapshot && last, signal });
    }
    return states;
  }

  /** The most steps that one execution takes of `left`, and how. Throws: LimitError where not even one fits. */
  #fit(executor: Executor, left: number, position: number, programs: Programs, steps = false): Attempt & { readonly stepwise: boolean } {
    const { plan } = this.#engine;
    const { period } = plan;
    return this.#engine.fit(executor, Math.min(left, plan.maxLength), (most) => {
      const begun = position % period;
      const size = begun || most < period ? Math.min(most, period - begun) : most - (most % period);
      const d = executor.dims(this.batch, size, position);
      const { step, resume: modes, chooseResume } = programs;
      const resume = steps || size % period ? undefined : modes[chooseResume(d)];
      return { size, d, program: resume ?? step, stepwise: !resume };
    });
  }
}

/** What a stream runs. */
export type Programs = Required<Pick<Plan, "step" | "resume" | "chooseResume">>;

/** Throws: StreamError where the plan has no steps. */
function programsOf({ name, step, resume, chooseResume }: Plan): Programs {
  if (step && chooseResume) return { step, resume, chooseResume };
  throw new StreamError(`${name} has no streams: its outputs depend on later inputs. Give whole sequences to run()`);
}

/** Throws: InputError where a stream at `position` has no room for `steps` more. */
export function checkEnd({ context, inputs }: Plan, position: number, steps: number): void {
  if (context === undefined || position + steps <= context) return;
  throw new InputError(
    inputs[0]?.name ?? "",
    "L",
    `the stream has room for ${context - position} of these ${steps} time steps: attention remembers at most ${context}`,
  );
}

/** Copies of values on the host; undefined where some are not. */
function copyOf(values: Values): Values | undefined {
  const copies = new Map<string, Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer>>();
  for (const [name, data] of values) {
    if (isBuffer(data)) return undefined;
    copies.set(name, data.slice());
  }
  return copies;
}

/** A copy of `saved`. Throws: InputError where it is not a state of this model and batch. */
function checkSaved({ hash, plan, executor }: Engine, saved: SavedStream, batch: number): SavedStream {
  const fail = (dim: string | undefined, message: string): never => {
    throw new InputError("from", dim, message);
  };
  if (saved.format !== 1 || saved.model !== hash) fail(undefined, `a saved state of ${saved.model}, not of ${hash}`);
  if (saved.batch !== batch) fail("B", `a saved state of batch ${saved.batch}, not ${batch}`);
  if (!Number.isSafeInteger(saved.position) || saved.position < 0) fail(undefined, "its position is not a count of time steps");
  if (saved.position > (plan.context ?? Infinity))
    fail(undefined, `its position is ${saved.position}; streams of this model end after ${plan.context} time steps`);
  const d = executor.dims(batch, 1);
  for (const spec of plan.buffers) {
    if (spec.kind !== "state") continue;
    const state = (saved.states as SavedStream["states"] | undefined)?.[spec.name];
    if (Object.prototype.toString.call(state) !== "[object Float32Array]" || state?.length !== spec.size(d))
      fail(undefined, `its state ${spec.name} is not ${spec.size(d)} floats`);
  }
  return structuredClone(saved);
}
