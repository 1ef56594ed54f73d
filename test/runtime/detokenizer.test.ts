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
  const text = new Detokenizer(tokenizer, []);
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

test("text ends with the first of what ends it, at the id that completes it", () => {
  const letters = fc.string({ unit: fc.constantFrom("a", "b", "é", "😀"), minLength: 1, maxLength: 60 });
  const ends = fc.array(fc.string({ unit: fc.constantFrom("a", "b", "é", "😀"), minLength: 1, maxLength: 4 }), { maxLength: 3 });
  fc.assert(
    fc.property(letters, ends, fc.nat(3), (whole, wanted, join) => {
      // Ids of one to four bytes.
      const all = [...bytes.encode(whole)];
      const parts = Array.from({ length: Math.ceil(all.length / (join + 1)) }, (_, i) => all.slice(i * (join + 1), (i + 1) * (join + 1)));
      const decode = (ids: readonly number[]): string => bytes.decode(ids.flatMap((id) => parts[id] ?? []));
      const cut = Math.min(...wanted.filter((end) => whole.includes(end)).map((end) => whole.indexOf(end) + end.length));
      const text = new Detokenizer({ encode: bytes.encode, decode }, wanted);
      let [given, id] = ["", 0];
      while (id < parts.length && !text.ended) given += text.add(id, ++id === parts.length);
      expect(given).toBe(whole.slice(0, cut));
      expect(text.ended).toBe(cut < Infinity);
      if (text.ended) expect(id).toBe(Math.ceil(bytes.encode(given).length / (join + 1)));
    }),
    { seed: 5, numRuns: 300 },
  );
});

test("what ends it is looked for in the new text alone, however long that is", () => {
  const text = new Detokenizer(words, ["w1 w2 w3", "w7 w"]);
  const given = [3, 1, 2, ...Array<number>(60).fill(0), 1, 2].map((id) => text.add(id, false)).join("");
  expect(text.ended).toBe(false);
  expect(given + text.add(30, false)).toBe(`w3 w1 w2${" w0".repeat(60)} w1 w2 w3`);
  expect(text.ended).toBe(true);
});
