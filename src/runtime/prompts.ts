/** Prompts as their users have them to ids by sequence. No device work. */
import { InputError } from "./errors.ts";
import type { Prompt, Tokenizer } from "./language-api.ts";
import { checkIds } from "./tensors.ts";

/** Whether it is one prompt, and no list of them. */
const isOne = (prompt: unknown): prompt is Prompt =>
  typeof prompt === "string" || !Array.isArray(prompt) || prompt.every((id) => typeof id === "number");

/** Prompts, one a sequence. Throws: InputError. */
export function readPrompts(prompt: Prompt | readonly Prompt[], tokenizer: Tokenizer | undefined, below: number): number[][] {
  return (isOne(prompt) ? [prompt] : prompt).map((one) => {
    const ids = typeof one === "string" ? Int32Array.from(needed(tokenizer, "prompt").encode(one)) : one;
    const kind = Object.prototype.toString.call(ids).slice(8, -1);
    if (kind !== "Int32Array" && kind !== "Array") throw new InputError("prompt", undefined, `it is ${kind}; ids or text are needed`);
    checkIds("prompt", ids, below);
    return Array.from(ids);
  });
}

/** The tokenizer that text given as `input` needs. Throws: InputError. */
export function needed(tokenizer: Tokenizer | undefined, input: string): Tokenizer {
  if (tokenizer) return tokenizer;
  throw new InputError(input, undefined, "it is text, and there is no tokenizer; give ids, or a `tokenizer` to load()");
}
