/** The text of a sequence as its ids come: whole characters only, and what one id changes in the text of those before it. */
import type { Tokenizer } from "./language-api.ts";

/** Ids decoded again with every new one, so that their text joins as in the whole. */
const KEPT = 16;
/** A character has no more ids than this: what is incomplete after as many will stay so. */
const PARTS = 8;

/** One sequence. */
export class Detokenizer {
  readonly #tokenizer: Tokenizer;
  #ids: number[] = [];
  /** The length of the text of `#ids` that was given. */
  #given = 0;
  #waiting = 0;

  constructor(tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer;
  }

  /** What `id` adds; the last one gives what is left. */
  add(id: number, last: boolean): string {
    this.#ids.push(id);
    const text = this.#tokenizer.decode(this.#ids);
    if (text.endsWith("\uFFFD") && !last && ++this.#waiting < PARTS) return "";
    const added = text.slice(this.#given);
    this.#waiting = 0;
    this.#given = text.length;
    if (this.#ids.length >= 2 * KEPT) {
      this.#ids = this.#ids.slice(-KEPT);
      this.#given = this.#tokenizer.decode(this.#ids).length;
    }
    return added;
  }
}
