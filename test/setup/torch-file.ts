/**
 * Writes files as `torch.save` does: a zip file of `data.pkl` (protocol 2), `data/<key>` and `version`. The pieces of the pickle
 * are functions from bytes to bytes, so that tests can also put together what PyTorch never would.
 */
import { joined, zipFile, type ZipPart } from "./zip.ts";

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Opcodes, or text as its bytes. */
export const op = (...codes: readonly (number | string)[]): Uint8Array =>
  joined(codes.map((code) => (typeof code === "number" ? Uint8Array.of(code) : utf8(code))));

function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

/** Pieces of a pickle. Each leaves one value on the stack. */
export const pickle = {
  none: op("N"),
  yes: op(0x88),
  no: op(0x89),
  text: (value: string): Uint8Array => joined([op("X"), uint32(utf8(value).length), utf8(value)]),
  int: (value: number): Uint8Array => {
    if (value >= 0 && value < 256) return op("K", value);
    if (value >= -(2 ** 31) && value < 2 ** 31) return joined([op("J"), uint32(value >>> 0)]);
    return joined([op(0x8a, 8), new Uint8Array(BigInt64Array.of(BigInt(value)).buffer)]);
  },
  tuple: (...items: readonly Uint8Array[]): Uint8Array => (items.length === 0 ? op(")") : joined([op("("), ...items, op("t")])),
  list: (...items: readonly Uint8Array[]): Uint8Array => joined([op("]", "("), ...items, op("e")]),
  dict: (pairs: readonly (readonly [string, Uint8Array])[]): Uint8Array => filled(op("}"), pairs),
  global: (module: string, name: string): Uint8Array => op("c", `${module}\n${name}\n`),
  call: (module: string, name: string, ...args: readonly Uint8Array[]): Uint8Array =>
    joined([pickle.global(module, name), pickle.tuple(...args), op("R")]),
  ordered: (pairs: readonly (readonly [string, Uint8Array])[]): Uint8Array => filled(pickle.call("collections", "OrderedDict"), pairs),
  sizes: (values: readonly number[]): Uint8Array => pickle.tuple(...values.map(pickle.int)),
  storage: (type: string, key: string, length: number): Uint8Array =>
    joined([
      pickle.tuple(pickle.text("storage"), pickle.global("torch", type), pickle.text(key), pickle.text("cpu"), pickle.int(length)),
      op("Q"),
    ]),
  tensor: (storage: Uint8Array, offset: number, shape: readonly number[], strides: readonly number[]): Uint8Array =>
    pickle.call(
      "torch._utils",
      "_rebuild_tensor_v2",
      storage,
      pickle.int(offset),
      pickle.sizes(shape),
      pickle.sizes(strides),
      pickle.no,
      pickle.ordered([]),
    ),
  parameter: (tensor: Uint8Array): Uint8Array => pickle.call("torch._utils", "_rebuild_parameter", tensor, pickle.yes, pickle.ordered([])),
} as const;

function filled(dict: Uint8Array, pairs: readonly (readonly [string, Uint8Array])[]): Uint8Array {
  return pairs.length === 0 ? dict : joined([dict, op("("), ...pairs.flatMap(([key, value]) => [pickle.text(key), value]), op("u")]);
}

/** The strides of a tensor that lies row by row. */
export const rowMajor = (shape: readonly number[]): number[] => shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1));

/** A file of `torch.save` around a value's pickle and the bytes of its storages. */
export function torchFile(
  value: Uint8Array,
  storages: Readonly<Record<string, ArrayBufferView>> = {},
  parts: readonly ZipPart[] = [],
): Uint8Array<ArrayBuffer> {
  const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array => new Uint8Array(buffer, byteOffset, byteLength);
  return zipFile([
    { path: "archive/data.pkl", bytes: joined([op(0x80, 2), value, op(".")]) },
    ...Object.entries(storages).map(([key, data]) => ({ path: `archive/data/${key}`, bytes: bytesOf(data) })),
    { path: "archive/version", bytes: utf8("3\n") },
    ...parts,
  ]);
}

/** A tensor to save. */
export interface SavedTensor {
  readonly name: string;
  /** PyTorch's class of its storage, such as `FloatStorage`. */
  readonly storage: string;
  readonly shape: readonly number[];
  readonly data: ArrayBufferView & { readonly length: number };
}

/** A state dict as PyTorch saves it. */
export function stateDict(tensors: readonly SavedTensor[]): {
  readonly value: Uint8Array;
  readonly storages: Readonly<Record<string, ArrayBufferView>>;
} {
  const pairs = tensors.map(({ name, storage, shape, data }, i) => {
    const place = pickle.storage(storage, String(i), storage.startsWith("Complex") ? data.length / 2 : data.length);
    return [name, pickle.tensor(place, 0, shape, rowMajor(shape))] as const;
  });
  const metadata = pickle.dict([["_metadata", pickle.ordered([["", pickle.dict([["version", pickle.int(1)]])]])]]);
  return {
    value: joined([pickle.ordered(pairs), metadata, op("b")]),
    storages: Object.fromEntries(tensors.map(({ data }, i) => [String(i), data])),
  };
}
