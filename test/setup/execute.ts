/** Runs compiled models on this process's adapter without packing a bundle. */
import { onTestFinished } from "vitest";
import { evaluatePlan } from "../../src/codegen/plan-source.ts";
import type { Compiled } from "../../src/compile.ts";
import type { Constant, Constants } from "../../src/ir/graph.ts";
import type { LoadedModel, LoadOptions, TensorInput, TensorOutput } from "../../src/runtime/api.ts";
import { createLoader } from "../../src/runtime/load.ts";
import type { Dispatch, Plan, Program } from "../../src/runtime/plan.ts";
import * as makers from "../../src/runtime/tables.ts";
import type { Shard } from "../../src/weights/write.ts";
import { processGpu } from "../../src/cli/adapter.ts";

export type AnyModel = LoadedModel<Record<string, TensorInput | TensorInput<Int32Array>>, Record<string, TensorOutput>, unknown>;

/** A plan, loaded with the shards it names. */
export async function loadPlan(plan: Plan, shards: readonly Shard[], options: LoadOptions = {}): Promise<AnyModel> {
  const files = new Map(shards.map((s) => [s.file, s.bytes]));
  const read = async (file: string): Promise<ArrayBuffer> => {
    const bytes = files.get(file);
    if (bytes === undefined) throw new Error(`no shard ${file}`);
    return bytes.slice().buffer;
  };
  const load = createLoader(plan, "https://bundle.invalid/index.js", makers);
  return (await load({ gpu: processGpu(), read, ...options })) as AnyModel;
}

/** A compiled model, loaded; destroyed when the test ends. */
export async function loadCompiled(compiled: Compiled, options: LoadOptions = {}): Promise<AnyModel> {
  const model = await loadPlan(evaluatePlan(compiled.plan), compiled.shards, options);
  onTestFinished(() => model.destroy());
  return model;
}

/** The plan as a device of so many lanes runs it, whatever this one has. */
export function asIfWide(plan: Plan, W: number): Plan {
  const dispatch = ({ when, ...rest }: Dispatch): Dispatch => (when === undefined ? rest : { ...rest, when: (d) => when({ ...d, W }) });
  const wide = ({ prepare, body }: Program): Program => ({ prepare: prepare.map(dispatch), body: body.map(dispatch) });
  const all = (programs: Plan["whole"]): Plan["whole"] =>
    Object.fromEntries(Object.entries(programs).map(([mode, program]) => [mode, wide(program)]));
  const { step } = plan;
  return { ...plan, whole: all(plan.whole), resume: all(plan.resume), ...(step === undefined ? {} : { step: wide(step) }) };
}

/** Interpreter inputs as a bundle takes them. */
export function toInputs(compiled: Compiled, inputs: Constants): Record<string, TensorInput | TensorInput<Int32Array>> {
  return Object.fromEntries(
    [...inputs].map(([name, { shape, data }]) => {
      const i32 = compiled.plan.inputs.some((spec) => spec.name === name && spec.dtype === "i32");
      return [name, i32 ? { data: Int32Array.from(data), dims: shape } : { data: Float32Array.from(data), dims: shape }];
    }),
  );
}

/** Inputs rounded to what a device sees. */
export const rounded = (inputs: Constants): Map<string, Constant> =>
  new Map([...inputs].map(([name, c]) => [name, { shape: c.shape, data: c.data.map(Math.fround) }]));

/** Largest error over all outputs, relative to each output's largest value. */
export function errorOf(actual: Record<string, TensorOutput>, expected: Constants): number {
  let error = 0;
  for (const [name, e] of expected) {
    const a = actual[name];
    if (a === undefined || a.data.length !== e.data.length) return Infinity;
    const scale = e.data.reduce((largest, value) => Math.max(largest, Math.abs(value)), 1e-30);
    e.data.forEach((value, i) => {
      const difference = Math.abs((a.data[i] ?? Number.NaN) - value) / scale;
      error = Number.isNaN(difference) ? Infinity : Math.max(error, difference);
    });
  }
  return error;
}
