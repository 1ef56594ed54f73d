/** Calls the command line in this process, and makes what it works on. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { runCli } from "../../src/cli/run-cli.ts";
import { writeSafetensors, type WriteTensor } from "../../src/weights/write.ts";

/** What a call printed and how it ended. */
export interface CliResult {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** One call of the command line. */
export async function cli(...words: readonly string[]): Promise<CliResult> {
  const text = { out: "", err: "" };
  const code = await runCli(words, { out: (t) => (text.out += t), err: (t) => (text.err += t), interactive: false });
  return { code, ...text };
}

/** A folder that is removed when the test ends. */
export async function scratch(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "recurve-test-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A safetensors file in `folder`; gives its path. */
export async function tensorFile(folder: string, name: string, tensors: readonly WriteTensor[]): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, writeSafetensors(tensors));
  return path;
}

/** F32 values of a shape, from a function of the index. */
export function floats(name: string, shape: readonly number[], value: (i: number) => number = () => 0): WriteTensor {
  const count = shape.reduce((a, b) => a * b, 1);
  return { name, dtype: "F32", shape, data: Float32Array.from({ length: count }, (_, i) => value(i)) };
}
