/** The number formats of safetensors files and their values in float64. Not the dtypes of the IR, which are f32 and i32. */
import { fromHalf } from "./half.ts";

interface DTypeDef {
  /** Size of one element. */
  readonly bytes: number;
  /** The values of aligned elements; little-endian, as the format says and as every machine in question is. */
  readonly values: (buffer: ArrayBufferLike, offset: number, length: number) => Float64Array;
}

interface NumberArray {
  new (buffer: ArrayBufferLike, offset: number, length: number): ArrayLike<number>;
  readonly BYTES_PER_ELEMENT: number;
}

/** A format that JavaScript has arrays for. */
const plain = (Array: NumberArray): DTypeDef => ({
  bytes: Array.BYTES_PER_ELEMENT,
  values: (buffer, offset, length) => new Float64Array(new Array(buffer, offset, length)),
});

/** A format whose elements are made from those of an array. */
const mapped = <T>(
  bytes: number,
  read: (buffer: ArrayBufferLike, offset: number, length: number) => ArrayLike<T>,
  value: (element: T) => number,
): DTypeDef => ({
  bytes,
  values: (buffer, offset, length) => Float64Array.from(read(buffer, offset, length), value),
});

/** Every format that can be read. */
export const dtypes = {
  F64: plain(Float64Array),
  F32: plain(Float32Array),
  F16: mapped(2, (...place) => new Uint16Array(...place), fromHalf),
  BF16: mapped(2, (...place) => new Uint16Array(...place), bfloat),
  I64: mapped(8, (...place) => new BigInt64Array(...place), Number),
  I32: plain(Int32Array),
  I16: plain(Int16Array),
  I8: plain(Int8Array),
  U64: mapped(8, (...place) => new BigUint64Array(...place), Number),
  U32: plain(Uint32Array),
  U16: plain(Uint16Array),
  U8: plain(Uint8Array),
  BOOL: mapped(
    1,
    (...place) => new Uint8Array(...place),
    (byte) => (byte === 0 ? 0 : 1),
  ),
} as const satisfies Record<string, DTypeDef>;

export type StoredDType = keyof typeof dtypes;

/** Whether `name` is a format of the table. */
export function isStoredDType(name: unknown): name is StoredDType {
  return typeof name === "string" && Object.hasOwn(dtypes, name);
}

/** The values of packed elements; 64-bit integers beyond 2^53 are rounded. `bytes` need not be aligned. */
export function decode(dtype: StoredDType, bytes: Uint8Array): Float64Array {
  const { bytes: width, values } = dtypes[dtype];
  const { buffer, byteOffset, byteLength } = bytes.byteOffset % width === 0 ? bytes : new Uint8Array(bytes);
  return values(buffer, byteOffset, Math.floor(byteLength / width));
}

const scratch = new DataView(new ArrayBuffer(4));

/** The upper half of a binary32. */
function bfloat(bits: number): number {
  scratch.setUint32(0, bits << 16);
  return scratch.getFloat32(0);
}
