/** Files of torch.save: what is read, and what is refused. The writer is our own, after the format; see test/setup/torch-file.ts. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CompileError } from "../../src/ir/error.ts";
import { openTensors } from "../../src/weights/open.ts";
import { bytesSource, type ByteSource, type TensorFile } from "../../src/weights/safetensors.ts";
import { op, pickle, rowMajor, stateDict, torchFile } from "../setup/torch-file.ts";
import { joined, zipFile, type ZipPart } from "../setup/zip.ts";

const { call, dict, global, int, list, no, none, ordered, parameter, sizes, storage, tensor, text, tuple, yes } = pickle;

const open = (file: Uint8Array): Promise<TensorFile> => openTensors(bytesSource(file, "test.pt"));
const range = (n: number): Float32Array => Float32Array.from({ length: n }, (_, i) => i);

/** Opens a file, reads all of it, and says the code of what went wrong. */
async function codeOf(file: Uint8Array): Promise<string> {
  try {
    const { entries, read } = await open(file);
    for (const name of entries.keys()) await read(name);
    return "accepted";
  } catch (error) {
    return error instanceof CompileError ? error.code : String(error);
  }
}

/** A file of one tensor called `w`, in a storage of six floats. */
const viewFile = (offset: number, shape: readonly number[], strides: readonly number[]): Uint8Array =>
  torchFile(dict([["w", tensor(storage("FloatStorage", "0", 6), offset, shape, strides)]]), { "0": range(6) });

/** A file with a number written over its bytes, counted from its end. */
function patched(file: Uint8Array, at: number, size: 2 | 4 | 8, value: number): Uint8Array {
  const bytes = file.slice();
  bytes.set(new Uint8Array(BigUint64Array.of(BigInt(value)).buffer).subarray(0, size), bytes.length + at);
  return bytes;
}

/** A file of two storages, one inside the bytes of the other. */
function nestedEntry(): Uint8Array {
  const held: ZipPart = { path: "a/data/0", bytes: new Uint8Array(range(2).buffer) };
  const whole = zipFile([held]);
  const local = whole.subarray(0, Buffer.from(whole).indexOf("PK\x01\x02"));
  const outside = tensor(storage("ByteStorage", "1", local.length), 0, [local.length], [1]);
  const value = dict([
    ["outside", outside],
    ["inside", tensor(storage("FloatStorage", "0", 2), 0, [2], [1])],
  ]);
  const first: ZipPart = { path: "a/data.pkl", bytes: joined([op(0x80, 2), value, op(".")]) };
  const file = (offset: number): Uint8Array => zipFile([first, { path: "a/data/1", bytes: local }, { ...held, lies: { offset } }]);
  return file(Buffer.from(file(0)).indexOf("a/data/0") - 30);
}

const small = stateDict([{ name: "w", storage: "FloatStorage", shape: [2], data: Float32Array.of(1, 2) }]);
/** The small file above with other parts or values in it. */
const parts = (...more: readonly ZipPart[]): readonly ZipPart[] => [
  { path: "a/data.pkl", bytes: joined([op(0x80, 2), small.value, op(".")]) },
  { path: "a/data/0", bytes: new Uint8Array(Float32Array.of(1, 2).buffer) },
  ...more,
];

