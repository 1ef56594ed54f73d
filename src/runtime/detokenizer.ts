/**
 * The text of a sequence as its ids come: whole characters only, what one id changes in the text of those before it, and no more
 * than up to the text that ends it.
 */
import type { Tokenizer } from "./language-api.ts";

/** Ids decoded again with every new one, so that their text joins as in the whole. */
const KEPT = 16;
/** A character has no more ids than this: what is incomplete after as many will stay so. */
const PARTS = 8;

/** One sequence. */
export class Detokenizer {
  /** Whether the text has come that ends it. */
  ended = false;
  readonly #tokenizer: Tokenizer;
  readonly #ends: readonly string[];
  /** The last that was given, as much as may begin one of the ends. */
  #tail = "";
  #ids: number[] = [];
  /** The length of the text of `#ids` that was given. */
  #given = 0;
  #waiting = 0;

  /** `ends`: text that ends the sequence. */
  constructor(tokenizer: Tokenizer, ends: readonly string[]) {
    this.#tokenizer = tokenizer;
    this.#ends = ends;
  }

  /** What `id` adds; the last one gives what is left. */
  add(id: number, last: boolean): string {
    this.#ids.push(id);
    const text = this.#tokenizer.decode(this.#ids);
    const added = text.slice(this.#given);
    const seen = this.#tail + added;
    const ends = this.#ends.flatMap((end) => (seen.includes(end) ? [seen.indexOf(end) + end.length] : []));
    this.ended = ends.length > 0;
    if (this.ended) return added.slice(0, Math.min(...ends) - this.#tail.length);
    if (text.endsWith("\uFFFD") && !last && ++this.#waiting < PARTS) return "";
    this.#tail = seen.slice(-Math.max(...this.#ends.map(({ length }) => length)));
    this.#waiting = 0;
    this.#given = text.length;
    if (this.#ids.length >= 2 * KEPT) {
      this.#ids = this.#ids.slice(-KEPT);
      this.#given = this.#tokenizer.decode(this.#ids).length;
    }
    return added;
  }
}
