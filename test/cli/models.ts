/** Small model files and their weights. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { WriteTensor } from "../../src/weights/write.ts";
import { floats } from "./cli.ts";

/** One S4D layer between two linear maps; 2 channels, 4 states, 3 outputs. */
export const TINY = `import { gelu, last, linear, model, s4d, sequence } from "recurve";

export default model("tiny", { u: sequence(1) }, ({ u }) => {
  const x = linear(u, { width: 2, name: "encoder" });
  const y = gelu(s4d(x, { state: 4, name: "layer" }));
  return { y: linear(y, { width: 3, name: "decoder" }), end: last(y, "L") };
});
`;

/** A state space model with a dense A: no scan. */
export const DENSE = `import { mat, model, neg, param, sequence, sq, ssm, times } from "recurve";

const oscillator = ssm("oscillator", { state: 2, params: { w: param.positive(1), z: param.positive(0.1) } }, ({ w, z }) => ({
  A: mat([[0, 1], [neg(sq(w)), times(-2, times(z, w))]]),
  B: mat([[0], [1]]),
  C: mat([[1, 0]]),
}));

export default model("dense", { u: sequence(1) }, ({ u }) => ({ y: oscillator(u) }));
`;

/** An S4D layer that also reads from the end: whole sequences only. */
export const BIDIRECTIONAL = `import { add, delay, linear, model, reverse, s4d, sequence } from "recurve";

export default model("both", { u: sequence(1) }, ({ u }) => {
  const x = linear(u, { width: 2 });
  const y = add(s4d(x, { state: 4 }), reverse(delay(s4d(reverse(x), { state: 4 }))));
  return { y: linear(y, { width: 3 }) };
});
`;

/** Writes a model file into `folder`; gives its path. */
export async function modelFile(folder: string, text: string = TINY): Promise<string> {
  const path = join(folder, "model.ts");
  await writeFile(path, text);
  return path;
}

/** Weights that fit `TINY`, with some replaced or (undefined) left out. */
export function tinyWeights(changes: Readonly<Record<string, WriteTensor | undefined>> = {}): WriteTensor[] {
  const small = (i: number): number => Math.sin(i + 1);
  const all = {
    ...named(floats("encoder.weight", [2, 1], small), floats("encoder.bias", [2], small)),
    ...named(
      floats("layer.kernel.C", [2, 2, 2], small),
      floats("layer.kernel.log_dt", [2], (i) => -3 - i),
    ),
    ...named(
      floats("layer.kernel.log_A_real", [2, 2], () => -0.7),
      floats("layer.kernel.A_imag", [2, 2], (i) => 3 * i),
    ),
    ...named(floats("layer.D", [2], small), floats("decoder.weight", [3, 2], small), floats("decoder.bias", [3], small)),
    ...changes,
  };
  return Object.values(all).filter((tensor) => tensor !== undefined);
}

function named(...tensors: readonly WriteTensor[]): Record<string, WriteTensor> {
  return Object.fromEntries(tensors.map((tensor) => [tensor.name, tensor]));
}
