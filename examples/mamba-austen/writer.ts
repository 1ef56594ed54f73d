/** A text in progress: a stream of the model, and the ids of what it has read and written. Knows nothing of the page. */
import type { GenerateOptions } from "../../src/runtime/language-api.ts";
import type { LanguageModel, LanguageStream } from "../shared/bundle.ts";

/** One text. */
export class Writer {
  readonly #stream: LanguageStream;
  #ids: number[];
  /** The ids that the stream has yet to read: all of them at the beginning, and after a way back that was too far for it; else none. */
  #unread: number[];
  /** What is being written, until it is stopped. */
  #run: object | undefined;
  /** Settles when nothing is being written. */
  #idle: Promise<void> = Promise.resolve();

  private constructor(stream: LanguageStream, ids: readonly number[], unread: readonly number[]) {
    this.#stream = stream;
    this.#ids = [...ids];
    this.#unread = [...unread];
  }

  /** A text that begins with a prompt of one id at least. */
  static async begin(model: LanguageModel, prompt: readonly number[]): Promise<Writer> {
    return new Writer(await model.stream(), prompt, prompt);
  }

  /** All of the text. */
  get ids(): readonly number[] {
    return this.#ids;
  }

  get writing(): boolean {
    return this.#run !== undefined;
  }

  /** Writes on from the end until `maxTokens` ids are written or `stop` is called, and tells each id. */
  async write(options: GenerateOptions, onId: (id: number) => void): Promise<void> {
    await this.stop();
    const run = {};
    this.#run = run;
    const written = this.#write(run, options, onId).finally(() => {
      if (this.#run === run) this.#run = undefined;
    });
    this.#idle = written.catch(() => undefined);
    return written;
  }

  async #write(run: object, options: GenerateOptions, onId: (id: number) => void): Promise<void> {
    const prompt = this.#unread;
    this.#unread = [];
    for await (const { id } of this.#stream.generate(prompt.length > 0 ? prompt : undefined, options)) {
      this.#ids.push(id);
      onId(id);
      if (this.#run !== run) return;
    }
  }

  /** Resolves when the last id before the stop is written. */
  async stop(): Promise<void> {
    this.#run = undefined;
    await this.#idle;
  }

  /** Stops, and takes back all but the first `length` ids. */
  async rewind(length: number): Promise<void> {
    await this.stop();
    const kept = this.#ids.slice(0, length);
    if (this.#unread.length > 0) this.#unread = kept;
    else if (!(await this.#rollback(length))) {
      await this.#stream.reset();
      this.#unread = kept;
    }
    this.#ids = [...kept];
  }

  /** False where that is further back than the stream remembers. */
  async #rollback(position: number): Promise<boolean> {
    try {
      await this.#stream.rollback(position);
      return true;
    } catch (error) {
      if (error instanceof Error && error.name === "InputError") return false;
      throw error;
    }
  }

  /** Stops, and gives a second text that goes on from here on its own. */
  async fork(): Promise<Writer> {
    await this.stop();
    return new Writer(await this.#stream.fork(), this.#ids, this.#unread);
  }

  async destroy(): Promise<void> {
    await this.stop();
    this.#stream.destroy();
  }
}
