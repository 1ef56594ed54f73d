/** The table of published architectures. */
import { CompileError } from "../ir/error.ts";
import type { Architecture, CheckpointOptions, Mixer } from "./architecture.ts";
import { has, sectionAt, textAt, valueAt, type Config } from "./config.ts";
import { falconMamba } from "./falcon-mamba.ts";
import { mamba } from "./mamba.ts";
import { mamba2 } from "./mamba2.ts";
import { mamba3 } from "./mamba3.ts";
import { originalStack, transformersStack, type Stack } from "./stack.ts";

/** Every architecture. */
export const architectures: readonly Architecture[] = [mamba, falconMamba, mamba2, mamba3];

/** A language model as its configuration says it. */
export interface Described {
  readonly name: string;
  /** Whose keys and names it has. */
  readonly origin: "state-spaces/mamba" | "transformers";
  readonly stack: Stack;
  readonly mixer: Mixer;
  /** Options that no key of it says. */
  readonly open: readonly (keyof CheckpointOptions)[];
}

/**
 * What a configuration says.
 * Throws: `checkpoint-architecture`, `checkpoint-config`, `checkpoint-unsupported`, `checkpoint-option`.
 */
export function describe(config: Config, options: CheckpointOptions): Described {
  const described =
    has(config, "d_model") && !has(config, "model_type") ? describeOriginal(config, options) : describeTransformers(config, options);
  checkOptions(config, described, options);
  return described;
}

function describeOriginal(config: Config, options: CheckpointOptions): Described {
  const ssm = sectionAt(config, "ssm_cfg");
  const layer = textAt(ssm, "layer", "Mamba1");
  const found = architectures.find(({ original }) => original?.layer === layer);
  if (found?.original === undefined) return unknown(config, `ssm_cfg.layer ${JSON.stringify(layer)}`);
  const stack = originalStack(config);
  return {
    name: found.name,
    origin: "state-spaces/mamba",
    stack,
    mixer: found.original.mixer(ssm, stack.width, options),
    open: found.options,
  };
}

function describeTransformers(config: Config, options: CheckpointOptions): Described {
  const type = valueAt(config, "model_type");
  if (type === undefined) return unknown(config, "neither model_type nor d_model");
  const found = architectures.find(({ transformers }) => transformers?.modelType === type);
  if (found?.transformers === undefined) return unknown(config, `model_type ${JSON.stringify(type)}`);
  const { defaults, mixer } = found.transformers;
  const stack = transformersStack(config, defaults);
  return { name: found.name, origin: "transformers", stack, mixer: mixer(config, stack.width, options), open: found.options };
}

function unknown({ label }: Config, what: string): never {
  const types = architectures.flatMap(({ transformers }) => transformers?.modelType ?? []);
  const layers = architectures.flatMap(({ original }) => original?.layer ?? []);
  throw new CompileError({
    code: "checkpoint-architecture",
    message: `${label} has ${what}: of this architecture nothing is known`,
    fix: `read are the model_types ${types.join(", ")} of transformers, and the layers ${layers.join(", ")} of state-spaces/mamba; write any other model as a model file`,
  });
}

const WORDS: Readonly<Record<keyof CheckpointOptions, string>> = { aActivation: "an activation of A", gatedNorm: "a gated norm" };

/** Throws: `checkpoint-option`. */
function checkOptions({ label }: Config, { name, open }: Described, options: CheckpointOptions): void {
  const fail = (message: string, fix: string): never => {
    throw new CompileError({ code: "checkpoint-option", message, fix });
  };
  for (const [option, what] of Object.entries(WORDS) as [keyof CheckpointOptions, string][])
    if (options[option] !== undefined && !open.includes(option))
      fail(`${label} is of ${name}, which has not ${what} to choose`, "leave the option out");
}
