/**
 * Weight shards: reading with progress, verifying length and hash, and finding the tensors in them. Not for uploading.
 * Source: the safetensors format, github.com/huggingface/safetensors.
 */
import type { LoadOptions } from "./api.ts";
import { WeightsError } from "./errors.ts";
import type { Plan } from "./plan.ts";

/** A tensor of a shard; `data` views the shard's bytes. */
export interface Tensor {
  readonly data: InstanceType<(typeof arrays)[keyof typeof arrays]>;
  readonly shape: readonly number[];
}
export type Tensors = ReadonlyMap<string, Tensor>;

type Shard = Plan["shards"][number];

/** What holds the elements of each dtype; those of packed weights are for the device only. */
const arrays = {
  F32: Float32Array<ArrayBuffer>,
  F64: Float64Array<ArrayBuffer>,
  I32: Int32Array<ArrayBuffer>,
  F16: Uint16Array<ArrayBuffer>,
  U8: Uint8Array<ArrayBuffer>,
} as const;

/** The tensors of every shard, by name. Throws: WeightsError, the signal's reason. */
export async function readShards(shards: readonly Shard[], base: string, options: LoadOptions): Promise<Tensors> {
  const total = shards.reduce((sum, shard) => sum + shard.bytes, 0);
  let loaded = 0;
  const advance = (bytes: number): void => options.onProgress?.({ stage: "weights", loaded: (loaded += bytes), total });
  const found = await Promise.all(
    shards.map(async (shard) => {
      const bytes = await readShard(shard, base, options, advance);
      await verify(shard, bytes);
      return parseShard(shard.file, bytes);
    }),
  );
  return new Map(found.flatMap((tensors) => [...tensors]));
}

async function readShard(
  shard: Shard,
  base: string,
  options: LoadOptions,
  advance: (bytes: number) => void,
): Promise<Uint8Array<ArrayBuffer>> {
  options.signal?.throwIfAborted();
  try {
    const url = new URL(shard.file, base);
    if (!options.read && !(url.protocol === "file:" && "process" in globalThis))
      return await fetchShard(url, shard, options.signal, advance);
    const bytes = new Uint8Array(await (options.read ? options.read(shard.file) : readFile(url)));
    advance(bytes.length);
    return bytes;
  } catch (error) {
    options.signal?.throwIfAborted();
    throw error instanceof WeightsError
      ? error
      : new WeightsError(shard.file, undefined, `cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** On hosts that have `node:fs` and a `fetch` that refuses file URLs. */
async function readFile(url: URL): Promise<Uint8Array> {
  const fs = (await hostModule("node:fs/promises")) as { readFile(url: URL): Promise<Uint8Array> };
  return fs.readFile(url);
}

/** A module of the host: its name is a parameter so that bundlers leave it alone. */
const hostModule = (name: string): Promise<unknown> => import(/* @vite-ignore */ name);

async function fetchShard(
  url: URL,
  shard: Shard,
  signal: AbortSignal | undefined,
  advance: (bytes: number) => void,
): Promise<Uint8Array<ArrayBuffer>> {
  const response = await fetch(url, signal ? { signal } : {});
  if (!response.ok || !response.body) throw new WeightsError(shard.file, undefined, `HTTP status ${response.status}`);
  const bytes = new Uint8Array(shard.bytes);
  const reader = response.body.getReader();
  let at = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return bytes.subarray(0, at);
    if (at + value.length > bytes.length) {
      await reader.cancel();
      throw new WeightsError(shard.file, undefined, `longer than its ${shard.bytes} bytes`);
    }
    bytes.set(value, at);
    at += value.length;
    advance(value.length);
  }
}

async function verify(shard: Shard, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  if (bytes.length !== shard.bytes) throw new WeightsError(shard.file, undefined, `${bytes.length} bytes, not ${shard.bytes}`);
  const subtle = (globalThis.crypto as Partial<Crypto> | undefined)?.subtle;
  if (!subtle) return;
  const digest = new Uint8Array(await subtle.digest("SHA-256", bytes));
  const hash = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (hash !== shard.sha256) throw new WeightsError(shard.file, hash, `its SHA-256 is ${hash}, not ${shard.sha256}`);
}

/** The tensors of one safetensors file of the dtypes above. Throws: WeightsError. */
export function parseShard(file: string, bytes: Uint8Array<ArrayBuffer>): Tensors {
  try {
    const start = 8 + Number(new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getBigUint64(0, true));
    if (start > bytes.length) throw new Error("the header runs over the end");
    const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, start))) as Record<string, unknown>;
    const data = bytes.subarray(start);
    const entries = Object.entries(header).filter(([name]) => name !== "__metadata__");
    return new Map(entries.map(([name, entry]) => [name, parseTensor(name, entry, data)]));
  } catch (error) {
    throw new WeightsError(file, undefined, `not a safetensors file: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function parseTensor(name: string, entry: unknown, data: Uint8Array<ArrayBuffer>): Tensor {
  const { dtype, shape, data_offsets: offsets } = entry as { dtype: keyof typeof arrays; shape: number[]; data_offsets: [number, number] };
  const [from, to] = offsets;
  if (!Object.hasOwn(arrays, dtype) || ![...shape, from, to].every((n) => Number.isSafeInteger(n) && n >= 0))
    throw new Error(`tensor ${name} has no known dtype, shape and offsets`);
  const view = arrays[dtype];
  const width = view.BYTES_PER_ELEMENT;
  if (to > data.length || to - from !== shape.reduce((a, b) => a * b, width)) throw new Error(`tensor ${name} does not fit its bytes`);
  const bytes = data.subarray(from, to);
  return {
    data: bytes.byteOffset % width ? new view(bytes.slice().buffer) : new view(bytes.buffer, bytes.byteOffset, bytes.length / width),
    shape,
  };
}
