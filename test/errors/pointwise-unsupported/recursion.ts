import { model, pointwise, sequence } from "recurve";

function fold(x: number): number {
  return x > 1 ? fold(x - 1) : x;
//               ^ pointwise-unsupported: fold, which calls itself, ... recursion
}

export default model("wrong", { u: sequence(1) }, ({ u }) => ({ y: pointwise(fold)(u) }));
