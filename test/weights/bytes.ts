/** Makes safetensors files byte by byte, right and wrong ones. */

/** A file of the given header text (or JSON value) and data. */
export function rawFile(header: unknown, data: Uint8Array = new Uint8Array(), claimed?: bigint): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const file = new Uint8Array(8 + text.byteLength + data.byteLength);
  new DataView(file.buffer).setBigUint64(0, claimed ?? BigInt(text.byteLength), true);
  file.set(text, 8);
  file.set(data, 8 + text.byteLength);
  return file;
}

/** A tensor's entry of a header. */
export const entry = (dtype: string, shape: readonly unknown[], begin: unknown, end: unknown): object => ({
  dtype,
  shape,
  data_offsets: [begin, end],
});
