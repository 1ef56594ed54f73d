/** From the folder of a published checkpoint to a graph, the values of its parameters, and what goes with them. */
import { join } from "node:path";
import { model, tokens } from "../dsl/model.ts";
import { CompileError } from "../ir/error.ts";
import type { Constants, Graph } from "../ir/graph.ts";
import { withTensorFile } from "../files.ts";
import { mambaModel } from "../models/mamba-model.ts";
import { loadWeights } from "../weights/load.ts";
import type { TensorFile } from "../weights/safetensors.ts";
import { mamba as scheme } from "../weights/schemes/mamba.ts";
import type { CheckpointOptions } from "./architecture.ts";
import { describe, type Described } from "./architectures.ts";
import { readConfig, withTensors } from "./folder.ts";
import { readTokenizer, type TokenizerData } from "./tokenizer.ts";

/** A checkpoint, read. */
export interface Checkpoint {
  readonly graph: Graph;
  readonly constants: Constants;
  /** Ids that stand for something. */
  readonly vocabulary: number;
  /** What is taken for granted, because no file says it. */
  readonly notes: readonly string[];
  readonly tokenizer: TokenizerData | undefined;
  /** The files it was read from. */
  readonly files: readonly string[];
}

/** Options of `readCheckpoint`. */
export interface FolderOptions extends CheckpointOptions {
  /** The file of its tensors, in place of those in the folder. */
  readonly weights?: string | undefined;
  /** Ids that stand for something; as many as the files say where absent. */
  readonly vocabulary?: number | undefined;
}

/**
 * Reads a checkpoint.
 * Throws: `checkpoint-*`, `tokenizer-*`, `weights-*`.
 */
export async function readCheckpoint(folder: string, options: FolderOptions = {}): Promise<Checkpoint> {
  const described = describe(await readConfig(folder), options);
  const tokenizer = await readTokenizer(folder, described.stack.rows);
  const graph = graphOf(described);
  const { weights } = options;
  const read = async (file: TensorFile, paths: readonly string[]): Promise<Pick<Checkpoint, "constants" | "files">> => {
    const constants = await loadWeights(graph, file, scheme);
    await checkTie(described, constants, file);
    return { constants, files: [join(folder, "config.json"), ...(tokenizer?.paths ?? []), ...paths] };
  };
  const values = await (weights === undefined ? withTensors(folder, read) : withTensorFile(weights, (file) => read(file, [weights])));
  const vocabulary = options.vocabulary ?? Math.min(described.stack.vocabulary, tokenizer?.size ?? Infinity);
  return { graph, ...values, vocabulary, notes: notesOf(described, vocabulary, options), tokenizer };
}

/** The graph of a described model. */
export function graphOf({ name, stack, mixer }: Described): Graph {
  const { rows, ...options } = stack;
  return model(name, { ids: tokens(rows) }, ({ ids }) => ({ logits: mambaModel(ids, { ...options, mixer: (x) => mixer(x) }) })).graph;
}

const HEAD = /(^|\.)lm_head\.weight$/;

/** Throws: `checkpoint-config` where a head that is tied has values of its own. */
async function checkTie({ stack }: Described, constants: Constants, file: TensorFile): Promise<void> {
  const head = [...file.entries.keys()].find((name) => HEAD.test(name));
  if (!stack.tied || head === undefined) return;
  const [own, embedding] = [await file.read(head), constants.get("backbone.embedding.weight")?.data];
  if (own.length === embedding?.length && own.every((value, i) => value === embedding[i])) return;
  throw new CompileError({
    code: "checkpoint-config",
    message: `the configuration ties the head of ${file.label} to its embedding, and "${head}" has other values`,
    fix: 'set "tie_embeddings" ("tie_word_embeddings" of transformers) to false where the head was trained by itself',
  });
}

/** What no key of the configuration says. */
function notesOf({ name, origin, stack, open }: Described, vocabulary: number, options: CheckpointOptions): readonly string[] {
  const padded =
    vocabulary < stack.rows ? [`${stack.rows - vocabulary} of ${stack.rows} rows of the embedding pad it: their ids are never chosen`] : [];
  const said = (option: keyof CheckpointOptions): string =>
    options[option] === undefined ? ", which no key of config.json says" : ", as asked for";
  const activation = `the activation of A is ${options.aActivation ?? "heavy-tail"}${said("aActivation")}`;
  const over = options.gatedNorm ?? (origin === "transformers" ? "whole" : "groups");
  const norm = `the gated norm is over ${over === "groups" ? "each group of heads" : "the whole width"}, as in ${over === "groups" ? "state-spaces/mamba" : "transformers"}`;
  return [
    `checkpoint: ${name} as ${origin} writes it`,
    ...padded,
    ...(open.includes("aActivation") ? [activation] : []),
    ...(open.includes("gatedNorm") ? [norm] : []),
  ];
}
