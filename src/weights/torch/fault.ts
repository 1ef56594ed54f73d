/** The diagnostics of a PyTorch file that cannot be read, one fix a kind. */
import { CompileError } from "../../ir/error.ts";

const FIXES = {
  kind: "save the weights again with torch.save(model.state_dict(), path) in PyTorch 1.6 or newer, or as safetensors",
  zip: "fetch the file again and compare its size with the original's",
  pickle: "save the weights again with torch.save(model.state_dict(), path), or as safetensors",
  global: "save the tensors alone, with torch.save(model.state_dict(), path), or as safetensors",
  dtype: "save the tensor as float64, float32, float16, bfloat16, an integer type, bool, complex64 or complex128",
  shape: "save the weights again with torch.save(model.state_dict(), path), or as safetensors",
  duplicate: "save the weights again with every tensor named once",
  overlap: "fetch the file from a source you trust; PyTorch writes none like it",
} as const;

/** What is wrong with the file called `label`, as an error with the code `weights-file-<kind>`. */
export function fault(label: string, kind: keyof typeof FIXES, what: string): CompileError {
  return new CompileError({ code: `weights-file-${kind}`, message: `${label} ${what}`, fix: FIXES[kind] });
}
