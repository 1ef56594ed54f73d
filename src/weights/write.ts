/**
 * Writes safetensors files, and splits a set of tensors into hashed shards. Data begins at a multiple of 8 bytes and the
 * widest elements come first, so that every tensor is aligned to its own elements and no padding lies between tensors.
 */
import { bug } from "../ir/error.ts";
import { dtypes, type StoredDType } from "./dtypes.ts";

/** A tensor to write. */
export interface WriteTensor {
  readonly name: string;
  readonly dtype: StoredDType;
  readonly shape: readonly number[];
  /** The packed elements, little-endian; a typed array of this dtype on every machine there is. */
  readonly data: ArrayBufferView;
}

/** A file of a set of weights. */
export interface Shard {
  readonly file: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** SHA-256 of the bytes, lower-case hex. */
  readonly sha256: string;
  readonly tensors: readonly string[];
}

/** The bytes of a safetensors file. The same tensors in any order give the same bytes. */
export function writeSafetensors(
  tensors: readonly WriteTensor[],
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  const ordered = inFileOrder(tensors);
  const header = new Map<string, unknown>(Object.keys(metadata).length > 0 ? [["__metadata__", metadata]] : []);
  let end = 0;
  for (const { name, dtype, shape, data } of ordered) {
    if (header.has(name) || name === "__metadata__") bug(`"${name}" names two things in one file`);
    const bytes = shape.reduce((product, size) => product * size, dtypes[dtype].bytes);
    if (bytes !== data.byteLength) bug(`"${name}" ${dtype} [${shape.join(" ")}] has ${data.byteLength} bytes, not ${bytes}`);
    header.set(name, { dtype, shape, data_offsets: [end, end + bytes] });
    end += bytes;
  }
  const text = new TextEncoder().encode(JSON.stringify(Object.fromEntries(header)));
  const headerBytes = Math.ceil(text.byteLength / 8) * 8;
  const file = new Uint8Array(8 + headerBytes + end);
  new DataView(file.buffer).setBigUint64(0, BigInt(headerBytes), true);
  file.fill(0x20, 8, 8 + headerBytes).set(text, 8);
  let at = 8 + headerBytes;
  for (const { data } of ordered) {
    file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return file;
}

/** Splits tensors into files of at most `maxBytes` of data each, where no single tensor is larger, and hashes them. */
export async function writeShards(
  tensors: readonly WriteTensor[],
  metadata: Readonly<Record<string, string>> = {},
  maxBytes = 64 * 2 ** 20,
): Promise<Shard[]> {
  const groups: WriteTensor[][] = [];
  let room = 0;
  for (const tensor of inFileOrder(tensors)) {
    const group = groups.at(-1);
    if (group === undefined || tensor.data.byteLength > room) {
      groups.push([tensor]);
      room = maxBytes - tensor.data.byteLength;
    } else {
      group.push(tensor);
      room -= tensor.data.byteLength;
    }
  }
  if (groups.length === 0) groups.push([]);
  return Promise.all(
    groups.map(async (group, i) => {
      const bytes = writeSafetensors(group, metadata);
      return { file: shardName(i, groups.length), bytes, sha256: await sha256(bytes), tensors: group.map((t) => t.name) };
    }),
  );
}

/** SHA-256 in lower-case hex. */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await globalThis.crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function shardName(index: number, count: number): string {
  const digits = (n: number): string => String(n).padStart(5, "0");
  return count === 1 ? "weights.safetensors" : `weights-${digits(index + 1)}-of-${digits(count)}.safetensors`;
}

function inFileOrder(tensors: readonly WriteTensor[]): readonly WriteTensor[] {
  const width = (t: WriteTensor): number => dtypes[t.dtype].bytes;
  return [...tensors].sort((a, b) => width(b) - width(a) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}
