/**
 * Reads safetensors files as what they are: input nobody vouched for. The header is checked against the file's true size
 * before anything is read or allocated for it; holes between tensors are allowed, overlaps are not. Values are read on
 * demand. Writing is in `write.ts`.
 *
 * Source: the format's own description, huggingface/safetensors README, "Format".
 */
import { CompileError } from "../ir/error.ts";
import { decode, dtypes, isStoredDType, type StoredDType } from "./dtypes.ts";
import { repeatedKey } from "./json.ts";

/** Something with bytes: a file, a fetched body, an array. */
export interface ByteSource {
  /** What messages call it, such as a file's path. */
  readonly label: string;
  readonly size: number;
  /** Exactly `length` bytes from `start`; only asked for ranges inside `size`. */
  readonly read: (start: number, length: number) => Promise<Uint8Array>;
}

/** What a tensor of a file is. */
export interface TensorEntry {
  readonly dtype: StoredDType;
  readonly shape: readonly number[];
}

/** Where a tensor lies in its file, in bytes. */
export interface PlacedEntry extends TensorEntry {
  readonly start: number;
  readonly end: number;
}

/** An opened file: a checked header, and values on demand. */
export interface TensorFile {
  readonly label: string;
  readonly entries: ReadonlyMap<string, TensorEntry>;
  readonly metadata: ReadonlyMap<string, string>;
  /** The values of a tensor of `entries`. */
  readonly read: (name: string) => Promise<Float64Array>;
}

/** A safetensors file says where its tensors lie. */
export interface SafetensorsFile extends TensorFile {
  readonly entries: ReadonlyMap<string, PlacedEntry>;
}

/** The reference implementation's limit. */
const MAX_HEADER = 100_000_000;

/** The bytes of an array as a source. */
export function bytesSource(bytes: Uint8Array, label = "weights"): ByteSource {
  return { label, size: bytes.byteLength, read: async (start, length) => bytes.subarray(start, start + length) };
}

/**
 * Opens a safetensors file.
 *
 * Throws: `weights-file-truncated`, `weights-file-header`, `weights-file-duplicate`, `weights-file-dtype`,
 * `weights-file-shape`, `weights-file-offsets`, `weights-file-overlap`.
 */
export async function openSafetensors(source: ByteSource): Promise<SafetensorsFile> {
  const { header, dataStart } = await readHeader(source);
  const entries = new Map<string, PlacedEntry>();
  const metadata = new Map<string, string>();
  for (const [name, value] of Object.entries(header)) {
    if (name === "__metadata__") readMetadata(source, value).forEach(([k, v]) => metadata.set(k, v));
    else entries.set(name, checkEntry(source, name, value, dataStart));
  }
  checkOverlap(source, entries);
  const read = async (name: string): Promise<Float64Array> => {
    const entry = entries.get(name);
    if (entry === undefined) throw new Error(`bug: ${source.label} has no tensor "${name}"`);
    return decode(entry.dtype, await source.read(entry.start, entry.end - entry.start));
  };
  return { label: source.label, entries, metadata, read };
}

async function readHeader(source: ByteSource): Promise<{ header: Readonly<Record<string, unknown>>; dataStart: number }> {
  if (source.size < 8) {
    throw fault(source, "truncated", `has ${source.size} bytes; a safetensors file begins with 8 that give its header's length`);
  }
  const prefix = await source.read(0, 8);
  const length = new DataView(prefix.buffer, prefix.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(source.size - 8)) {
    throw fault(source, "truncated", `says that its header has ${length} bytes, but has only ${source.size - 8} bytes left`);
  }
  if (length > BigInt(MAX_HEADER)) {
    throw fault(source, "header", `has a header of ${length} bytes; at most ${MAX_HEADER} are read`);
  }
  const text = decodeText(source, await source.read(8, Number(length)));
  return { header: parseHeader(source, text), dataStart: 8 + Number(length) };
}

function decodeText(source: ByteSource, bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw fault(source, "header", "has a header that is not UTF-8 text");
  }
}

function parseHeader(source: ByteSource, text: string): Readonly<Record<string, unknown>> {
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch {
    throw fault(source, "header", "has a header that is not JSON");
  }
  if (!isRecord(header)) throw fault(source, "header", "has a header that is not a JSON object");
  const repeated = repeatedKey(text);
  if (repeated !== undefined) throw fault(source, "duplicate", `names "${repeated}" twice in its header`);
  return header;
}

function readMetadata(source: ByteSource, value: unknown): [string, string][] {
  const entries = isRecord(value) ? Object.entries(value) : undefined;
  if (!entries?.every((entry): entry is [string, string] => typeof entry[1] === "string")) {
    throw fault(source, "header", "has a `__metadata__` that is not an object of strings");
  }
  return entries;
}

function checkEntry(source: ByteSource, name: string, value: unknown, dataStart: number): PlacedEntry {
  const { dtype, shape, data_offsets: offsets } = isRecord(value) ? value : {};
  if (!isStoredDType(dtype)) {
    throw fault(
      source,
      "dtype",
      `holds "${name}" with dtype ${JSON.stringify(dtype) ?? "missing"}; read are ${Object.keys(dtypes).join(", ")}`,
    );
  }
  if (!isSizes(shape)) throw fault(source, "shape", `holds "${name}" with a shape that is not a list of sizes`);
  if (!isSizes(offsets) || offsets.length !== 2) {
    throw fault(source, "offsets", `holds "${name}" with data_offsets that are not two positions`);
  }
  const [begin = 0, end = 0] = offsets;
  if (begin > end) throw fault(source, "offsets", `holds "${name}" with data_offsets that run backwards: ${begin} to ${end}`);
  if (end > source.size - dataStart) {
    throw fault(source, "truncated", `places "${name}" up to byte ${dataStart + end}, but has ${source.size} bytes`);
  }
  const bytes = shape.reduce((product, size) => product * size, dtypes[dtype].bytes);
  if (bytes !== end - begin) {
    throw fault(source, "shape", `holds "${name}", ${dtype} [${shape.join(", ")}], of ${bytes} bytes in a place of ${end - begin} bytes`);
  }
  return { dtype, shape, start: dataStart + begin, end: dataStart + end };
}

function checkOverlap(source: ByteSource, entries: ReadonlyMap<string, PlacedEntry>): void {
  const placed = [...entries].filter(([, e]) => e.end > e.start).sort(([, a], [, b]) => a.start - b.start);
  placed.forEach(([name, entry], i) => {
    const before = placed[i - 1];
    if (before !== undefined && before[1].end > entry.start) {
      throw fault(source, "overlap", `places "${before[0]}" and "${name}" over each other`);
    }
  });
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isSizes(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}

const FIXES = {
  truncated: "fetch the file again and compare its size with the original's",
  header: "check that this is a safetensors file, whole and unchanged",
  duplicate: "write the file again with every tensor named once",
  dtype: "save the tensor in one of the formats that are read",
  shape: "write the file again with a library that computes its header",
  offsets: "write the file again with a library that computes its header",
  overlap: "write the file again with a library that computes its header",
} as const;

function fault(source: ByteSource, kind: keyof typeof FIXES, what: string): CompileError {
  return new CompileError({ code: `weights-file-${kind}`, message: `${source.label} ${what}`, fix: FIXES[kind] });
}
