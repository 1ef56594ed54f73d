/**
 * Sequences in progress. What a stream is, is on the host: the states at some position, and the inputs pushed since. The
 * states on the device follow from it, so that a lost device or a failed push costs a replay of at most `REPLAY` steps.
 */
import type { PushOptions, SavedStream } from "./api.ts";
import type { Attempt, Engine } from "./engine.ts";
import { DeviceLostError, InputError, StreamError } from "./errors.ts";
import type { Executor } from "./executor.ts";
import type { Plan } from "./plan.ts";
import type { States } from "./session.ts";
import { Session, withOutputs } from "./session.ts";
import type { Given, Outputs, Values } from "./tensors.ts";
import { isBuffer, readInputs } from "./tensors.ts";

/** Time steps that may be replayed before the states are read back. */
const REPLAY = 64;

/** Recurrent state of `batch` sequences. */
export class Stream {
  readonly batch: number;
  readonly #engine: Engine;
  readonly #programs: Programs;
  /** States that were read back, zero where undefined, and the position they belong to. */
  #states: States | undefined;
  #from = 0;
  /** Host inputs pushed since. */
  #log: Given[] = [];
  #position = 0;
  /** Holds the states at `#position`; undefined where they have to be made again. */
  #session: Session | undefined;
  #busy = false;
  #destroyed = false;

  /** Throws: StreamError; InputError where `saved` is not a state of this model and batch. */
  constructor(engine: Engine, batch: number, saved: SavedStream | undefined) {
    this.#engine = engine;
    this.#programs = programsOf(engine.plan);
    this.batch = batch;
    this.#begin(saved && checkSaved(engine, saved, batch));
  }

  get position(): number {
    return this.#position;
  }

  /** Throws: InputError, LimitError, DeviceLostError, the signal's reason. */
  async push(inputs: unknown, options: PushOptions & { readonly onDevice?: boolean } = {}): Promise<Outputs> {
    const given = readInputs(this.#engine.plan, inputs, this.batch, Infinity);
    return this.#exclusive((executor) => this.#push(executor, given, options), options.signal);
  }

  /** Throws: DeviceLostError. */
  async save(): Promise<SavedStream> {
    return this.#exclusive(async (executor) => {
      const session = await this.#revive(executor, undefined);
      const states = await session.getStates(this.batch);
      this.#keep(states);
      return structuredClone({ format: 1 as const, model: this.#engine.hash, batch: this.batch, position: this.#position, states });
    });
  }

  /** Throws: InputError where `saved` is not a state of this model and batch. */
  async restore(saved: SavedStream): Promise<void> {
    const checked = checkSaved(this.#engine, saved, this.batch);
    return this.#exclusive(async () => this.#begin(checked));
  }

  async fork(): Promise<Stream> {
    return new Stream(this.#engine, this.batch, await this.save());
  }

  async reset(): Promise<void> {
    return this.#exclusive(async () => this.#begin(undefined));
  }

  destroy(): void {
    this.#destroyed = true;
    if (!this.#busy) this.#drop();
  }

  #begin(saved: SavedStream | undefined): void {
    this.#drop();
    this.#position = saved?.position ?? 0;
    this.#keep(saved?.states);
  }

  /** Forgets the states on the device. */
  #drop(): void {
    this.#session?.free();
    this.#session = undefined;
  }

  /** Takes these states as those at the position. */
  #keep(states: States | undefined): void {
    this.#states = states;
    this.#from = this.#position;
    this.#log = [];
  }

  #exclusive<T>(work: (executor: Executor) => Promise<T>, signal?: AbortSignal): Promise<T> {
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

  async #push(
    executor: Executor,
    given: Given,
    { onDevice = false, signal }: PushOptions & { readonly onDevice?: boolean },
  ): Promise<Outputs> {
    const { B, L, values } = given;
    const session = await this.#revive(executor, signal);
    const replayed = this.#position + L - this.#from <= REPLAY ? copyOf(values) : undefined;
    return withOutputs(executor, B, L, onDevice, async (outputs) => {
      const states = await this.#advance(session, given, this.#position, outputs, !replayed, signal);
      this.#position += L;
      if (replayed) this.#log.push({ B, L, values: replayed });
      else this.#keep(states);
    });
  }

  /** A session whose states are those at the position. */
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
  async #advance(
    session: Session,
    given: Given,
    from: number,
    outputs: Values,
    snapshot: boolean,
    signal: AbortSignal | undefined,
  ): Promise<States | undefined> {
    const { B, L: length, values } = given;
    let states: States | undefined;
    for (let t = 0, L = 0; t < length; t += L) {
      const position = from + t;
      const fit = this.#fit(session.executor, length - t, position);
      L = fit.size;
      const part = { b: 0, t, B, L, of: { B, L: length } };
      const last = t + L === length;
      states = await session.execute({ ...fit, part, position, inputs: values, outputs, last, snapshot: snapshot && last, signal });
    }
    return states;
  }

  /** The most steps that one execution takes of `left`, and how. Throws: LimitError where not even one fits. */
  #fit(executor: Executor, left: number, position: number): Attempt & { readonly stepwise: boolean } {
    const { plan } = this.#engine;
    const { period } = plan;
    return this.#engine.fit(executor, Math.min(left, plan.maxLength), (most) => {
      const begun = position % period;
      const size = begun || most < period ? Math.min(most, period - begun) : most - (most % period);
      const d = executor.dims(this.batch, size, position);
      const { step, chooseResume } = this.#programs;
      const resume = size % period ? undefined : plan.resume[chooseResume(d)];
      return { size, d, program: resume ?? step, stepwise: !resume };
    });
  }
}

/** What a stream runs. */
type Programs = Required<Pick<Plan, "step" | "chooseResume">>;

/** Throws: StreamError where the plan has no steps. */
function programsOf({ name, step, chooseResume }: Plan): Programs {
  if (step && chooseResume) return { step, chooseResume };
  throw new StreamError(`${name} has no streams: its outputs depend on later inputs. Give whole sequences to run()`);
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
  const d = executor.dims(batch, 1);
  for (const spec of plan.buffers) {
    if (spec.kind !== "state") continue;
    const state = (saved.states as SavedStream["states"] | undefined)?.[spec.name];
    if (Object.prototype.toString.call(state) !== "[object Float32Array]" || state?.length !== spec.size(d))
      fail(undefined, `its state ${spec.name} is not ${spec.size(d)} floats`);
  }
  return structuredClone(saved);
}
