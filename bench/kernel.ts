/** The kernel of a long, slow system in the parallel modes: the response to a unit impulse against float64. */
import { sequence } from "../src/dsl/index.ts";
import { compileGraph } from "../src/compile.ts";
import { graphBuilder } from "../src/ir/build.ts";
import type { Constant, Dim } from "../src/ir/graph.ts";
import { interpret } from "../src/ir/interpret.ts";
import { random } from "../test/setup/random-graph.ts";
import { errorOf, loadPlan } from "../test/setup/execute.ts";
import { evaluatePlan } from "../src/codegen/plan-source.ts";
import type { Bench } from "./figure.ts";

const [L, H, PAIRS] = [65_536, 4, 32];
const DELTA = 1e-3;

/** S4D-Lin poles at step size `DELTA`, random C. */
async function compileSlowSystem() {
  const uniform = random(20261123);
  const g = graphBuilder("slow");
  const constants = new Map<string, Constant>();
  const param = (name: string, shape: readonly number[], value: (i: number) => number): number => {
    const count = shape.reduce((a, b) => a * b, 1);
    constants.set(name, { shape, data: Float64Array.from({ length: count }, (_, i) => value(i)) });
    return g.param(
      name,
      shape.map((size, i): Dim => ({ name: "HNc"[i] ?? "K", size })),
    );
  };
  const x = g.input("x", sequence(H).type);
  const args = [
    param("C", [H, PAIRS, 2], () => 2 * uniform() - 1),
    param("log_dt", [H], () => Math.log(DELTA)),
    param("log_A_real", [H, PAIRS], () => Math.log(0.5)),
    param("A_imag", [H, PAIRS], (i) => Math.PI * (i % PAIRS)),
    param("D", [H], () => 0),
  ];
  const y = g.ssm({ stage: "family", family: "s4d", discretization: "zoh", state: 2 * PAIRS, options: {} }, [x, ...args]);
  return compileGraph(g.finish([{ name: "y", value: y }]), constants, { maxLength: L });
}

export const kernel: Bench = {
  name: "kernel",
  doc: `impulse response of S4D, L = ${L}, step size ${DELTA}, largest error over its scale`,
  device: true,
  run: async () => {
    const compiled = await compileSlowSystem();
    const impulse = { shape: [1, L, H], data: Float64Array.from({ length: L * H }, (_, i) => (i < H ? 1 : 0)) };
    const expected = interpret(compiled.module.graph, compiled.module.constants, new Map([["x", impulse]])).outputs;
    const model = await loadPlan(evaluatePlan(compiled.plan), compiled.shards);
    const given = { x: { data: Float32Array.from(impulse.data), dims: impulse.shape } };
    const parallel = model.info.modes.filter((mode) => mode !== "recurrence");
    const figures = [];
    for (const mode of parallel)
      figures.push({
        name: mode,
        value: errorOf(await model.run(given, { mode }), expected),
        unit: "",
        atMost: 1e-5,
      });
    model.destroy();
    return figures;
  },
};
