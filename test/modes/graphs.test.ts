import { expect, test } from "vitest";
import { compileGraph } from "../../src/compile.ts";
import { interpret } from "../../src/ir/interpret.ts";
import { errorOf, loadCompiled, rounded, toInputs } from "../setup/execute.ts";
import fc from "fast-check";
import { arbitraryModule } from "../setup/random-graph.ts";
import { printGraph } from "../../src/ir/print.ts";

test("random small graphs", async () => {
  const models = fc.sample(arbitraryModule({ smooth: true }), { numRuns: 30, seed: 1 });
  for (const m of models) {
    const inputs = rounded(m.inputs);
    const compiled = await compileGraph(m.module.graph, m.module.constants, { maxLength: Math.max(m.L, 16) });
    const expected = interpret(compiled.module.graph, compiled.module.constants, inputs).outputs;
    const model = await loadCompiled(compiled);
    for (const mode of model.info.modes) {
      const out = await model.run(toInputs(compiled, inputs), { mode });
      const e = errorOf(out, expected);
      if (!(e < 2e-5)) {
        console.log(mode, e, printGraph(compiled.module.graph));
      }
      expect.soft(e).toBeLessThan(2e-5);
    }
    model.destroy();
  }
}, 100000);
