/** What stands around the mixers, by the keys of state-spaces/mamba and by those of transformers. */
import { CompileError } from "../ir/error.ts";
import type { StackDefaults } from "./architecture.ts";
import { countAt, flagAt, numberAt, textAt, valueAt, type Config } from "./config.ts";

/** The sizes of a language model. */
export interface Stack {
  readonly width: number;
  readonly layers: number;
  /** Of the embedding and the head, those that only pad them included. */
  readonly rows: number;
  /** Ids that stand for something, as far as the configuration says. */
  readonly vocabulary: number;
  readonly norm: "rms" | "layer";
  readonly eps: number;
  readonly mlp: number | undefined;
  readonly tied: boolean;
}

const LAYERS = { most: 1024 };
const WIDTH = { most: 2 ** 20 };
/** What the hidden channels of the gated multilayer perceptron are rounded up to. */
const MLP_MULTIPLE = 128;

const upTo = (count: number, multiple: number): number => Math.ceil(count / multiple) * multiple;

/** Throws: `checkpoint-unsupported`. */
export function unsupported(config: Config, what: string, fix: string): never {
  throw new CompileError({ code: "checkpoint-unsupported", message: `${config.label} ${what}, which is not read`, fix });
}

/**
 * By the keys of state-spaces/mamba.
 * Throws: `checkpoint-config`, `checkpoint-unsupported`.
 * Source: mamba_ssm/models/config_mamba.py and mixer_seq_simple.py.
 */
export function originalStack(config: Config): Stack {
  const attention: unknown = valueAt(config, "attn_layer_idx");
  if (Array.isArray(attention) && attention.length > 0)
    unsupported(config, `has layers of attention (attn_layer_idx: ${attention.slice(0, 8).join(", ")})`, "write the model as a model file");
  const vocabulary = countAt(config, "vocab_size", 50277);
  const hidden = countAt(config, "d_intermediate", 0, { least: 0, ...WIDTH });
  return {
    width: countAt(config, "d_model", undefined, WIDTH),
    layers: countAt(config, "n_layer", 64, LAYERS),
    rows: upTo(vocabulary, countAt(config, "pad_vocab_size_multiple", 8)),
    vocabulary,
    norm: flagAt(config, "rms_norm", true) ? "rms" : "layer",
    eps: 1e-5,
    mlp: hidden === 0 ? undefined : upTo(hidden, MLP_MULTIPLE),
    tied: flagAt(config, "tie_embeddings", true),
  };
}

/**
 * By the keys of transformers.
 * Throws: `checkpoint-config`, `checkpoint-unsupported`.
 * Source: huggingface/transformers, models/mamba, mamba2 and falcon_mamba, configuration files.
 */
export function transformersStack(config: Config, defaults: StackDefaults): Stack {
  const activation = textAt(config, "hidden_act", "silu");
  if (activation !== "silu" && activation !== "swish")
    unsupported(config, `has the activation ${JSON.stringify(activation)}`, "write the model as a model file");
  const rows = countAt(config, "vocab_size", defaults.rows);
  return {
    width: countAt(config, "hidden_size", defaults.width, WIDTH),
    layers: countAt(config, "num_hidden_layers", defaults.layers, LAYERS),
    rows,
    vocabulary: rows,
    norm: "rms",
    eps: numberAt(config, "layer_norm_epsilon", 1e-5, { most: 1 }),
    mlp: undefined,
    tied: flagAt(config, "tie_word_embeddings", defaults.tied),
  };
}
