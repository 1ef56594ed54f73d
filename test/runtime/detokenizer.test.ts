/** Text of ids as they come: whole characters, and the same as all ids decoded at once. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { Detokenizer } from "../../src/runtime/detokenizer.ts";

/** An id is a byte of UTF-8. */
const bytes = {
  encode: (text: string): Uint8Array => new TextEncoder().encode(text),
  decode: (ids: readonly number[]): string => new TextDecoder().decode(Uint8Array.from(ids)),
};
/** An id is a word, a space before each but the first. */
const words = { encode: (): number[] => [], decode: (ids: readonly number[]): string => ids.map((id) => `w${id}`).join(" ") };

function pieces(tokenizer: typeof bytes | typeof words, ids: readonly number[]): string[] {
  const text = new Detokenizer(tokenizer);
  return ids.map((id, i) => text.add(id, i === ids.length - 1));
}

test("pieces of text join to the text, and none is part of a character", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", maxLength: 60 }), (text) => {
      const all = pieces(bytes, [...bytes.encode(text)]);
      expect(all.join("")).toBe(text);
      expect(all.join("|")).not.toContain("\uFFFD");
    }),
    { seed: 5, numRuns: 200 },
  );
});

test("what an id adds depends on those before it, over any length", () => {
  const ids = Array.from({ length: 100 }, (_, i) => i * i);
  expect(pieces(words, ids).join("")).toBe(words.decode(ids));
  expect(pieces(words, ids)[1]).toBe(" w1");
});

test("bytes that are no character come out in the end", () => {
  const all = pieces(bytes, Array<number>(20).fill(0x80));
  expect(all.join("")).toBe("\uFFFD".repeat(20));
  expect(pieces(bytes, [0xe2])).toEqual(["\uFFFD"]);
});
