/** What a published architecture is: how the keys of its configurations say what is computed. The table of them is in `architectures.ts`. */
import type { Seq, Tensor } from "../dsl/tensor.ts";
import type { Config } from "./config.ts";

/** What no key of a configuration says; each where absent as the newest published code has it. */
export interface CheckpointOptions {
  /** The activation of A in Mamba-3, which was `softplus` before June 2026. */
  readonly aActivation?: "heavy-tail" | "softplus" | undefined;
  /** Whether the gated norm of Mamba-2 is over each group of heads, as in state-spaces/mamba, or over the whole width, as in transformers. */
  readonly gatedNorm?: "groups" | "whole" | undefined;
}

/** A mixer of every layer, its sizes known. */
export type Mixer = <W extends number>(x: Tensor<Seq<W>>) => Tensor<Seq<W>>;

/** Reads the mixer's options from the keys of a configuration; `width` is that of the channels around it. */
export type ReadMixer = (config: Config, width: number, options: CheckpointOptions) => Mixer;

/** What transformers takes where a key is missing. */
export interface StackDefaults {
  readonly width: number;
  readonly layers: number;
  readonly rows: number;
  readonly tied: boolean;
}

/** A published architecture. */
export interface Architecture {
  readonly name: string;
  /** The options it knows. */
  readonly options: readonly (keyof CheckpointOptions)[];
  /** Checkpoints of state-spaces/mamba, whose `ssm_cfg` names this layer. */
  readonly original?: { readonly layer: string; readonly mixer: ReadMixer };
  /** Checkpoints of transformers of this `model_type`. */
  readonly transformers?: { readonly modelType: string; readonly defaults: StackDefaults; readonly mixer: ReadMixer };
}
