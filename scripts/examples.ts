/** What the scripts, tests and benchmarks do with an example: build it, read its test set, put its page beside the bundle. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { cp, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { build } from "esbuild";
import { bytesSource, openSafetensors, type TensorFile } from "../src/weights/safetensors.ts";

/** An example's test inputs, as the model takes them, and what is known about them. */
export interface TestSet {
  readonly count: number;
  readonly length: number;
  /** Inputs `from .. from+count` as `[count, L, 1]`. */
  readonly inputs: (from: number, count: number) => Float32Array;
  /** The right classes. */
  readonly labels: readonly number[];
  /** PyTorch's classes. */
  readonly predictions: readonly number[];
  /** PyTorch's logits of the first inputs, `[n, 10]`. */
  readonly logits: Float64Array;
}

interface Config {
  readonly input_transform:
    | { readonly type: "affine"; readonly mean: number; readonly std: number }
    | { readonly type: "scale"; readonly scale: number }
    | { readonly type: "mulaw"; readonly gain: number };
}

/** The float value of a raw byte; the formula of `config.json`. */
function transformOf({ input_transform: t }: Config): (u8: number) => number {
  if (t.type === "affine") return (u8) => (u8 / 255 - t.mean) / t.std;
  if (t.type === "scale") return (u8) => u8 * t.scale;
  return (u8) => {
    const v = u8 / 127.5 - 1;
    return (t.gain * Math.sign(v) * (256 ** Math.abs(v) - 1)) / 255;
  };
}

/**
 * Reads the test set in a folder with `config.json` and `test.safetensors`; PyTorch's logits and predictions may lie in `ref_logits.safetensors` beside it,
 * as they do for whole test sets.
 */
export async function readTestSet(folder: string): Promise<TestSet> {
  const transform = transformOf(JSON.parse(await readFile(join(folder, "config.json"), "utf8")) as Config);
  const open = async (file: string): Promise<TensorFile> => openSafetensors(bytesSource(await readFile(join(folder, file)), file));
  const test = await open("test.safetensors");
  const reference = test.entries.has("predictions") ? test : await open("ref_logits.safetensors");
  const [raw, labels] = [await test.read("inputs"), await test.read("labels")];
  const [predictions, logits] = [await reference.read("predictions"), await reference.read("logits")];
  const length = raw.length / labels.length;
  return {
    count: labels.length,
    length,
    inputs: (from, count) => Float32Array.from(raw.subarray(from * length, (from + count) * length), transform),
    labels: [...labels],
    predictions: [...predictions],
    logits,
  };
}

/** Runs the compiled `recurve build` on an example and its trained weights, where it has any. Throws where it fails; its diagnostics are on stderr. */
export function buildBundle(root: string, name: string, folder: string): void {
  const example = join(root, "examples", name);
  const weights = join(example, "model.safetensors");
  const args = ["build", join(example, "model.ts"), ...(existsSync(weights) ? ["--weights", weights] : []), "-o", folder];
  const { status } = spawnSync(process.execPath, [join(root, "dist", "cli", "main.js"), ...args], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  if (status !== 0) throw new Error(`recurve ${args.join(" ")} exited with ${status}`);
}

/**
 * Writes the pages of an example (every `.html` file of it, with the pieces of `shared/` it names as comments), their scripts, `page.css`, the vocabulary and the test
 * inputs to `folder`; the pages expect their bundle in `folder/bundle`.
 */
export async function assemblePage(root: string, name: string, folder: string): Promise<void> {
  const [example, shared] = [join(root, "examples", name), join(root, "examples", "shared")];
  await mkdir(folder, { recursive: true });
  const files = await readdir(example);
  await build({
    entryPoints: ["page.ts", "live.ts"].filter((script) => files.includes(script)).map((script) => join(example, script)),
    outdir: folder,
    bundle: true,
    format: "esm",
    target: "es2023",
    logLevel: "warning",
  });
  const pieces = await piecesOf(shared);
  for (const page of files.filter((file) => file.endsWith(".html")))
    await writeFile(join(folder, page), withPieces(await readFile(join(example, page), "utf8"), pieces));
  for (const file of ["config.json", "test.safetensors", "vocab.json"])
    if (files.includes(file)) await cp(join(example, file), join(folder, file));
  await cp(join(shared, "page.css"), join(folder, "page.css"));
}

/** The text of each `.html` file of a folder, by its name without the ending. */
async function piecesOf(folder: string): Promise<ReadonlyMap<string, string>> {
  const names = (await readdir(folder)).filter((file) => file.endsWith(".html"));
  const read = async (file: string): Promise<[string, string]> => [file.slice(0, -5), (await readFile(join(folder, file), "utf8")).trim()];
  return new Map(await Promise.all(names.map(read)));
}

/** `<!-- name -->` is the place of a piece; pieces may hold others. */
function withPieces(html: string, pieces: ReadonlyMap<string, string>): string {
  return html.replace(/<!-- ([\w-]+) -->/g, (comment, name: string) => {
    const piece = pieces.get(name);
    return piece === undefined ? comment : withPieces(piece, pieces);
  });
}
