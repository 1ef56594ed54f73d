/**
 * What the user of a language model sees beyond `api.ts`: generation, and streams of tokens. Types and one error; the text
 * of this file, without its imports, follows that of `api.ts` in the `index.d.ts` of such bundles.
 */
import type { LoadedModel, LoadOptions, ModelStream, SavedStream, StreamOptions } from "./api.ts";

/** From text to ids and back. */
export interface Tokenizer {
  encode(text: string): ArrayLike<number>;
  /** The text of all ids from the first on; where it ends within a character, with U+FFFD in its place. */
  decode(ids: readonly number[]): string;
}

export interface LanguageLoadOptions extends LoadOptions {
  /** Where prompts are text, and pieces are to have theirs: in place of the bundle's own, if it has one. */
  readonly tokenizer?: Tokenizer | undefined;
}

/** Ids, or text where there is a tokenizer. */
export type Prompt = string | Int32Array | readonly number[];

export interface GenerateOptions {
  /** New ids of each sequence: as many as are asked for where absent. */
  readonly maxTokens?: number | undefined;
  /** What logits are divided by. Where absent 1 if `topK` or `topP` is given, else 0: the most likely token each time. */
  readonly temperature?: number | undefined;
  /** Draws among so many tokens, the most likely ones; those as likely as the last of them too. */
  readonly topK?: number | undefined;
  /** Draws among the fewest tokens, the most likely ones, that have this share of the probability (0 to 1). */
  readonly topP?: number | undefined;
  /** From 0 to 2^32 - 1; the same one draws the same tokens. A random one where absent. */
  readonly seed?: number | undefined;
  /**
   * Ids that end their sequence, given as its last, and text, where there is a tokenizer: the new text of a sequence ends with it,
   * however it is cut into tokens, and what the last token has beyond is not given.
   */
  readonly stop?: number | string | readonly (number | string)[] | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Tokens made on the device before they are read back: 8 where absent, at most 64. */
  readonly every?: number | undefined;
}

/** One new token. */
export interface Piece {
  /** Which prompt it continues. */
  readonly sequence: number;
  readonly id: number;
  /** What it adds to the sequence's text, where there is a tokenizer: nothing as long as a character is incomplete. */
  readonly text?: string;
  /** The stream's position after it. */
  readonly position: number;
  /** Why it is the last of its sequence. */
  readonly end?: "stop" | "length";
}

/** A stream's state, with the last ids generated, which it has not read yet. */
export interface SavedTokens extends SavedStream {
  readonly unread?: Int32Array;
}

export interface LanguageStreamOptions extends StreamOptions {
  readonly from?: SavedTokens | undefined;
}

/** A stream of tokens. */
export interface LanguageStream<Inputs, Outputs, DeviceOutputs> extends ModelStream<Inputs, Outputs, DeviceOutputs> {
  /**
   * Goes on from here: by a prompt a sequence, and, after `generate` or `rollback`, from the last id without one. The stream
   * is after the last piece taken, at any time; any other call that moves it ends the iteration.
   */
  generate(prompt?: Prompt | readonly Prompt[], options?: GenerateOptions): AsyncIterableIterator<Piece>;
  /** Back to an earlier position: 64 generated ids at least; further by `save` and `restore`. Throws: InputError. */
  rollback(position: number): Promise<void>;
  save(): Promise<SavedTokens>;
  restore(saved: SavedTokens): Promise<void>;
  fork(): Promise<LanguageStream<Inputs, Outputs, DeviceOutputs>>;
}

/** A loaded language model. */
export interface LanguageModel<Inputs, Outputs, DeviceOutputs> extends LoadedModel<Inputs, Outputs, DeviceOutputs> {
  /** What encodes prompts, if anything. */
  readonly tokenizer: Tokenizer | undefined;
  /**
   * Continues one prompt, or several of any lengths at once, token by token.
   * Throws (at the first piece): InputError, LogitsError, LimitError, DeviceLostError, the signal's reason.
   */
  generate(prompt: Prompt | readonly Prompt[], options?: GenerateOptions): AsyncIterableIterator<Piece>;
  stream(options?: LanguageStreamOptions): Promise<LanguageStream<Inputs, Outputs, DeviceOutputs>>;
}

/** The logits after `position` ids have no largest number: they hold NaN or infinity. The weights or the state are broken. */
export class LogitsError extends Error {
  override readonly name = "LogitsError";
  readonly code = "logits-invalid";
  readonly sequence: number;
  readonly position: number;

  constructor(sequence: number, position: number) {
    super(`sequence ${sequence}: the logits after ${position} ids hold NaN or infinity, so that no token can be chosen`);
    this.sequence = sequence;
    this.position = position;
  }
}
