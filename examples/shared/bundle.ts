/** The built bundle as these pages use it: input `u`, output `logits`. A bundle's own `index.d.ts` says the same. */
import type { DeviceTensor, LoadedModel, LoadOptions, ModelStream, TensorInput, TensorOutput } from "../../src/runtime/api.ts";

type Inputs = { readonly u: TensorInput };
type Outputs = { readonly logits: TensorOutput };
type DeviceOutputs = { readonly logits: DeviceTensor };

export type Model = LoadedModel<Inputs, Outputs, DeviceOutputs>;
export type Stream = ModelStream<Inputs, Outputs, DeviceOutputs>;

interface Bundle {
  readonly load: (options?: LoadOptions) => Promise<Model>;
}

/** Loads the bundle that lies in the folder `bundle/` beside the page. */
export async function loadBundle(options?: LoadOptions): Promise<Model> {
  const address = new URL("bundle/index.js", document.baseURI).href;
  const bundle = (await import(address)) as Bundle;
  return bundle.load(options);
}

/** A human name for the adapter a model runs on. */
export function adapterName({ info }: Model): string {
  const { description, vendor, architecture, device } = info.adapter;
  return description || [vendor, architecture, device].filter((word) => word !== "").join(" ") || "unnamed adapter";
}
