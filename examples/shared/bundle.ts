/**
 * The built bundle as these pages use it: input `u`, and outputs by name, `logits` of a classifier; of a language model `ids` and `logits`. A bundle's own
 * `index.d.ts` says the same.
 */
import type { DeviceTensor, LoadedModel, LoadOptions, ModelStream, TensorInput, TensorOutput } from "../../src/runtime/api.ts";
import type { LanguageModel as LoadedLanguageModel, LanguageStream as ModelLanguageStream } from "../../src/runtime/language-api.ts";

type Inputs = { readonly u: TensorInput };
type Outputs<O extends string> = { readonly [K in O]: TensorOutput };
type DeviceOutputs<O extends string> = { readonly [K in O]: DeviceTensor };

export type Model<O extends string = "logits"> = LoadedModel<Inputs, Outputs<O>, DeviceOutputs<O>>;
export type Stream<O extends string = "logits"> = ModelStream<Inputs, Outputs<O>, DeviceOutputs<O>>;

type Ids = { readonly ids: TensorInput<Int32Array> };

export type LanguageModel = LoadedLanguageModel<Ids, Outputs<"logits">, DeviceOutputs<"logits">>;
export type LanguageStream = ModelLanguageStream<Ids, Outputs<"logits">, DeviceOutputs<"logits">>;

interface Bundle<M> {
  readonly load: (options?: LoadOptions) => Promise<M>;
}

/** Loads the bundle that lies in the folder `bundle/` beside the page. */
export async function loadBundle<M>(options?: LoadOptions): Promise<M> {
  const address = new URL("bundle/index.js", document.baseURI).href;
  const bundle = (await import(address)) as Bundle<M>;
  return bundle.load(options);
}

/** A human name for the adapter a model runs on. */
export function adapterName({ info }: Pick<Model, "info">): string {
  const { description, vendor, architecture, device } = info.adapter;
  return description || [vendor, architecture, device].filter((word) => word !== "").join(" ") || "unnamed adapter";
}
