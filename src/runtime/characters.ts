/** A tokenizer of single characters, small enough to be part of a bundle. */
import { InputError } from "./errors.ts";
import type { Tokenizer } from "./language-api.ts";

/** Text to ids by a text of all characters in the order of their ids. `encode` throws InputError for a character that it lacks. */
export function characterTokenizer(text: string): Tokenizer {
  const characters = Array.from(text);
  const ids = new Map(characters.map((character, id) => [character, id]));
  const idOf = (character: string): number => {
    const id = ids.get(character);
    if (id === undefined) throw new InputError("prompt", undefined, `the model has no character ${JSON.stringify(character)}`);
    return id;
  };
  return {
    encode: (prompt) => Array.from(prompt, idOf),
    decode: (list) => list.map((id) => characters[id] ?? "").join(""),
  };
}
