/** Golden language models: random weights with what an independent float64 implementation makes of them. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { FolderOptions } from "../../src/checkpoints/checkpoint.ts";
import type { Constant } from "../../src/ir/graph.ts";
import { bytesSource, openSafetensors, type TensorFile } from "../../src/weights/safetensors.ts";

/** A folder or file of the golden data. */
export const goldenPath = (name: string): string => fileURLToPath(new URL(`../../../shared/golden/mamba/${name}`, import.meta.url));

/** A file of golden tensors. */
export const goldenFile = (name: string): Promise<TensorFile> => openSafetensors(bytesSource(readFileSync(goldenPath(name)), name));

/** A tensor of a golden file. */
export const tensorOf = async (file: TensorFile, name: string): Promise<Constant> => ({
  shape: file.entries.get(name)?.shape ?? [],
  data: await file.read(name),
});

/** A checkpoint, and the item whose numbers it gives. */
export interface GoldenModel {
  readonly item: string;
  /** Its folder inside of the item. */
  readonly form: "original" | "hf";
  readonly options?: FolderOptions;
  /** Which of the item's numbers. */
  readonly variant?: string;
  /** Ids that stand for something, and rows of the embedding. */
  readonly vocabulary: number;
  readonly rows: number;
}

/** Every golden language model in every naming. */
export const goldenModels: readonly GoldenModel[] = [
  { item: "mamba1-a", form: "original", vocabulary: 100, rows: 104 },
  { item: "mamba1-a", form: "hf", options: { vocabulary: 100 }, vocabulary: 100, rows: 104 },
  { item: "mamba1-b-bf16", form: "original", vocabulary: 257, rows: 264 },
  { item: "mamba1-b-bf16", form: "hf", options: { vocabulary: 257 }, vocabulary: 257, rows: 264 },
  { item: "falcon-mamba-a", form: "hf", options: { vocabulary: 90 }, vocabulary: 90, rows: 96 },
  { item: "mamba2-a", form: "original", vocabulary: 96, rows: 96 },
  { item: "mamba2-a", form: "hf", vocabulary: 96, rows: 96 },
  { item: "mamba2-b-groups", form: "original", vocabulary: 150, rows: 152 },
  { item: "mamba2-b-groups", form: "hf", options: { gatedNorm: "groups", vocabulary: 150 }, vocabulary: 150, rows: 152 },
  { item: "mamba2-b-groups", form: "hf", options: { vocabulary: 150 }, variant: "hf_fullnorm.", vocabulary: 150, rows: 152 },
  { item: "mamba2-c-mlp", form: "original", vocabulary: 64, rows: 64 },
  { item: "mamba3-lm-siso", form: "original", vocabulary: 80, rows: 80 },
];

/** How many ids of a prompt the item's states and tokens follow. */
export const prefillOf = (item: string): number =>
  (JSON.parse(readFileSync(goldenPath(`${item}/golden.json`), "utf8")) as { readonly prefill_len: number }).prefill_len;

/** What a test calls it. */
export const nameOf = ({ item, form, variant = "", options }: GoldenModel): string =>
  `${item}, ${form}${variant}${options?.gatedNorm === undefined ? "" : ", norm by groups"}`;
