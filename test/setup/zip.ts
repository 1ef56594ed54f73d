/** Writes zip files as PyTorch does (sizes behind the data, padding in local headers), and with lies where a test asks for one. */
import { crc32, deflateRawSync } from "node:zlib";

/** A file to put into a zip file, and what is said of it where that is not the truth. */
export interface ZipPart {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly deflated?: boolean;
  /** What the directory says. */
  readonly lies?: Partial<Record<"size" | "packed" | "crc" | "offset" | "flags" | "method", number>>;
}

const MAX32 = 0xffffffff;

/** Numbers as little-endian bytes: `[size, value]` each. */
function le(...fields: readonly (readonly [size: 2 | 4 | 8, value: number])[]): Uint8Array {
  const bytes = new Uint8Array(fields.reduce((sum, [size]) => sum + size, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const [size, value] of fields) {
    if (size === 2) view.setUint16(at, value, true);
    else if (size === 4) view.setUint32(at, value, true);
    else view.setBigUint64(at, BigInt(value), true);
    at += size;
  }
  return bytes;
}

/** Bytes one behind the other. */
export function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** A zip file; with `zip64`, sizes and places are in the fields for large files; with `records`, it has zip64's last records without need. */
export function zipFile(parts: readonly ZipPart[], { zip64 = false, records = false } = {}): Uint8Array<ArrayBuffer> {
  const written: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let at = 0;
  for (const { path, bytes, deflated = false, lies = {} } of parts) {
    const name = new TextEncoder().encode(path);
    const data = deflated ? deflateRawSync(bytes) : bytes;
    const truth = { size: bytes.length, packed: data.length, crc: crc32(bytes), offset: at, flags: 0x808, method: deflated ? 8 : 0 };
    const said = { ...truth, ...lies };
    const padding = (64 - ((at + 34 + name.length) % 64)) % 64;
    const head = [
      le([4, 0x04034b50], [2, 0], [2, said.flags], [2, said.method], [4, 0], [4, 0], [4, 0], [4, 0], [2, name.length], [2, 4 + padding]),
      name,
      le([2, 0x4246], [2, padding]),
      new Uint8Array(padding).fill(0x5a),
    ];
    const tail = le([4, 0x08074b50], [4, said.crc], [zip64 ? 8 : 4, said.packed], [zip64 ? 8 : 4, said.size]);
    const local = joined([...head, data, tail]);
    written.push(local);
    const large = le([2, 1], [2, 24], [8, said.size], [8, said.packed], [8, said.offset]);
    const sizes = zip64 ? [MAX32, MAX32] : [said.packed, said.size];
    directory.push(
      le([4, 0x02014b50], [2, 0], [2, zip64 ? 45 : 20], [2, said.flags], [2, said.method], [4, 0], [4, said.crc]),
      le([4, sizes[0] ?? 0], [4, sizes[1] ?? 0], [2, name.length], [2, zip64 ? large.length : 0], [2, 0], [2, 0], [2, 0], [4, 0]),
      le([4, zip64 ? MAX32 : said.offset]),
      name,
      zip64 ? large : new Uint8Array(),
    );
    at += local.length;
  }
  return joined([...written, ...directory, endOf(parts.length, joined(directory).length, at, { zip64, records: records || zip64 })]);
}

function endOf(
  count: number,
  size: number,
  at: number,
  { zip64, records }: { readonly zip64: boolean; readonly records: boolean },
): Uint8Array {
  const record = le([4, 0x06064b50], [8, 44], [2, 45], [2, 45], [4, 0], [4, 0], [8, count], [8, count], [8, size], [8, at]);
  const locator = le([4, 0x07064b50], [4, 0], [8, at + size], [4, 1]);
  const short = zip64 ? ([0xffff, MAX32, MAX32] as const) : ([count, size, at] as const);
  const end = le([4, 0x06054b50], [2, 0], [2, 0], [2, short[0]], [2, short[0]], [4, short[1]], [4, short[2]], [2, 0]);
  return records ? joined([record, locator, end]) : end;
}
