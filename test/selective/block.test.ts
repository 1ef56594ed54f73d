/** A step of a Mamba layer: five dispatches, and bytes near those of its weights and states. */
import { describe, expect, test } from "vitest";
import { compileGraph } from "../../src/compile.ts";
import { model, residual, rmsNorm, sequence } from "../../src/dsl/index.ts";
import { interpret } from "../../src/ir/interpret.ts";
import { mambaBlock } from "../../src/models/index.ts";
import { dimsFor, estimate } from "../../src/passes/mode.ts";
import { relativeError } from "../math/golden.ts";
import { loadCompiled, rounded, toInputs } from "../setup/execute.ts";
import { numbers } from "../kernels/program.ts";
import { sharedDevice } from "../setup/shared-device.ts";

const layer = (width: number, norms: "none" | "weightless" = "none") =>
  model("layer", { u: sequence(width) }, ({ u }) => ({
    y: residual(u, (x) => mambaBlock(rmsNorm(x, { name: "norm" }), { name: "mixer", norms })),
  }));

describe("a step of a Mamba layer", () => {
  test.each(["none", "weightless"] as const)("takes five dispatches, norms of dt, B and C: %s", async (norms) => {
    const { lowered } = await compileGraph(layer(48, norms).graph, new Map(), { maxLength: 64 });
    const { step } = lowered.costs;
    if (step === undefined) throw new Error("no step");
    expect(step.body.filter((cost) => estimate([cost], dimsFor(1, 1)).dispatches > 0).map((cost) => cost.kernel)).toEqual([
      "norm_rms_matmul_vector",
      "conv_step",
      "matmul_vector",
      "selective_step_team",
      "matmul_vector",
    ]);
  });

  test.each([
    ["none", 48],
    ["weightless", 48],
    ["weightless", 160],
  ] as const)("gives what the interpreter gives, as scan and chunked do, norms of dt, B and C: %s, width %i", async (norms, width) => {
    const compiled = await compileGraph(layer(width, norms).graph, new Map(), { maxLength: 64 });
    const inputs = rounded(new Map([["u", numbers([2, 21, width], 5)]]));
    const expected = interpret(compiled.module.graph, compiled.module.constants, inputs).outputs.get("y")?.data ?? [];
    const loaded = await loadCompiled(compiled, { device: await sharedDevice() });
    expect(loaded.info.modes).toEqual(["scan", "chunked", "recurrence"]);
    for (const mode of loaded.info.modes)
      expect
        .soft(relativeError((await loaded.run(toInputs(compiled, inputs), { mode }))["y"]?.data ?? [], expected), mode)
        .toBeLessThan(2e-6);
  });
});
