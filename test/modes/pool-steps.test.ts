/** Several last and first steps of streams, at the model's rate and a slower one: any pushes, many steps at once and one by one. */
import { expect, test } from "vitest";
import { evaluatePlan } from "../../src/codegen/plan-source.ts";
import { compileGraph } from "../../src/compile.ts";
import { firstSteps, lastSteps, model, sample, sequence, silu } from "../../src/dsl/index.ts";
import { emptyState, interpret } from "../../src/ir/interpret.ts";
import { numbers } from "../kernels/program.ts";
import { errorOf, loadPlan, toInputs } from "../setup/execute.ts";
import { sharedDevice } from "../setup/shared-device.ts";
import { cutInputs } from "../setup/tensors.ts";

const { graph } = model("steps", { u: sequence(3) }, ({ u }) => ({
  last: lastSteps(u, 5),
  first: silu(firstSteps(u, 5)),
  slowLast: silu(lastSteps(sample(u, 2, 1), 3)),
  slowFirst: firstSteps(sample(u, 2), 3),
}));

test.each(["convolution", "recurrence"] as const)("%s: what a stream has read so far, after every push", async (mode) => {
  const compiled = await compileGraph(graph, new Map(), { maxLength: 64 });
  const plan = { ...evaluatePlan(compiled.plan), chooseResume: () => mode };
  const loaded = await loadPlan(plan, compiled.shards, { device: await sharedDevice() });
  const inputs = new Map([["u", numbers([2, 40, 3], 11)]]);
  const stream = await loaded.stream({ batch: 2 });
  let [state, from] = [emptyState, 0];
  for (const length of [2, 1, 1, 3, 12, 4, 1, 16]) {
    const part = cutInputs(graph, inputs, from, (from += length));
    const want = interpret(graph, new Map(), part, { state });
    ({ state } = want);
    expect(errorOf(await stream.push(toInputs(compiled, part)), want.outputs), `${from} steps`).toBeLessThan(1e-6);
  }
  stream.destroy();
});
