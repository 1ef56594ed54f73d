import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CompileError } from "../../src/ir/error.ts";
import { decode } from "../../src/weights/dtypes.ts";
import { bytesSource, openSafetensors, type ByteSource } from "../../src/weights/safetensors.ts";
import { sha256, writeSafetensors, writeShards, type WriteTensor } from "../../src/weights/write.ts";
import { entry, rawFile } from "./bytes.ts";

const zeros = (bytes: number): Uint8Array => new Uint8Array(bytes);
const open = (file: Uint8Array): ReturnType<typeof openSafetensors> => openSafetensors(bytesSource(file, "test.safetensors"));

async function codeOf(file: Uint8Array): Promise<string> {
  return open(file).then(
    () => "accepted",
    (error: unknown) => (error instanceof CompileError ? error.code : String(error)),
  );
}

describe("safetensors: what is refused", () => {
  const cases: readonly [string, Uint8Array, string][] = [
    ["an empty file", zeros(0), "weights-file-truncated"],
    ["seven bytes", zeros(7), "weights-file-truncated"],
    ["a header length beyond the file", rawFile({}, zeros(0), 3n), "weights-file-truncated"],
    ["a header of 4 GB", rawFile({}, zeros(8), 2n ** 32n), "weights-file-truncated"],
    ["a header of 2^64 - 1", rawFile({}, zeros(8), 2n ** 64n - 1n), "weights-file-truncated"],
    ["a header length short of the header", rawFile({ a: entry("F32", [1], 0, 4) }, zeros(4), 5n), "weights-file-header"],
    ["a header of length 0", rawFile("", zeros(8)), "weights-file-header"],
    ["a header that is not JSON", rawFile("{oops}"), "weights-file-header"],
    ["a header that is not UTF-8", rawFile("xx").map((b, i) => (i >= 8 ? 0xff : b)), "weights-file-header"],
    ["a header that is a list", rawFile("[]"), "weights-file-header"],
    ["a header that is null", rawFile("null"), "weights-file-header"],
    ["a header nested a hundred thousand deep", rawFile("[".repeat(1e5) + "]".repeat(1e5)), "weights-file-header"],
    ["metadata that is not strings", rawFile({ __metadata__: { a: 1 } }), "weights-file-header"],
    ["metadata that is a string", rawFile({ __metadata__: "pt" }), "weights-file-header"],
    [
      "a name twice",
      rawFile('{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}', zeros(2)),
      "weights-file-duplicate",
    ],
    [
      "a name twice, once escaped",
      rawFile('{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"\\u0061":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}', zeros(2)),
      "weights-file-duplicate",
    ],
    ["a field twice", rawFile('{"a":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}}', zeros(1)), "weights-file-duplicate"],
    ["an entry that is a number", rawFile({ a: 1 }), "weights-file-dtype"],
    ["an unknown dtype", rawFile({ a: entry("F7", [1], 0, 1) }, zeros(1)), "weights-file-dtype"],
    ["a dtype named as a method", rawFile({ a: entry("toString", [1], 0, 1) }, zeros(1)), "weights-file-dtype"],
    ["a negative size", rawFile({ a: entry("F32", [-1], 0, 4) }, zeros(4)), "weights-file-shape"],
    ["a fractional size", rawFile({ a: entry("F32", [0.5, 2], 0, 4) }, zeros(4)), "weights-file-shape"],
    ["a shape that is a number", rawFile({ a: { dtype: "F32", shape: 1, data_offsets: [0, 4] } }, zeros(4)), "weights-file-shape"],
    ["a shape of more than its bytes", rawFile({ a: entry("F32", [2], 0, 4) }, zeros(4)), "weights-file-shape"],
    ["a shape whose product overflows", rawFile({ a: entry("F32", [2 ** 40, 2 ** 40], 0, 4) }, zeros(4)), "weights-file-shape"],
    ["a product of infinity and zero", rawFile({ a: entry("F32", [...Array<number>(30).fill(2 ** 50), 0], 0, 0) }), "weights-file-shape"],
    ["one offset", rawFile({ a: { dtype: "F32", shape: [1], data_offsets: [0] } }, zeros(4)), "weights-file-offsets"],
    ["a negative offset", rawFile({ a: entry("F32", [1], -4, 0) }, zeros(4)), "weights-file-offsets"],
    ["offsets that run backwards", rawFile({ a: entry("F32", [1], 4, 0) }, zeros(4)), "weights-file-offsets"],
    ["a text offset", rawFile({ a: entry("F32", [1], "0", 4) }, zeros(4)), "weights-file-offsets"],
    ["a tensor past the end", rawFile({ a: entry("F32", [2], 0, 8) }, zeros(7)), "weights-file-truncated"],
    ["a tensor of 4 GB in a small file", rawFile({ a: entry("U8", [2 ** 32], 0, 2 ** 32) }, zeros(7)), "weights-file-truncated"],
    ["tensors over each other", rawFile({ a: entry("F32", [2], 0, 8), b: entry("F32", [1], 4, 8) }, zeros(8)), "weights-file-overlap"],
    [
      "a tensor inside another",
      rawFile({ a: entry("U8", [8], 0, 8), c: entry("U8", [1], 9, 10), b: entry("U8", [1], 2, 3) }, zeros(10)),
      "weights-file-overlap",
    ],
  ];
  test.each(cases)("%s", async (_, file, code) => {
    expect(await codeOf(file)).toBe(code);
  });

  test("a lying header is refused without reading or allocating what it claims", async () => {
    const reads: number[] = [];
    const source: ByteSource = {
      label: "huge",
      size: 2 ** 40,
      read: async (_, length) => {
        reads.push(length);
        return new Uint8Array(new BigUint64Array([2n ** 39n]).buffer);
      },
    };
    await expect(openSafetensors(source)).rejects.toMatchObject({ code: "weights-file-header" });
    expect(reads).toEqual([8]);
  });

  test("a message names the file and the tensor", async () => {
    const file = rawFile({ "layer.w": entry("F32", [2], 0, 4) }, zeros(4));
    await expect(open(file)).rejects.toThrow('test.safetensors holds "layer.w", F32 [2], of 8 bytes in a place of 4 bytes');
  });

  test("any damage to a file gives a file that opens or a diagnostic, never another error", async () => {
    const good = writeSafetensors([{ name: "a", dtype: "F32", shape: [3], data: Float32Array.of(1, 2, 3) }], { k: "v" });
    const damage = fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(damage, fc.nat(good.length), async (changes, length) => {
        const file = good.slice(0, length);
        for (const [at, value] of changes) if (at < length) file[at] = value;
        expect(await codeOf(file)).toMatch(/^(accepted|weights-file-[a-z]+)$/);
      }),
      { numRuns: 500 },
    );
  });
});

