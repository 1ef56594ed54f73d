/**
 * PyTorch ends every zip file with the records of zip64, also where no number needs them. zip.js reads those records only where a
 * number of the last record has no room, and else takes them for a gap behind the directory. Here such a file is shown to it with
 * the place of the directory saturated, so that it reads, and compares, what both records say.
 *
 * Source: PKWARE, APPNOTE.TXT, sections 4.3.14 to 4.3.16.
 */
import type { ByteSource } from "../safetensors.ts";

/** Signatures and lengths of the last records: end of the directory, where zip64's is, zip64's. */
const END = { signature: 0x06054b50, bytes: 22, offset: 16, comment: 20 };
const LOCATOR = { signature: 0x07064b50, bytes: 20, record: 8 };
const RECORD = { signature: 0x06064b50, bytes: 56, offset: 48 };

/** The file, its last record in need of zip64's where both agree about the place of the directory. */
export async function withZip64(source: ByteSource): Promise<ByteSource> {
  const { size } = source;
  const end = size - END.bytes;
  const tail = END.bytes + LOCATOR.bytes;
  if (size < tail + RECORD.bytes) return source;
  const last = viewOf(await source.read(size - tail, tail));
  const isEnd = last.getUint32(LOCATOR.bytes, true) === END.signature && last.getUint16(LOCATOR.bytes + END.comment, true) === 0;
  const place = Number(last.getBigUint64(LOCATOR.record, true));
  if (!isEnd || last.getUint32(0, true) !== LOCATOR.signature || !(place <= size - tail - RECORD.bytes)) return source;
  const record = viewOf(await source.read(place, RECORD.bytes));
  const directory = last.getUint32(LOCATOR.bytes + END.offset, true);
  if (record.getUint32(0, true) !== RECORD.signature || record.getBigUint64(RECORD.offset, true) !== BigInt(directory)) return source;
  const [from, to] = [end + END.offset, end + END.offset + 4];
  const read = async (start: number, length: number): Promise<Uint8Array> => {
    const bytes = await source.read(start, length);
    return start < to && start + length > from ? bytes.map((byte, i) => (start + i >= from && start + i < to ? 0xff : byte)) : bytes;
  };
  return { ...source, read };
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
