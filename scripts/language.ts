/** The text that a language model is tested on, and how well the model foretells it: bits a character, against PyTorch. */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { ExecutionMode, LoadedModel, TensorInput, TensorOutput } from "../src/runtime/api.ts";
import { bytesSource, openSafetensors, type TensorFile } from "../src/weights/safetensors.ts";

/** A loaded model that takes ids and gives logits. */
export type LanguageModel = LoadedModel<{ readonly ids: TensorInput<Int32Array> }, { readonly logits: TensorOutput }, unknown>;

/** Chunks of a text, each read from the zero state, and what is known about them. */
export interface TextSet {
  readonly count: number;
  /** Ids that are foretold in each chunk; it has one more. */
  readonly length: number;
  /** All ids, `[count, length + 1]`. */
  readonly ids: Int32Array;
  /** Where in a chunk PyTorch's logits are known, and these, `[n, positions, V]`, of the first chunks. */
  readonly positions: readonly number[];
  readonly logits: Float64Array;
  /** PyTorch's nats for each id foretold, `[n, length]`, of the first chunks. */
  readonly nats: Float64Array;
  /** PyTorch's bits a character over all chunks, to five digits behind the point, where they are told (`metrics.json`). */
  readonly bits: number | undefined;
}

/** Reads `test.safetensors` of a folder; of whole test sets PyTorch's numbers lie in `ref_logits.safetensors` beside it. */
export async function readTextSet(folder: string): Promise<TextSet> {
  const open = async (file: string): Promise<TensorFile> => openSafetensors(bytesSource(await readFile(join(folder, file)), file));
  const test = await open("test.safetensors");
  const apart = existsSync(join(folder, "ref_logits.safetensors"));
  const reference = apart ? await open("ref_logits.safetensors") : test;
  const metrics = join(folder, "metrics.json");
  const told = existsSync(metrics) ? (JSON.parse(await readFile(metrics, "utf8")) as { readonly test_bpc?: number }) : {};
  const [count = 0, ids = 0] = test.entries.get("input_ids")?.shape ?? [];
  return {
    count,
    length: ids - 1,
    ids: Int32Array.from(await test.read("input_ids")),
    positions: [...(await reference.read("positions"))],
    logits: await reference.read("logits_at_positions"),
    nats: await reference.read(apart ? "nll_nats_first64" : "nll_nats"),
    bits: told.test_bpc,
  };
}

/** What one mode made of the first chunks of a text. */
export interface TextScore {
  readonly mode: ExecutionMode;
  readonly count: number;
  /** Bits a character. */
  readonly bits: number;
  /** The same of PyTorch, over the chunks of these that it is known for. */
  readonly theirs: number;
  /** Largest difference to PyTorch's logits over their largest magnitude, where they are known. */
  readonly apart: number;
  readonly seconds: number;
}

const mean = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0) / values.length;

/** Nats of `id`: how unlikely the logits held it. */
function natsOf(logits: Float32Array, id: number): number {
  const top = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  return Math.log(logits.reduce((sum, x) => sum + Math.exp(x - top), 0)) - ((logits[id] ?? NaN) - top);
}

/** The first `count` chunks in one mode, `batch` at a time. */
export async function scoreText(
  model: LanguageModel,
  text: TextSet,
  mode: ExecutionMode,
  count: number,
  batch: number,
): Promise<TextScore> {
  const { length, ids, positions, logits: known } = text;
  const nats: number[] = [];
  let [apart, seconds] = [0, 0];
  for (let from = 0; from < count; from += batch) {
    const chunks = Array.from({ length: Math.min(batch, count - from) }, (_, i) =>
      ids.subarray((from + i) * (length + 1), (from + i + 1) * (length + 1)),
    );
    const given = Int32Array.from(chunks.flatMap((chunk) => [...chunk.subarray(0, -1)]));
    const start = performance.now();
    const { data, dims } = (await model.run({ ids: given }, { mode, batch: chunks.length })).logits;
    seconds += (performance.now() - start) / 1000;
    const width = dims.at(-1) ?? 0;
    const at = (chunk: number, step: number): Float32Array =>
      data.subarray((chunk * length + step) * width, (chunk * length + step + 1) * width);
    for (const [i, chunk] of chunks.entries()) {
      for (let t = 0; t < length; t++) nats.push(natsOf(at(i, t), chunk[t + 1] ?? -1));
      for (const [p, position] of positions.entries()) {
        const theirs = known.subarray(((from + i) * positions.length + p) * width).subarray(0, width);
        const ours = at(i, position);
        apart = theirs.reduce((worst, x, c) => Math.max(worst, Math.abs(x - (ours[c] ?? NaN))), apart);
      }
    }
  }
  const scale = known.reduce((largest, x) => Math.max(largest, Math.abs(x)), 0);
  return {
    mode,
    count,
    bits: mean(nats) / Math.LN2,
    theirs: mean([...text.nats.subarray(0, count * length)]) / Math.LN2,
    apart: apart / scale,
    seconds,
  };
}