describe("torch: what is read", () => {
  const bits = (...words: readonly number[]): Uint16Array => Uint16Array.from(words);
  test.each([
    ["DoubleStorage", "F64", Float64Array.of(Math.PI, -0), [Math.PI, -0]],
    ["FloatStorage", "F32", Float32Array.of(0.5, -3), [0.5, -3]],
    ["HalfStorage", "F16", bits(0x3c00, 0xc000), [1, -2]],
    ["BFloat16Storage", "BF16", bits(0x3f80, 0xc040), [1, -3]],
    ["LongStorage", "I64", BigInt64Array.of(-5n, 24n), [-5, 24]],
    ["IntStorage", "I32", Int32Array.of(-7, 2 ** 31 - 1), [-7, 2 ** 31 - 1]],
    ["ShortStorage", "I16", Int16Array.of(-300, 300), [-300, 300]],
    ["CharStorage", "I8", Int8Array.of(-8, 7), [-8, 7]],
    ["ByteStorage", "U8", Uint8Array.of(8, 255), [8, 255]],
    ["BoolStorage", "BOOL", Uint8Array.of(0, 1), [0, 1]],
  ] as const)("a %s", async (name, dtype, data, values) => {
    const { value, storages } = stateDict([{ name: "layer.w", storage: name, shape: [2], data }]);
    const file = await open(torchFile(value, storages));
    expect(file.entries.get("layer.w")).toMatchObject({ dtype, shape: [2] });
    expect([...(await file.read("layer.w"))]).toEqual(values);
  });

  test.each([
    ["ComplexFloatStorage", "F32", Float32Array.of(1, 2, 3, 4)],
    ["ComplexDoubleStorage", "F64", Float64Array.of(1, 2, 3, 4)],
  ])("a %s has a last axis of (re, im)", async (name, dtype, data) => {
    const transposed = tensor(storage(name, "0", 2), 0, [2, 1], [1, 2]);
    const file = await open(
      torchFile(
        dict([
          ["C", transposed],
          ["last", tensor(storage(name, "0", 2), 1, [], [])],
        ]),
        { "0": data },
      ),
    );
    expect(file.entries.get("C")).toMatchObject({ dtype, shape: [2, 1, 2] });
    expect(await file.read("C")).toEqual(Float64Array.of(1, 2, 3, 4));
    expect([file.entries.get("last")?.shape, await file.read("last")]).toEqual([[2], Float64Array.of(3, 4)]);
  });

  test("strided views of one storage, row by row", async () => {
    const place = storage("FloatStorage", "0", 6);
    const views = {
      whole: tensor(place, 0, [2, 3], [3, 1]),
      transposed: tensor(place, 0, [3, 2], [1, 3]),
      column: tensor(place, 1, [2], [3]),
      repeated: tensor(place, 4, [2, 2], [0, 1]),
      scalar: tensor(place, 5, [], []),
      empty: tensor(place, 6, [0, 7], [7, 1]),
    };
    const file = await open(torchFile(ordered(Object.entries(views)), { "0": range(6) }));
    const read = Object.fromEntries(await Promise.all([...file.entries.keys()].map(async (name) => [name, [...(await file.read(name))]])));
    expect(read).toEqual({
      whole: [0, 1, 2, 3, 4, 5],
      transposed: [0, 3, 1, 4, 2, 5],
      column: [1, 4],
      repeated: [4, 5, 4, 5],
      scalar: [5],
      empty: [],
    });
  });

  test("any view equals the one picked element by element", async () => {
    const view = fc.record({
      shape: fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 3 }),
      strides: fc.array(fc.nat(5), { minLength: 3, maxLength: 3 }),
      offset: fc.nat(4),
    });
    await fc.assert(
      fc.asyncProperty(view, async ({ shape, strides, offset }) => {
        const used = strides.slice(0, shape.length);
        const length = shape.reduce((sum, n, axis) => sum + (n - 1) * (used[axis] ?? 0), offset) + 1;
        const file = await open(
          torchFile(dict([["w", tensor(storage("FloatStorage", "0", length), offset, shape, used)]]), { "0": range(length) }),
        );
        const index = (i: number): number =>
          rowMajor(shape).reduce((sum, step, axis) => sum + (Math.floor(i / step) % (shape[axis] ?? 1)) * (used[axis] ?? 0), offset);
        expect([...(await file.read("w"))]).toEqual(Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => index(i)));
      }),
      { numRuns: 50 },
    );
  });

  test("a training checkpoint's state dict, and nothing beside it", async () => {
    const place = tensor(storage("FloatStorage", "0", 2), 0, [2], [1]);
    const value = dict([
      ["epoch", int(3)],
      ["best", joined([op("G"), new Uint8Array(8)])],
      ["seed", joined([op(0x8a, 9), Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 0)])],
      ["optimizer_states", list(dict([["exp_avg", place]]))],
      ["state_dict", ordered([["model.w", parameter(place)]])],
    ]);
    const file = await open(torchFile(value, { "0": range(2) }));
    expect([...file.entries.keys()]).toEqual(["model.w"]);
    expect(await file.read("model.w")).toEqual(Float64Array.of(0, 1));
  });

  test("dicts and lists without a state dict give names with dots", async () => {
    const place = tensor(storage("FloatStorage", "0", 2), 0, [2], [1]);
    const file = await open(
      torchFile(
        dict([
          ["a", dict([["b", place]])],
          ["c", list(none, tuple(place, yes))],
        ]),
        { "0": range(2) },
      ),
    );
    expect([...file.entries.keys()]).toEqual(["a.b", "c.1.0"]);
  });

  test("tensors with attributes, and what PyTorch 2 writes around a parameter", async () => {
    const place = tuple(storage("FloatStorage", "0", 2), int(0), sizes([2]), sizes([1]), no, ordered([]));
    const kept = call(
      "torch._tensor",
      "_rebuild_from_type_v2",
      global("torch._utils", "_rebuild_tensor_v2"),
      global("torch", "Tensor"),
      place,
      dict([]),
    );
    const state = call("torch._utils", "_rebuild_parameter_with_state", kept, yes, ordered([]), dict([]));
    const file = await open(
      torchFile(
        dict([
          ["kept", kept],
          ["state", state],
        ]),
        { "0": range(2) },
      ),
    );
    expect([await file.read("kept"), await file.read("state")]).toEqual([Float64Array.of(0, 1), Float64Array.of(0, 1)]);
  });

  test("values that are remembered and recalled, in every protocol's way", async () => {
    const value = (remember: Uint8Array, recall: Uint8Array): Uint8Array =>
      joined([dict([]), op("("), text("a"), tensor(storage("FloatStorage", "0", 2), 0, [2], [1]), remember, text("b"), recall, op("u")]);
    const ways = [value(op("q", 7), op("h", 7)), value(op("r", 0, 0, 1, 0), op("j", 0, 0, 1, 0)), value(op(0x94), op("h", 0))];
    for (const way of ways) expect([...(await open(torchFile(way, { "0": range(2) }))).entries.keys()]).toEqual(["a", "b"]);
  });

  test.each([
    ["deflated files", zipFile(parts().map((part) => ({ ...part, deflated: true })))],
    ["sizes of zip64", zipFile(parts(), { zip64: true })],
    ["records of zip64 that nothing needs, as PyTorch writes them", zipFile(parts(), { records: true })],
    ["a file at the top, without a folder", zipFile(parts().map((part) => ({ ...part, path: part.path.slice(2) })))],
    ["a byte order", zipFile(parts({ path: "a/byteorder", bytes: new TextEncoder().encode("little") }))],
  ])("%s", async (_, bytes) => {
    expect(await (await open(bytes)).read("w")).toEqual(Float64Array.of(1, 2));
  });

  test("reads of a file what a tensor needs, when it is asked for", async () => {
    const bytes = zipFile(parts({ path: "a/data/1", bytes: new Uint8Array(2 ** 20) }));
    let fetched = 0;
    const source: ByteSource = {
      label: "counted",
      size: bytes.length,
      read: async (start, length) => {
        fetched += length;
        return bytes.subarray(start, start + length);
      },
    };
    const file = await openTensors(source);
    expect(await file.read("w")).toEqual(Float64Array.of(1, 2));
    expect(fetched).toBeLessThan(100_000);
  });
});

