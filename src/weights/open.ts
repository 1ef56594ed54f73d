/** Opens a file of tensors as what its first bytes say it is. */
import { CompileError } from "../ir/error.ts";
import { openSafetensors, type ByteSource, type TensorFile } from "./safetensors.ts";

const ZIP = [0x50, 0x4b, 0x03, 0x04];
/** A pickle of protocol 2, with the number that PyTorch wrote before version 1.6. */
const LEGACY = [0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46];
const HDF5 = [0x89, 0x48, 0x44, 0x46];

/**
 * Opens a safetensors file or a file of `torch.save`.
 *
 * Throws: `weights-file-kind` where it is of another kind that is known, and what `openSafetensors` and `openTorch` throw.
 */
export async function openTensors(source: ByteSource): Promise<TensorFile> {
  const head = await source.read(0, Math.min(8, source.size));
  const begins = (magic: readonly number[]): boolean => magic.every((byte, i) => head[i] === byte);
  if (begins(ZIP)) {
    const { openTorch } = await import("./torch.ts");
    return openTorch(source);
  }
  if (begins(LEGACY))
    throw otherKind(
      source,
      "is of the kind that PyTorch wrote before version 1.6",
      "load it in PyTorch and save it again: torch.save(torch.load(path), path)",
    );
  if (begins(HDF5)) throw otherKind(source, "is an HDF5 file", "save its tensors as safetensors, by the names of the model's parameters");
  if (isPickle(head, source.size))
    throw otherKind(source, "is a pickle of Python", "save its tensors with torch.save(tensors, path), or as safetensors");
  return openSafetensors(source);
}

/** Whether a file begins as pickles of protocol 2 to 5 do, and cannot be safetensors, whose header would be longer than it. */
function isPickle(head: Uint8Array, size: number): boolean {
  const [mark, protocol = 0] = head;
  if (head.length < 8 || mark !== 0x80 || protocol < 2 || protocol > 5) return false;
  return new DataView(head.buffer, head.byteOffset, 8).getBigUint64(0, true) > BigInt(size);
}

function otherKind(source: ByteSource, what: string, fix: string): CompileError {
  return new CompileError({ code: "weights-file-kind", message: `${source.label} ${what}, which is not read`, fix });
}
