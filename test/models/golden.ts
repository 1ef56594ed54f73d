/** Golden checkpoints against a model: in float64 at every stage of its state spaces, and on the device in every mode. */
import { readFileSync } from "node:fs";
import { expect } from "vitest";
import { compileGraph } from "../../src/compile.ts";
import type { Constant, Constants, Graph } from "../../src/ir/graph.ts";
import { interpret } from "../../src/ir/interpret.ts";
import { discretize } from "../../src/passes/discretize.ts";
import { init } from "../../src/passes/init.ts";
import { structure } from "../../src/passes/structure.ts";
import { evaluateSystem } from "../../src/ssm/evaluate.ts";
import { bytesSource, openSafetensors, type TensorFile } from "../../src/weights/safetensors.ts";
import { relativeError } from "../math/golden.ts";
import { errorOf, loadCompiled, rounded, toInputs } from "../setup/execute.ts";
import { sharedDevice } from "../setup/shared-device.ts";

/** A file of golden tensors. */
export const golden = (name: string): Promise<TensorFile> =>
  openSafetensors(bytesSource(readFileSync(new URL(`../../../shared/golden/s4/${name}`, import.meta.url)), name));

/** A tensor of a golden file. */
export async function tensorOf(file: TensorFile, name: string): Promise<Constant> {
  return { shape: file.entries.get(name)?.shape ?? [], data: await file.read(name) };
}

/** A model, its weights, an input, and what it should give. */
export interface Case {
  readonly graph: Graph;
  readonly constants: Constants;
  readonly inputs: Constants;
  readonly outputs: Constants;
}

/** The largest error of an interpreter's outputs, of each one's largest value. */
function errorsOf(graph: Graph, constants: Constants, { inputs, outputs }: Case): number {
  const found = interpret(graph, constants, inputs, { systems: evaluateSystem }).outputs;
  return Math.max(...[...outputs].map(([name, { data }]) => relativeError(found.get(name)?.data ?? [], data)));
}

/** In float64: as the families say it, after the pass `structure`, and after `discretize`; `warned` is what is warned of. */
export function expectMeaning(c: Case, tolerance: number, warned?: RegExp): void {
  const warn = (message: string): void => (warned === undefined ? expect.fail(message) : expect.soft(message).toMatch(warned));
  const context = { seed: 1, note: () => undefined, warn };
  let module = init.run({ graph: c.graph, constants: c.constants }, context);
  expect.soft(errorsOf(module.graph, module.constants, c), "family").toBeLessThan(tolerance);
  module = structure.run(module, context);
  expect.soft(errorsOf(module.graph, module.constants, c), "continuous").toBeLessThan(tolerance);
  module = discretize.run(module, context);
  expect.soft(errorsOf(module.graph, module.constants, c), "discrete").toBeLessThan(tolerance);
}

/** On the device, in every mode the model has, which are `modes`. */
export async function expectOnDevice(c: Case, tolerance: number, modes: readonly string[]): Promise<void> {
  const compiled = await compileGraph(c.graph, c.constants, { maxLength: 256 });
  const model = await loadCompiled(compiled, { device: await sharedDevice() });
  expect(model.info.modes.toSorted()).toEqual(modes.toSorted());
  for (const mode of model.info.modes) {
    const found = await model.run(toInputs(compiled, rounded(c.inputs)), { mode });
    expect.soft(errorOf(found, c.outputs), mode).toBeLessThan(tolerance);
  }
}
