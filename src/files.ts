/** Files as the ways in need them: read in pieces, written whole or not at all. */
import { randomUUID } from "node:crypto";
import { rmSync } from "node:fs";
import { mkdtemp, open, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CompileError } from "./ir/error.ts";
import { openTensors } from "./weights/open.ts";
import type { ByteSource, TensorFile } from "./weights/safetensors.ts";

/** Opens a file of tensors, safetensors or PyTorch's, runs `use`, and closes it. The header is read first, tensors when asked for. */
export async function withTensorFile<T>(path: string, use: (file: TensorFile) => Promise<T>): Promise<T> {
  const handle = await open(path, "r");
  try {
    const info = await handle.stat();
    if (!info.isFile())
      throw new CompileError({
        code: "file-kind",
        message: `${path} is not a file`,
        fix: "give the path of a safetensors or PyTorch file",
      });
    const read = async (start: number, length: number): Promise<Uint8Array> => {
      const buffer = new Uint8Array(length);
      for (let done = 0; done < length;) {
        const { bytesRead } = await handle.read(buffer, done, length - done, start + done);
        if (bytesRead === 0) throw shrunk(path);
        done += bytesRead;
      }
      return buffer;
    };
    const source: ByteSource = { label: path, size: info.size, read };
    return await use(await openTensors(source));
  } finally {
    await handle.close();
  }
}

function shrunk(path: string): CompileError {
  return new CompileError({
    code: "weights-file-truncated",
    message: `${path} became shorter while it was read`,
    fix: "wait until the file is written",
  });
}

const unfinished = new Set<string>();
process.once("exit", () => unfinished.forEach((path) => rmSync(path, { recursive: true, force: true })));

/** Runs `use`, and removes `path` after it, or when the process exits in the middle. */
async function withTemporary<T>(path: string, use: () => Promise<T>): Promise<T> {
  unfinished.add(path);
  try {
    return await use();
  } finally {
    await rm(path, { recursive: true, force: true });
    unfinished.delete(path);
  }
}

/** Writes a file so that it is there whole or not at all. What is no regular file, such as a pipe, is written directly. */
export async function writeWhole(path: string, bytes: Uint8Array): Promise<void> {
  const before = await stat(path).catch(() => undefined);
  if (before !== undefined && !before.isFile()) {
    await writeFile(path, bytes).catch((error: unknown) => rethrowWithPath(error, path));
    return;
  }
  const temporary = `${path}.${randomUUID().slice(0, 8)}.tmp`;
  await withTemporary(temporary, async () => {
    await writeFile(temporary, bytes);
    await rename(temporary, path);
  }).catch((error: unknown) => rethrowWithPath(error, path));
}

/** Node leaves the path out of errors of a write, and names the temporary file in others. */
function rethrowWithPath(error: unknown, path: string): never {
  if (error instanceof Error) throw Object.assign(error, { path });
  throw error;
}

/** Runs `use` with the path of a folder that may be made, in a new folder that is removed after. */
export async function withScratch<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const parent = await mkdtemp(join(tmpdir(), "recurve-"));
  return withTemporary(parent, () => use(join(parent, "bundle")));
}