describe("torch: what is refused", () => {
  const raw = (...pieces: readonly Uint8Array[]): Uint8Array => torchFile(joined(pieces));
  const one = storage("FloatStorage", "0", 6);
  const nested = (depth: number): Uint8Array =>
    joined([...Array.from({ length: depth }, () => op("]", "(")), ...Array.from({ length: depth }, () => op("e"))]);
  /** Twenty lists, each of ten times the one before. */
  const laughs = joined([
    op("]"),
    ...Array.from({ length: 20 }, (_, i) => joined([op("q", i, "]", "("), ...Array.from({ length: 10 }, () => op("h", i)), op("e")])),
  ]);
  const cases: readonly (readonly [string, Uint8Array, string])[] = [
    [
      "a file of PyTorch before 1.6",
      op(0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, "."),
      "weights-file-kind",
    ],
    ["a pickle of protocol 4", op(0x80, 4, 0x95, 11, 0, 0, 0, 0, 0, 0, 0, "}", 0x94, "(X", 1, 0, 0, 0, "aK", 1, "u."), "weights-file-kind"],
    ["a pickle of protocol 2", op(0x80, 2, "}q", 0, "(X", 1, 0, 0, 0, "aK", 1, "u."), "weights-file-kind"],
    ["an HDF5 file", op(0x89, "HDF\r\n", 0x1a, "\n"), "weights-file-kind"],
    ["a zip file of something else", zipFile([{ path: "w.npy", bytes: new Uint8Array(8) }]), "weights-file-kind"],
    ["two pickles", zipFile(parts({ path: "b/data.pkl", bytes: op(".") })), "weights-file-kind"],
    ["a big-endian machine's", zipFile(parts({ path: "a/byteorder", bytes: op("big") })), "weights-file-kind"],
    ["an encrypted entry", zipFile(parts({ path: "a/x", bytes: op("x"), lies: { flags: 0x809 } })), "weights-file-zip"],
    ["another compression", zipFile(parts({ path: "a/x", bytes: op("x"), lies: { method: 93 } })), "weights-file-zip"],
    ["an entry twice", zipFile(parts({ path: "a/data/0", bytes: op("x") })), "weights-file-zip"],
    ["a wrong checksum", zipFile(parts().map((part) => ({ ...part, lies: { crc: 1 } }))), "weights-file-zip"],
    ["a stored entry of two sizes", zipFile(parts({ path: "a/x", bytes: op("x"), lies: { size: 2 } })), "weights-file-zip"],
    [
      "a bomb that says so",
      zipFile(parts({ path: "a/x", bytes: new Uint8Array(99), deflated: true, lies: { size: 2 ** 32 - 2 } })),
      "weights-file-zip",
    ],
    [
      "a bomb that does not",
      zipFile(
        parts().map((part, i) => (i === 0 ? { ...part, bytes: new Uint8Array(2 ** 20), deflated: true, lies: { size: 100 } } : part)),
      ),
      "weights-file-zip",
    ],
    [
      "an entry in the place of another",
      zipFile(parts().map((part, i) => (i === 1 ? { ...part, lies: { offset: 0 } } : part))),
      "weights-file-zip",
    ],
    ["a storage inside another", nestedEntry(), "weights-file-overlap"],
    ["no file for a storage", torchFile(small.value), "weights-file-zip"],
    ["a directory of 65,534 files", patched(zipFile(parts()), -12, 2, 0xfffe), "weights-file-zip"],
    ["a directory of 4 GB", patched(zipFile(parts()), -10, 4, 0xfffffffe), "weights-file-zip"],
    ["a directory past the end", patched(zipFile(parts()), -6, 4, 0x7fffffff), "weights-file-zip"],
    ["a directory of 2^53 files", patched(zipFile(parts(), { zip64: true }), -66, 8, 2 ** 53), "weights-file-zip"],
    ["two places of its directory", patched(zipFile(parts(), { records: true }), -6, 4, 0), "weights-file-zip"],
    ["two numbers of its files", patched(zipFile(parts(), { records: true }), -12, 2, 1), "weights-file-zip"],
    ["no end of the directory", zipFile(parts()).slice(0, -22), "weights-file-zip"],
    ["nothing but a local header", zipFile(parts()).slice(0, 40), "weights-file-zip"],
    ["an unknown opcode", raw(op("i", "os\nsystem\n")), "weights-file-pickle"],
    ["an object made without a call", raw(global("torch", "Tensor"), tuple(), op(0x81)), "weights-file-pickle"],
    ["no end", zipFile([{ path: "a/data.pkl", bytes: op(0x80, 2, "}") }]), "weights-file-pickle"],
    ["an empty pickle", zipFile([{ path: "a/data.pkl", bytes: new Uint8Array() }]), "weights-file-pickle"],
    ["nothing on the stack", raw(), "weights-file-pickle"],
    ["a text longer than the file", raw(op("X", 0xff, 0xff, 0xff, 0x7f)), "weights-file-pickle"],
    ["a text of 2^64 bytes", raw(op(0x8d, 255, 255, 255, 255, 255, 255, 255, 255)), "weights-file-pickle"],
    ["bytes longer than the file", raw(op("B", 0xff, 0xff, 0xff, 0xff)), "weights-file-pickle"],
    ["a text that is not UTF-8", raw(op("X", 1, 0, 0, 0, 0xff)), "weights-file-pickle"],
    ["a name that does not end", raw(op("c", "torch")), "weights-file-pickle"],
    ["a tuple without a mark", raw(op("N", "t")), "weights-file-pickle"],
    ["a tuple of values below a mark", raw(op("N", "(", 0x85)), "weights-file-pickle"],
    ["a value never remembered", raw(op("h", 3)), "weights-file-pickle"],
    ["nothing to remember", raw(op("q", 0)), "weights-file-pickle"],
    ["an item for no list", raw(none, none, op("a")), "weights-file-pickle"],
    ["a pair for no dict", raw(none, none, none, op("s")), "weights-file-pickle"],
    ["a key without a value", raw(op("}", "("), none, op("u")), "weights-file-pickle"],
    ["a call of a text", raw(text("torch.Size"), tuple(), op("R")), "weights-file-pickle"],
    ["a call of a class", raw(call("torch", "FloatStorage", int(4))), "weights-file-pickle"],
    ["a name made of numbers", raw(int(1), int(2), op(0x93)), "weights-file-pickle"],
    ["an ordered dict of things", raw(call("collections", "OrderedDict", list())), "weights-file-pickle"],
    ["a size of a number", raw(call("torch", "Size", int(4))), "weights-file-pickle"],
    ["a storage that is none", raw(text("x"), op("Q")), "weights-file-pickle"],
    [
      "a storage of a class that is none",
      raw(tuple(text("storage"), global("torch", "Tensor"), text("0"), text("cpu"), int(1)), op("Q")),
      "weights-file-pickle",
    ],
    ["a tensor without a storage", raw(tensor(none, 0, [], [])), "weights-file-pickle"],
    ["fewer strides than sizes", raw(tensor(one, 0, [2, 3], [3])), "weights-file-pickle"],
    ["a negative size", raw(tensor(one, 0, [-1], [1])), "weights-file-pickle"],
    ["a negative stride", raw(tensor(one, 5, [2], [-1])), "weights-file-pickle"],
    ["a hundred dims", raw(tensor(one, 0, Array<number>(100).fill(1), Array<number>(100).fill(1))), "weights-file-pickle"],
    ["a parameter of nothing", raw(parameter(none)), "weights-file-pickle"],
    [
      "a lazily conjugated tensor",
      raw(call("torch._utils", "_rebuild_tensor_v2", one, int(0), sizes([]), sizes([]), no, ordered([]), dict([["conj", yes]]))),
      "weights-file-pickle",
    ],
    [
      "a rebuild by another function",
      raw(call("torch._tensor", "_rebuild_from_type_v2", global("torch", "Size"), global("torch", "Tensor"), tuple(tuple()), dict([]))),
      "weights-file-pickle",
    ],
    ["a rebuild without arguments", raw(call("torch._tensor", "_rebuild_from_type_v2")), "weights-file-pickle"],
    ["lists a hundred deep", raw(nested(100)), "weights-file-pickle"],
    ["lists a hundred thousand deep", raw(nested(1e5)), "weights-file-pickle"],
    ["a list that holds itself", raw(op("]", "q", 0, "h", 0, "a")), "weights-file-pickle"],
    ["a list of lists of lists, 10^20 in all", raw(laughs), "weights-file-pickle"],
    ["a name of a million letters", raw(dict([["x".repeat(1e6), none]])), "weights-file-pickle"],
    ["an endless pickle", raw(new Uint8Array(5e6).fill(0x4e)), "weights-file-pickle"],
    ["a module", raw(global("posix", "system"), tuple(text("true")), op("R")), "weights-file-global"],
    ["a builtin", raw(call("builtins", "eval", text("1"))), "weights-file-global"],
    ["a name put together", raw(text("builtins"), text("exec"), op(0x93)), "weights-file-global"],
    ["a name of every object", raw(global("toString", "constructor")), "weights-file-global"],
    ["a class of the training program", raw(global("models.s4", "S4Model")), "weights-file-global"],
    ["a quantized storage", raw(storage("QInt8Storage", "0", 6)), "weights-file-dtype"],
    ["a view past its storage", viewFile(1, [2, 3], [3, 1]), "weights-file-shape"],
    ["a view that begins past its storage", viewFile(6, [1], [1]), "weights-file-shape"],
    ["a view with a stride past its storage", viewFile(0, [2], [6]), "weights-file-shape"],
    ["a view of 2^60 elements of one", viewFile(0, [2 ** 30, 2 ** 30], [0, 0]), "weights-file-shape"],
    [
      "a view of more elements than numbers count",
      viewFile(0, Array<number>(60).fill(2 ** 40), Array<number>(60).fill(0)),
      "weights-file-shape",
    ],
    ["a stride of 2^52", viewFile(0, [4, 4], [2 ** 52, 2 ** 52]), "weights-file-shape"],
    [
      "a storage of more elements than its file",
      torchFile(dict([["w", tensor(storage("FloatStorage", "0", 7), 0, [1], [1])]]), { "0": range(6) }),
      "weights-file-shape",
    ],
    [
      "a storage of fewer elements than its file",
      torchFile(dict([["w", tensor(storage("FloatStorage", "0", 5), 0, [1], [1])]]), { "0": range(6) }),
      "weights-file-shape",
    ],
    [
      "one storage in two formats",
      torchFile(
        dict([
          ["w", tensor(one, 0, [1], [1])],
          ["v", tensor(storage("DoubleStorage", "0", 6), 0, [1], [1])],
        ]),
        { "0": range(6) },
      ),
      "weights-file-shape",
    ],
    [
      "a name twice",
      torchFile(
        dict([
          ["w", tensor(one, 0, [1], [1])],
          ["w", tensor(one, 1, [1], [1])],
        ]),
        { "0": range(6) },
      ),
      "weights-file-duplicate",
    ],
    [
      "a name twice, once nested",
      torchFile(
        dict([
          ["a.w", tensor(one, 0, [1], [1])],
          ["a", dict([["w", tensor(one, 1, [1], [1])]])],
        ]),
        { "0": range(6) },
      ),
      "weights-file-duplicate",
    ],
  ];
  test.each(cases)("%s", async (_, file, code) => {
    expect(await codeOf(file)).toBe(code);
  });

  test("a message names the file, the tensor, and what to do", async () => {
    await expect(open(viewFile(1, [2, 3], [3, 1]))).rejects.toThrow('test.pt holds "w", F32 [2, 3], up to element 6 of a storage of 6');
    await expect(open(raw(global("models.s4", "S4Model")))).rejects.toMatchObject({
      message: 'test.pt names "models.s4.S4Model": it holds objects besides tensors, and objects are code',
      fix: "save the tensors alone, with torch.save(model.state_dict(), path), or as safetensors",
    });
  });

  test("any damage to a file gives a file that opens or a diagnostic, never another error", async () => {
    const good = zipFile(parts().map((part, i) => ({ ...part, deflated: i === 0 })));
    const damage = fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(
        damage,
        fc.oneof({ weight: 4, arbitrary: fc.constant(good.length) }, fc.nat(good.length)),
        async (changes, length) => {
          const file = good.slice(0, length);
          for (const [at, value] of changes) if (at < length) file[at] = value;
          expect(await codeOf(file)).toMatch(/^(accepted|weights-file-[a-z]+)$/);
        },
      ),
      { numRuns: 150 },
    );
  });

  test("any damage to a pickle gives tensors or a diagnostic", async () => {
    const body = joined([op(0x80, 2), small.value, op(".")]);
    const damage = fc.array(fc.tuple(fc.nat(body.length - 1), fc.nat(255)), { minLength: 1, maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(damage, async (changes) => {
        const bytes = body.slice();
        for (const [at, value] of changes) bytes[at] = value;
        const [, data] = parts();
        expect(await codeOf(zipFile([{ path: "a/data.pkl", bytes }, ...(data === undefined ? [] : [data])]))).toMatch(
          /^(accepted|weights-file-[a-z]+)$/,
        );
      }),
      { numRuns: 150 },
    );
  });
});
