/** From a safetensors file to the inputs of a model, and from its outputs to one. */
import { CompileError } from "../ir/error.ts";
import type { TensorInfo } from "../runtime/api.ts";
import type { TensorFile } from "../weights/safetensors.ts";
import { writeSafetensors } from "../weights/write.ts";
import type { AnyInputs, AnyOutputs } from "./bundle.ts";

const STORED = { f32: "F32", i32: "I32" } as const;

/**
 * The model's inputs, each the tensor of its name.
 * Throws: `input-missing`, `input-unexpected`, `input-dtype`, `input-shape`.
 */
export async function readInputs(file: TensorFile, specs: readonly TensorInfo[]): Promise<AnyInputs> {
  const names = specs.map((spec) => spec.name);
  for (const name of file.entries.keys()) {
    if (!names.includes(name))
      throw fault("unexpected", `${file.label} holds "${name}", which is no input of the model`, `name the tensors ${names.join(", ")}`);
  }
  const inputs: Record<string, AnyInputs[string]> = {};
  for (const spec of specs) inputs[spec.name] = await readInput(file, spec);
  return inputs;
}

async function readInput(file: TensorFile, spec: TensorInfo): Promise<AnyInputs[string]> {
  const { name, dtype } = spec;
  const entry = file.entries.get(name);
  const wanted = `${STORED[dtype]} [${spec.dims.join(", ")}]`;
  if (entry === undefined) throw fault("missing", `${file.label} holds no "${name}" ${wanted}`, `name the tensors as the model's inputs`);
  if (entry.dtype !== STORED[dtype])
    throw fault("dtype", `"${name}" is ${entry.dtype} in ${file.label}; the model takes ${wanted}`, `save it as ${STORED[dtype]}`);
  const fits =
    entry.shape.length === spec.dims.length &&
    spec.dims.every((size, i) => (typeof size === "number" ? size === entry.shape[i] : (entry.shape[i] ?? 0) > 0));
  if (!fits)
    throw fault(
      "shape",
      `"${name}" is [${entry.shape.join(", ")}] in ${file.label}; the model takes ${wanted}`,
      "give it the dims of the model's input",
    );
  const values = await file.read(name);
  const dims = entry.shape;
  return dtype === "f32" ? { data: Float32Array.from(values), dims } : { data: Int32Array.from(values), dims };
}

function fault(kind: string, message: string, fix: string): CompileError {
  return new CompileError({ code: `input-${kind}`, message, fix });
}

/** The outputs as a safetensors file. */
export function packOutputs(outputs: AnyOutputs): Uint8Array {
  const tensors = Object.entries(outputs).map(([name, { data, dims }]) => {
    const dtype = data instanceof Int32Array ? STORED.i32 : STORED.f32;
    return { name, dtype, shape: dims, data };
  });
  return writeSafetensors(tensors);
}
