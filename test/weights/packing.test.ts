/** Halves, packed matrices, and the tensors that bundles store them in: back comes what went in, and errors are what they are said to be. */
import { describe, expect, test } from "vitest";
import { formatOf, type WeightFormat, wordsOfRow } from "../../src/ir/packed.ts";
import { random } from "../../src/math/random.ts";
import { decode } from "../../src/weights/dtypes.ts";
import { fromHalf, toHalf } from "../../src/weights/half.ts";
import { pack, packingError, unpack } from "../../src/weights/packing.ts";
import { bytesSource, openSafetensors } from "../../src/weights/safetensors.ts";
import { type Piece, readParameter, type StoredTensor, storeMatrix } from "../../src/weights/stored.ts";
import { writeSafetensors } from "../../src/weights/write.ts";

describe("halves", () => {
  test("every half that is normal, and zero, comes back", () => {
    for (let bits = 0; bits < 2 ** 16; bits++) {
      const exponent = (bits >> 10) & 31;
      if (exponent === 31 || (exponent === 0 && (bits & 1023) !== 0)) continue;
      expect(toHalf(fromHalf(bits))).toBe(bits);
    }
  });

  test("what lies between two goes to the nearest, ties to the even one", () => {
    expect(fromHalf(toHalf(1 + 2 ** -11) ?? NaN)).toBe(1);
    expect(fromHalf(toHalf(1 + 3 * 2 ** -11) ?? NaN)).toBe(1 + 2 ** -9);
    expect(fromHalf(toHalf(1 + 2 ** -11 + 1e-9) ?? NaN)).toBe(1 + 2 ** -10);
    expect(fromHalf(toHalf(2 - 2 ** -12) ?? NaN)).toBe(2);
    expect(fromHalf(toHalf(65519) ?? NaN)).toBe(65504);
  });

  test("subnormals become zero or the smallest normal half", () => {
    expect(fromHalf(toHalf(2 ** -15) ?? NaN)).toBe(0);
    expect(fromHalf(toHalf(-1.01 * 2 ** -15) ?? NaN)).toBe(-(2 ** -14));
  });

  test.each([65520, -1e9, Infinity, NaN])("%s has none", (value) => expect(toHalf(value)).toBeUndefined());
});

const normals = (count: number, seed: number): Float64Array => {
  const { normal } = random(seed, "weights");
  return Float64Array.from({ length: count }, () => normal());
};
const allFormats: readonly WeightFormat[] = ["f16", "q8", "q4"];
/** What rounding to the steps of a format costs numbers of a normal distribution, at most. */
const bounds: Readonly<Record<WeightFormat, number>> = { f16: 3e-4, q8: 7e-3, q4: 0.1 };

describe.each(allFormats)("%s", (format) => {
  test.each([
    [5, 64],
    [4, 75],
    [3, 1],
    [2, 200],
  ])("a matrix of %i x %i", (rows, inner) => {
    const data = normals(rows * inner, inner);
    const made = pack(format, rows, inner, data);
    expect(made).toBeDefined();
    if (made === undefined) return;
    expect(made.packed.words).toHaveLength(rows * wordsOfRow(format, inner).words);
    expect(unpack(made.packed, rows, inner)).toEqual(made.data);
    expect(made.packed.error).toEqual(packingError(data, made.data));
    expect(made.packed.error?.rms).toBeLessThan(bounds[format]);
    expect(made.data.every((value) => Object.is(Math.fround(value), value))).toBe(true);
  });

  test("no number is further off than a step of its group; of halves, than half of its last bit", () => {
    const data = normals(4 * 128, 9);
    const after = pack(format, 4, 128, data)?.data ?? new Float64Array();
    const { scaled } = formatOf(format);
    data.forEach((value, i) => {
      const start = i - (i % (scaled?.group ?? 1));
      const largest = Math.max(...data.subarray(start, start + (scaled?.group ?? 1)).map(Math.abs));
      expect(Math.abs((after[i] ?? NaN) - value)).toBeLessThanOrEqual(
        scaled === undefined ? 2 ** -11 * largest : (1.1 * largest) / scaled.zero,
      );
    });
  });

  test("numbers without a place in it are refused: not finite, and too large or too small for halves", () => {
    for (const value of [NaN, Infinity, 1e9]) {
      const data = normals(64, 1);
      data[3] = value;
      expect(pack(format, 1, 64, data)).toBeUndefined();
    }
    expect(
      pack(
        format,
        1,
        64,
        normals(64, 1).map((value) => value * 1e-8),
      ),
    ).toBeUndefined();
    expect(pack(format, 1, 64, new Float64Array(64))?.data.every((value) => value === 0)).toBe(true);
  });

  test("what is packed once stays what it is", () => {
    const once = pack(format, 3, 96, normals(288, 4));
    const twice = once && pack(format, 3, 96, once.data);
    expect(twice?.packed.error?.rms).toBeLessThan(format === "f16" ? 1e-12 : bounds[format] / 3);
  });
});

