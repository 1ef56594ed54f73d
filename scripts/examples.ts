/** What the scripts, tests and benchmarks do with an example: build it, read its test set, put its page beside the bundle. */
import { spawnSync } from "node:child_process";
import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
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
    | { readonly type: "mulaw"; readonly gain: number };
}

/** The float value of a raw byte; the formula of `config.json`. */
function transformOf({ input_transform: t }: Config): (u8: number) => number {
  if (t.type === "affine") return (u8) => (u8 / 255 - t.mean) / t.std;
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

/** Runs the compiled `recurve build` on an example and its trained weights. Throws where it fails; its diagnostics are on stderr. */
export function buildBundle(root: string, name: string, folder: string): void {
  const example = join(root, "examples", name);
  const args = ["build", join(example, "model.ts"), "--weights", join(example, "model.safetensors"), "-o", folder];
  const { status } = spawnSync(process.execPath, [join(root, "dist", "cli", "main.js"), ...args], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  if (status !== 0) throw new Error(`recurve ${args.join(" ")} exited with ${status}`);
}

/** Writes `index.html`, `page.js`, `page.css` and the test inputs of an example to `folder`; the page expects its bundle in `folder/bundle`. */
export async function assemblePage(root: string, name: string, folder: string): Promise<void> {
  const [example, shared] = [join(root, "examples", name), join(root, "examples", "shared")];
  await mkdir(folder, { recursive: true });
  await build({
    entryPoints: [join(example, "page.ts")],
    outfile: join(folder, "page.js"),
    bundle: true,
    format: "esm",
    target: "es2023",
    logLevel: "warning",
  });
  const results = (await readFile(join(shared, "results.html"), "utf8")).trim();
  const html = await readFile(join(example, "index.html"), "utf8");
  await writeFile(
    join(folder, "index.html"),
    html.replace("<!-- results -->", () => results),
  );
  await cp(join(shared, "page.css"), join(folder, "page.css"));
  for (const file of ["config.json", "test.safetensors"]) await cp(join(example, file), join(folder, file));
}
