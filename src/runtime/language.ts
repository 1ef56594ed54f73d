/** The way into a bundle of a language model. */
import { Engine } from "./engine.ts";
import type { Makers } from "./executor.ts";
import type {
  GenerateOptions,
  LanguageLoadOptions,
  LanguageModel,
  LanguageStreamOptions,
  Piece,
  Prompt,
  Tokenizer,
} from "./language-api.ts";
import { Model } from "./model.ts";
import type { Plan } from "./plan.ts";
import { readPrompts } from "./prompts.ts";
import { TokenStream } from "./token-stream.ts";

/** A model that generates. */
class TokenModel extends Model {
  readonly tokenizer: Tokenizer | undefined;
  readonly #engine: Engine;

  constructor(engine: Engine, tokenizer: Tokenizer | undefined) {
    super(engine);
    this.#engine = engine;
    this.tokenizer = tokenizer;
  }

  override async stream(options: LanguageStreamOptions = {}): Promise<TokenStream> {
    return new TokenStream(this.#engine, options, this.tokenizer);
  }

  /** Throws: InputError, LogitsError, LimitError, DeviceLostError, the signal's reason. */
  async *generate(prompt: Prompt | readonly Prompt[], options: GenerateOptions = {}): AsyncIterableIterator<Piece> {
    const prompts = readPrompts(prompt, this.tokenizer, this.#engine.plan.inputs[0]?.below ?? Infinity);
    const stream = await this.stream({ batch: prompts.length });
    try {
      yield* stream.generate(prompts, options);
    } finally {
      stream.destroy();
    }
  }
}

/**
 * The `load` of a language model's bundle, as `createLoader`. `tokenizer` is the bundle's own, which a caller of `load` may
 * replace.
 * Throws (when called): NoWebGPUError, WeightsError, LimitError, DeviceLostError, the signal's reason.
 */
export function createLanguageLoader<Inputs, Outputs, DeviceOutputs>(
  plan: Plan,
  base: string,
  makers: Makers,
  tokenizer?: Tokenizer,
): (options?: LanguageLoadOptions) => Promise<LanguageModel<Inputs, Outputs, DeviceOutputs>> {
  return async (options = {}) =>
    new TokenModel(await Engine.open({ plan, base, makers }, options), options.tokenizer ?? tokenizer) as unknown as LanguageModel<
      Inputs,
      Outputs,
      DeviceOutputs
    >;
}