test("the figures of an error", () => {
  expect(packingError(Float64Array.of(3, 4, 0), Float64Array.of(3, 3, 1))).toEqual({ rms: Math.sqrt(2) / 5, max: 0.25, norm: 5 });
  expect(packingError(new Float64Array(2), new Float64Array(2))).toEqual({ rms: 0, max: 0, norm: 0 });
});

describe("stored tensors", () => {
  const pieces: readonly Piece[] = [0, 1].map((i) => ({ number: i + 1, first: 4 * i, count: i === 0 ? 4 : 2, parts: 1 }));
  const gated: readonly Piece[] = [0, 1].map((i) => ({ number: i + 1, first: 2 * i, count: i === 0 ? 2 : 1, parts: 2 }));
  const divisions = { whole: [undefined], pieces, "pieces of two parts": gated } as const;

  test.each((["rows", "columns"] as const).flatMap((order) => Object.keys(divisions).map((division) => [order, division] as const)))(
    "in %s, %s: every safetensors reader finds them, and they come back as they were",
    async (order, division) => {
      for (const format of [undefined, ...allFormats]) {
        const data = normals(6 * 75, 2).map(Math.fround);
        const made = format && pack(format, 6, 75, data);
        const constant = { shape: [6, 75], data: made?.data ?? data, packed: made?.packed };
        const parts = divisions[division as keyof typeof divisions];
        const tensors = parts.flatMap((piece) => storeMatrix("layer.weight", constant, { order, piece }));
        const file = writeSafetensors(tensors.map(([name, tensor]) => ({ name, ...tensor })));
        const { entries, read } = await openSafetensors(bytesSource(file));
        const stored = new Map<string, { shape: readonly number[]; data: Float64Array }>();
        for (const [name, { shape }] of entries) stored.set(name, { shape, data: await read(name) });
        const back = readParameter("layer.weight", [6, 75], stored);
        expect(back?.data).toEqual(constant.data);
        expect(back?.packed?.words).toEqual(made?.packed.words);
        expect(back?.packed?.scales).toEqual(made?.packed.scales);
      }
    },
  );

  test("shapes say what the elements are", () => {
    const stored = (format: WeightFormat): Map<string, StoredTensor> => {
      const made = pack(format, 6, 75, normals(450, 3));
      return new Map(
        storeMatrix("w", { shape: [6, 75], data: made?.data ?? new Float64Array(), packed: made?.packed }, { order: "columns" }),
      );
    };
    const shapes = (format: WeightFormat): unknown => [...stored(format)].map(([name, { dtype, shape }]) => [name, dtype, shape]);
    expect(shapes("f16")).toEqual([["w.transposed.f16", "F16", [38, 6, 2]]]);
    expect(shapes("q8")).toEqual([
      ["w.transposed.q8", "U8", [19, 6, 4]],
      ["w.transposed.scales", "F16", [1, 6, 2]],
    ]);
    expect(shapes("q4")).toEqual([
      ["w.transposed.q4", "U8", [10, 6, 4]],
      ["w.transposed.scales", "F16", [2, 6, 2]],
    ]);
  });

  test("a file's halves are the numbers themselves", () => {
    const made = pack("f16", 1, 4, Float64Array.of(1, -2, 0.5, 3));
    const [[, tensor] = []] = storeMatrix("w", { shape: [1, 4], data: new Float64Array(4), packed: made?.packed }, { order: "rows" });
    expect(tensor && [...decode("F16", new Uint8Array(tensor.data.buffer))]).toEqual([1, -2, 0.5, 3]);
  });

  test("a parameter that is not there is not found, nor one whose pieces or scales are missing", () => {
    const made = pack("q8", 6, 75, normals(450, 3));
    const constant = { shape: [6, 75], data: made?.data ?? new Float64Array(), packed: made?.packed };
    const stored = (list: ReturnType<typeof storeMatrix>) =>
      new Map(list.map(([name, { dtype, shape, data }]) => [name, { shape, data: decode(dtype, new Uint8Array(data.buffer)) }]));
    const whole = storeMatrix("w", constant, { order: "columns" });
    const [first] = pieces.map((piece) => storeMatrix("w", constant, { order: "columns", piece }));
    expect(readParameter("v", [6, 75], stored(whole))).toBeUndefined();
    expect(readParameter("w", [6, 75], stored(whole.slice(0, 1)))).toBeUndefined();
    expect(readParameter("w", [6, 75], stored(first ?? []))).toBeUndefined();
  });
});
