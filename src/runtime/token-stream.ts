/**
 * Streams of a language model: generation on the device, and the way back. A chosen id is read by the step after it, so the
 * last one of a stream is `unread`: it counts in the position, and the states do not know it yet.
 */
import type { PushOptions } from "./api.ts";
import { Detokenizer } from "./detokenizer.ts";
import type { Engine } from "./engine.ts";
import { InputError } from "./errors.ts";
import type { Executor } from "./executor.ts";
import type { GenerateOptions, LanguageStreamOptions, Piece, Prompt, SavedTokens, Tokenizer } from "./language-api.ts";
import { LogitsError } from "./language-api.ts";
import type { Plan, Program, TensorSpec } from "./plan.ts";
import { needed, readPrompts } from "./prompts.ts";
import type { Sampling } from "./sampling.ts";
import { readOptions } from "./sampling.ts";
import type { States } from "./session.ts";
import type { Entry, Past, Programs } from "./stream.ts";
import { checkEnd, REPLAY, Stream } from "./stream.ts";
import type { Outputs } from "./tensors.ts";
import { checkIds } from "./tensors.ts";
import type { Ids } from "./token-log.ts";
import { columnsOf, cutLog, entryOf, lengthOf } from "./token-log.ts";

/** One sequence while it is generated. */
interface Sequence {
  /** What it begins with: the id that was unread, if any, and the prompt. */
  readonly ids: readonly number[];
  readonly text: Detokenizer | undefined;
  /** New ids given. */
  count: number;
  ended: boolean;
}

/** Ids of a few steps, by sequence: those read by the first, and those that follow each. */
interface Columns {
  readonly ids: Ids;
  readonly count: number;
}

/** Sequences of ids in progress. */
export class TokenStream extends Stream {
  /** What was before `past`, up to where that begins. */
  declare private earlier: Past | undefined;
  declare private unread: Ids | undefined;
  /** Another one after every call that moves the stream: a generation ends where it is no longer its own. */
  declare private turn: object;
  readonly #engine: Engine;
  readonly #tokenizer: Tokenizer | undefined;
  readonly #language: Language;

  /** Throws: InputError where `from` is not a state of this model and batch. */
  constructor(engine: Engine, options: LanguageStreamOptions, tokenizer: Tokenizer | undefined) {
    super(engine, options);
    this.#engine = engine;
    this.#tokenizer = tokenizer;
    this.#language = languageOf(engine.plan);
  }

  override get position(): number {
    return this.read + (this.unread ? 1 : 0);
  }

