/** The built bundle as these pages use it: input `u`, and outputs by name, `logits` of a classifier. A bundle's own `index.d.ts` says the same. */
import type { DeviceTensor, LoadedModel, LoadOptions, ModelStream, TensorInput, TensorOutput } from "../../src/runtime/api.ts";

type Inputs = { readonly u: TensorInput };
type Outputs<O extends string> = { readonly [K in O]: TensorOutput };
type DeviceOutputs<O extends string> = { readonly [K in O]: DeviceTensor };

export type Model<O extends string = "logits"> = LoadedModel<Inputs, Outputs<O>, DeviceOutputs<O>>;
export type Stream<O extends string = "logits"> = ModelStream<Inputs, Outputs<O>, DeviceOutputs<O>>;

interface Bundle<O extends string> {
  readonly load: (options?: LoadOptions) => Promise<Model<O>>;
}

/** Loads the bundle that lies in the folder `bundle/` beside the page. */
export async function loadBundle<O extends string>(options?: LoadOptions): Promise<Model<O>> {
  const address = new URL("bundle/index.js", document.baseURI).href;
  const bundle = (await import(address)) as Bundle<O>;
  return bundle.load(options);
}

/** A human name for the adapter a model runs on. */
export function adapterName({ info }: Pick<Model, "info">): string {
  const { description, vendor, architecture, device } = info.adapter;
  return description || [vendor, architecture, device].filter((word) => word !== "").join(" ") || "unnamed adapter";
}