describe("safetensors: what is read", () => {
  test("a file without tensors, with spaces after its header", async () => {
    const file = await open(rawFile('{"__metadata__":{"format":"pt"}}   '));
    expect([file.entries.size, file.metadata.get("format")]).toEqual([0, "pt"]);
  });

  test("holes, empty tensors and scalars", async () => {
    const file = await open(
      rawFile(
        { a: entry("U8", [2], 3, 5), e: entry("F32", [0, 7], 4, 4), s: entry("U8", [], 7, 8) },
        Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7, 8),
      ),
    );
    expect(await file.read("a")).toEqual(Float64Array.of(3, 4));
    expect(await file.read("e")).toEqual(new Float64Array());
    expect(await file.read("s")).toEqual(Float64Array.of(7));
  });

  test("tensors that are not aligned", async () => {
    const data = new Uint8Array(9);
    new DataView(data.buffer).setFloat64(1, Math.PI, true);
    const file = await open(rawFile({ a: entry("F64", [1], 1, 9) }, data));
    expect(await file.read("a")).toEqual(Float64Array.of(Math.PI));
  });

  test("a tensor named __proto__", async () => {
    const file = await open(rawFile('{"__proto__":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', Uint8Array.of(5)));
    expect(await file.read("__proto__")).toEqual(Float64Array.of(5));
  });

  const bits = (...words: number[]): Uint8Array => new Uint8Array(Uint16Array.from(words).buffer);
  test.each([
    [
      "F16",
      bits(0x3c00, 0xc000, 0x0001, 0x03ff, 0x7bff, 0xfc00, 0x3555),
      [1, -2, 2 ** -24, 1023 * 2 ** -24, 65504, -Infinity, 0.333251953125],
    ],
    ["F16", bits(0x7e00, 0x8000), [NaN, -0]],
    ["BF16", bits(0x3f80, 0xc040, 0x7f80, 0x7fc0), [1, -3, Infinity, NaN]],
    ["I64", new Uint8Array(BigInt64Array.of(-5n, 2n ** 53n).buffer), [-5, 2 ** 53]],
    ["I32", new Uint8Array(Int32Array.of(-7, 2 ** 31 - 1).buffer), [-7, 2 ** 31 - 1]],
    ["U8", Uint8Array.of(0, 255), [0, 255]],
    ["BOOL", Uint8Array.of(0, 1, 2), [0, 1, 1]],
  ] as const)("%s elements", (dtype, bytes, values) => {
    expect([...decode(dtype, bytes)]).toEqual([...values]);
  });
});

