/** The number formats of safetensors files and their values in float64. Not the dtypes of the IR, which are f32 and i32. */

interface DTypeDef {
  /** Size of one element. */
  readonly bytes: number;
  /** The element at byte `at`; little-endian, as the format says. */
  readonly get: (view: DataView, at: number) => number;
}

/** Every format that can be read. */
export const dtypes = {
  F64: { bytes: 8, get: (view, at) => view.getFloat64(at, true) },
  F32: { bytes: 4, get: (view, at) => view.getFloat32(at, true) },
  F16: { bytes: 2, get: (view, at) => half(view.getUint16(at, true)) },
  BF16: { bytes: 2, get: (view, at) => bfloat(view.getUint16(at, true)) },
  I64: { bytes: 8, get: (view, at) => Number(view.getBigInt64(at, true)) },
  I32: { bytes: 4, get: (view, at) => view.getInt32(at, true) },
  I16: { bytes: 2, get: (view, at) => view.getInt16(at, true) },
  I8: { bytes: 1, get: (view, at) => view.getInt8(at) },
  U64: { bytes: 8, get: (view, at) => Number(view.getBigUint64(at, true)) },
  U32: { bytes: 4, get: (view, at) => view.getUint32(at, true) },
  U16: { bytes: 2, get: (view, at) => view.getUint16(at, true) },
  U8: { bytes: 1, get: (view, at) => view.getUint8(at) },
  BOOL: { bytes: 1, get: (view, at) => (view.getUint8(at) === 0 ? 0 : 1) },
} as const satisfies Record<string, DTypeDef>;

export type StoredDType = keyof typeof dtypes;

/** Whether `name` is a format of the table. */
export function isStoredDType(name: unknown): name is StoredDType {
  return typeof name === "string" && Object.hasOwn(dtypes, name);
}

/** The values of packed elements; 64-bit integers beyond 2^53 are rounded. `bytes` need not be aligned. */
export function decode(dtype: StoredDType, bytes: Uint8Array): Float64Array {
  const def: DTypeDef = dtypes[dtype];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float64Array.from({ length: Math.floor(bytes.byteLength / def.bytes) }, (_, i) => def.get(view, i * def.bytes));
}

/** IEEE 754 binary16. */
function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const scratch = new DataView(new ArrayBuffer(4));

/** The upper half of a binary32. */
function bfloat(bits: number): number {
  scratch.setUint32(0, bits << 16);
  return scratch.getFloat32(0);
}