  override async fork(): Promise<TokenStream> {
    return new TokenStream(this.#engine, { from: await this.save() }, this.#tokenizer);
  }

  /** Throws: InputError where the stream does not know what it was then. */
  async rollback(position: number): Promise<void> {
    return this.exclusive(async () => {
      if (position === this.position) return;
      const pasts = [this.past, this.earlier].filter((past) => past !== undefined);
      const past = pasts.find(({ from, log }) => position >= from && position <= from + lengthOf(log));
      if (!past || !(position < this.position)) {
        const known = pasts.map(({ from, log }) => `${from} to ${from + lengthOf(log)}`).join(", ");
        throw new InputError("position", undefined, `it is ${position}; from ${this.position} the stream goes back to ${known}`);
      }
      const { log, last } = cutLog(past.log, this.#language.ids.name, position - past.from);
      if (past === this.earlier) this.earlier = undefined;
      this.past = { ...past, log };
      this.read = past.from + lengthOf(log);
      this.unread = last;
      this.turn = {};
    });
  }

  /** Throws: InputError, LogitsError, LimitError, DeviceLostError, the signal's reason. */
  async *generate(prompt?: Prompt | readonly Prompt[], options: GenerateOptions = {}): AsyncIterableIterator<Piece> {
    const { signal } = options;
    const sampling = readOptions(options);
    const ends = sampling.stop.filter((end) => typeof end === "string");
    if (ends.length > 0) needed(this.#tokenizer, "stop");
    const below = this.#language.ids.below ?? Infinity;
    const prompts = readPrompts(prompt ?? Array.from({ length: this.batch }, () => []), this.#tokenizer, below);
    const turn = {};
    const sequences = await this.exclusive(async (executor) => {
      const ids = this.#joined(prompts);
      await this.#prefill(executor, ids, signal);
      this.turn = turn;
      return ids.map((own): Sequence => ({
        ids: own,
        text: this.#tokenizer && new Detokenizer(this.#tokenizer, ends),
        count: 0,
        ended: false,
      }));
    }, signal);
    const goesOn = (): boolean => sequences.some(({ ended }) => !ended);
    for (let at = Math.min(...sequences.map(({ ids }) => ids.length)); goesOn();) {
      const { ids, count } = await this.exclusive((executor) => this.#decode(executor, sequences, at, sampling, turn, signal), signal);
      for (let column = 1; column < count && goesOn(); column++, at++) {
        const chosen = columnsOf(ids, this.batch, count, column, column + 1);
        const wrong = sequences.findIndex((one, b) => isLive(one, at) && (chosen[b] ?? 0) < 0);
        if (wrong >= 0) throw new LogitsError(wrong, this.position);
        await this.exclusive(async () => this.#accept(chosen, turn), signal);
        for (const [sequence, one] of sequences.entries())
          if (isLive(one, at)) yield this.#piece(one, sequence, chosen[sequence] ?? 0, sampling);
      }
    }
  }

  protected override begin(saved: SavedTokens | undefined): void {
    const unread = saved?.unread;
    if (unread && unread.length !== this.batch) throw new InputError("from", "B", `its unread ids are ${unread.length}, not ${this.batch}`);
    super.begin(saved);
    this.unread = unread && Int32Array.from(unread);
    this.earlier = undefined;
    this.turn = {};
  }

  protected override keep(states: States | undefined): void {
    this.earlier = this.past;
    super.keep(states);
  }

  protected override programs(silent: boolean): Programs {
    return silent ? this.#language.silent : super.programs(silent);
  }

  protected override snapshot(): SavedTokens {
    return { ...super.snapshot(), ...(this.unread && { unread: this.unread }) };
  }

  /** The unread ids come first. */
  protected override async pushGiven(
    executor: Executor,
    given: Entry,
    options: PushOptions & { readonly onDevice?: boolean },
  ): Promise<Outputs> {
    this.turn = {};
    if (this.unread) {
      await this.#read(executor, this.unread, true, options.signal);
      this.unread = undefined;
    }
    return super.pushGiven(executor, given, options);
  }

  /** The ids to go on from: the unread ones, if any, then the prompts. Throws: InputError. */
  #joined(prompts: readonly number[][]): number[][] {
    if (prompts.length !== this.batch)
      throw new InputError("prompt", "B", `there are ${prompts.length}; the stream has ${this.batch} sequences`);
    if (this.unread) checkIds("from", this.unread, this.#language.ids.below ?? Infinity);
    return prompts.map((ids, b) => {
      const joined = this.unread ? [this.unread[b] ?? 0, ...ids] : ids;
      if (joined.length > 0) return joined;
      throw new InputError("prompt", undefined, "it is empty, and there is no id generated before to go on from");
    });
  }

  /** Reads ids whose logits nobody asks for. */
  async #read(executor: Executor, ids: Ids, stepwise: boolean, signal: AbortSignal | undefined): Promise<void> {
    const session = await this.revive(executor, signal);
    await this.process(session, entryOf(this.#language.ids.name, this.batch, ids, stepwise), new Map(), signal);
  }

  /** Reads what all sequences have, at once, but for the last id. */
  async #prefill(executor: Executor, sequences: readonly (readonly number[])[], signal: AbortSignal | undefined): Promise<void> {
    const common = Math.min(...sequences.map(({ length }) => length));
    const ids = Int32Array.from(sequences.flatMap((one) => one.slice(0, common)));
    if (common > 1) await this.#read(executor, columnsOf(ids, this.batch, common, 0, common - 1), false, signal);
    this.unread = columnsOf(ids, this.batch, common, common - 1, common);
  }

  /** A few steps on the device: each reads what the one before it chose, or what the sequence says itself from `at` on. */
  async #decode(
    executor: Executor,
    sequences: readonly Sequence[],
    at: number,
    { every, maxTokens, settings }: Sampling,
    turn: object,
    signal: AbortSignal | undefined,
  ): Promise<Columns> {
    this.#check(turn);
    const { batch, unread } = this;
    const { ids: spec, program } = this.#language;
    const session = await this.revive(executor, signal);
    if (lengthOf(this.past.log) >= REPLAY) this.keep(await session.getStates(batch));
    const { context = Infinity } = this.#engine.plan;
    checkEnd(this.#engine.plan, this.read, 1);
    const left = sequences.map(({ ids, count, ended }) => (ended ? 0 : Math.max(0, ids.length - at) + maxTokens - count));
    const { size, d } = this.#engine.fit(executor, Math.min(every, context - this.read, Math.max(...left)), (steps) => ({
      size: steps,
      program,
      d: executor.dims(batch, steps + 1, this.read),
    }));
    await session.allocate(["input", "output", "settings"], d, signal);
    const ids = new Int32Array(batch * d.L).fill(-1);
    for (const [b, one] of sequences.entries()) ids.set([unread?.[b] ?? 0, ...one.ids.slice(at, at + size)], b * d.L);
    const source = session.buffer("input", spec.name);
    const { queue } = executor.device.gpu;
    queue.writeBuffer(source, 0, ids);
    queue.writeBuffer(session.buffer("settings"), 0, settings);
    const chosen = await executor.execute({
      program,
      d,
      bindings: session,
      steps: size,
      tail: false,
      finish: () => undefined,
      readback: { bytes: ids.byteLength, copy: (encoder, into) => encoder.copyBufferToBuffer(source, 0, into, 0, ids.byteLength) },
      signal,
    });
    this.reached = this.read + size;
    return { ids: new Int32Array(chosen), count: d.L };
  }

  /** Takes the ids that the device went on with as the stream's own. */
  #accept(chosen: Ids, turn: object): void {
    this.#check(turn);
    if (this.unread) this.past.log.push(entryOf(this.#language.ids.name, this.batch, this.unread, true));
    this.read++;
    // What a sequence that has ended goes on with is any id.
    this.unread = chosen.map((id) => Math.max(id, 0));
  }

  /** Throws: InputError where another call moved the stream. */
  #check(turn: object): void {
    if (this.turn !== turn) throw new InputError("generate", undefined, "another call moved the stream while it generated");
  }

  #piece(one: Sequence, sequence: number, id: number, { maxTokens, stop }: Sampling): Piece {
    one.count++;
    const [stopped, full] = [stop.includes(id), one.count === maxTokens];
    const text = one.text?.add(id, stopped || full);
    const end = stopped || one.text?.ended ? "stop" : full ? "length" : undefined;
    one.ended = end !== undefined;
    return { sequence, id, ...(text !== undefined && { text }), position: this.position, ...(end && { end }) };
  }
}

/** Whether what a sequence goes on with at `at` is new. */
const isLive = ({ ids, ended }: Sequence, at: number): boolean => !ended && at >= ids.length;

/** What a plan has of a language model. */
interface Language {
  readonly ids: TensorSpec;
  /** Reads an id a sequence and chooses the next. */
  readonly program: Program;
  /** What reads ids and computes no logits. */
  readonly silent: Programs;
}

/** Made once a plan, so that what an executor prepared for a program stays. */
const languages = new WeakMap<Plan, Language>();

function languageOf(plan: Plan): Language {
  const known = languages.get(plan);
  if (known) return known;
  const { inputs, buffers, step, resume, chooseResume, generate } = plan;
  const [ids] = inputs;
  if (!ids || !step || !chooseResume || !generate) throw new Error("bug: the plan is of no language model");
  const without = ({ prepare, body }: Program): Program => {
    const kept = body.filter(({ shown }) => !shown);
    return { prepare, body: kept, silent: kept.every(({ bind }) => bind.every((i) => buffers[i]?.kind !== "output")) };
  };
  const language = {
    ids,
    program: { prepare: [], body: [...step.body, ...generate.body] },
    silent: {
      step: without(step),
      resume: Object.fromEntries(Object.entries(resume).map(([mode, program]) => [mode, without(program)])),
      chooseResume,
    },
  };
  languages.set(plan, language);
  return language;
}