describe("safetensors: what is written", () => {
  const tensor = fc.record({
    dtype: fc.constantFrom("F64", "F32", "I32", "U8"),
    shape: fc.array(fc.nat(4), { maxLength: 3 }),
    seed: fc.nat(200),
  });
  const make = ({ dtype, shape, seed }: { dtype: string; shape: number[]; seed: number }, i: number): WriteTensor => {
    const values = Array.from({ length: shape.reduce((p, s) => p * s, 1) }, (_, k) => (seed + k) % 256);
    const data = { F64: Float64Array, F32: Float32Array, I32: Int32Array, U8: Uint8Array }[dtype as "F64"].from(values);
    return { name: `t${i}`, dtype: dtype as "F64", shape, data };
  };

  test("what is written is read back, aligned, whatever the order", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(tensor, { maxLength: 6 }), async (specs) => {
        const tensors = specs.map(make);
        const bytes = writeSafetensors(tensors, { b: "2", a: "1" });
        expect(writeSafetensors([...tensors].reverse(), { b: "2", a: "1" })).toEqual(bytes);
        const file = await open(bytes);
        for (const { name, dtype, shape, data } of tensors) {
          expect(file.entries.get(name)).toMatchObject({ dtype, shape });
          expect([...(await file.read(name))]).toEqual([...(data as Float64Array)]);
          expect((file.entries.get(name)?.start ?? 1) % { F64: 8, F32: 4, I32: 4, U8: 1 }[dtype as "F64"]).toBe(0);
        }
      }),
      { numRuns: 100 },
    );
  });

  test("shards hold every tensor once, within the limit, under names that count", async () => {
    const tensors = Array.from({ length: 5 }, (_, i) => ({
      name: `t${i}`,
      dtype: "F32" as const,
      shape: [10],
      data: new Float32Array(10).fill(i),
    }));
    const shards = await writeShards(tensors, {}, 80);
    expect(shards.map((s) => s.file)).toEqual([
      "weights-00001-of-00003.safetensors",
      "weights-00002-of-00003.safetensors",
      "weights-00003-of-00003.safetensors",
    ]);
    expect(shards.flatMap((s) => s.tensors).sort()).toEqual(tensors.map((t) => t.name));
    for (const shard of shards) {
      expect(await sha256(shard.bytes)).toBe(shard.sha256);
      for (const name of shard.tensors)
        expect([...(await (await open(shard.bytes)).read(name))]).toEqual(Array(10).fill(Number(name.slice(1))));
    }
  });

  test("one shard has the plain name", async () => {
    expect((await writeShards([])).map((s) => s.file)).toEqual(["weights.safetensors"]);
  });

  test("sha256 of the empty message", async () => {
    expect(await sha256(new Uint8Array())).toBe("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  });
});
