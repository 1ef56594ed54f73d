/**
 * The zip container of a PyTorch file, read in pieces: the directory when it is opened, an entry when it is asked for.
 * What a zip file can lie about (sizes, places, checksums, overlaps) is found out by zip.js; what its bytes mean is none
 * of this file's business.
 *
 * Source: PKWARE, APPNOTE.TXT, sections 4.3 to 4.5.
 */
import { ERR_OVERLAPPING_ENTRY, type FileEntry, Reader, ZipReader } from "@zip.js/zip.js/lib/zip-core-native.js";
import { CompileError } from "../../ir/error.ts";
import type { ByteSource } from "../safetensors.ts";
import { fault } from "./fault.ts";
import { withZip64 } from "./zip64.ts";

/** Files inside a file. */
export interface Archive {
  /** Sizes in bytes, by path. */
  readonly sizes: ReadonlyMap<string, number>;
  /** The bytes from `start` up to `end` of a file inside. Throws: `weights-file-zip`, `weights-file-overlap`. */
  readonly read: (path: string, start: number, end: number) => Promise<Uint8Array>;
}

const METHODS: readonly number[] = [0, 8];
/** Deflate cannot do better: a block of 258 bytes takes two bits at least. */
const MAX_RATIO = 1032;
/** PyTorch stores without compression; who compresses does so to save little. */
const MAX_INFLATED = 2 ** 30;
/** zip.js runs in this thread, and compares what an entry says of itself with what the directory says. */
const OPTIONS = { useWebWorkers: false, checkOverlappingEntry: true, checkCrc32: true } as const;

/** Opens a zip file. Throws: `weights-file-zip`. */
export async function openArchive(source: ByteSource): Promise<Archive> {
  const entries = new Map<string, FileEntry>();
  const reader = readerOf(await withZip64(source));
  const listed = await zipErrors(source.label, () => new ZipReader(reader, OPTIONS).getEntries({ checkAmbiguity: true }));
  for (const entry of listed) {
    if (entry.directory) continue;
    checkEntry(source.label, entry);
    if (entries.has(entry.filename)) throw fault(source.label, "zip", `holds "${entry.filename}" twice`);
    entries.set(entry.filename, entry);
  }
  const read = async (path: string, start: number, end: number): Promise<Uint8Array> => {
    const entry = entries.get(path);
    if (entry === undefined) throw fault(source.label, "zip", `holds no "${path}"`);
    const { bytes, sink } = keep(start, end);
    await zipErrors(source.label, () => entry.getData(sink), path);
    return bytes;
  };
  return { sizes: new Map([...entries].map(([path, { uncompressedSize }]) => [path, uncompressedSize])), read };
}

function readerOf(source: ByteSource): Reader<ByteSource> {
  return Object.assign(new Reader(source), {
    size: source.size,
    readUint8Array: (start: number, length: number) => {
      const from = Math.min(Math.max(start, 0), source.size);
      return source.read(from, Math.max(0, Math.min(length, source.size - from)));
    },
  });
}

function checkEntry(label: string, { filename, encrypted, compressionMethod, compressedSize, uncompressedSize }: FileEntry): void {
  const fail = (what: string): CompileError => fault(label, "zip", `holds "${filename}" ${what}`);
  if (encrypted) throw fail("encrypted");
  if (!METHODS.includes(compressionMethod)) throw fail(`compressed by method ${compressionMethod}; stored and deflated files are read`);
  if (compressionMethod === 0) {
    if (compressedSize !== uncompressedSize) throw fail(`stored, with two sizes: ${compressedSize} and ${uncompressedSize} bytes`);
  } else if (uncompressedSize > MAX_RATIO * compressedSize || uncompressedSize > MAX_INFLATED)
    throw fail(`deflated from ${uncompressedSize} to ${compressedSize} bytes, which is not credible`);
}

/** A stream that keeps the bytes from `start` up to `end` of what is written to it. */
function keep(start: number, end: number): { readonly bytes: Uint8Array; readonly sink: WritableStream<Uint8Array> } {
  const bytes = new Uint8Array(end - start);
  let at = 0;
  const sink = new WritableStream<Uint8Array>({
    write: (chunk) => {
      const from = Math.max(start - at, 0);
      const part = chunk.subarray(from, Math.max(end - at, from));
      if (part.length > 0) bytes.set(part, at + from - start);
      at += chunk.length;
    },
  });
  return { bytes, sink };
}

/** Runs `use`; what zip.js throws becomes a diagnostic. */
async function zipErrors<T>(label: string, use: () => Promise<T>, path?: string): Promise<T> {
  try {
    return await use();
  } catch (error) {
    if (error instanceof CompileError) throw error;
    const where = path === undefined ? "" : ` at "${path}"`;
    const what = error instanceof Error ? error.message : String(error);
    if (what === ERR_OVERLAPPING_ENTRY) throw fault(label, "overlap", `places files over each other${where}`);
    throw fault(label, "zip", `is a damaged zip file${where}: ${what.toLowerCase()}`);
  }
}
