/** A continuous system and a discretization to a discrete system, in float64. The rules themselves are in `discretizations/`. */
import { bug, CompileError, type Loc } from "../ir/error.ts";
import type { Constant } from "../ir/graph.ts";
import type { DiscreteSystem } from "../ir/interpret.ts";
import { complexArray, complexAt, mul, scale } from "../math/complex.ts";
import { matrixOf } from "../math/matrix.ts";
import type { Discretization } from "./discretization.ts";
import type { ContinuousSystem, DenseSystem, DiagonalSystem } from "./system.ts";

const tensor = (data: Float64Array, ...shape: readonly number[]): Constant => ({ shape, data });

/** Throws: CompileError `singular-step` where the rule has no solution at this step size. */
export function discretizeSystem(system: ContinuousSystem, rule: Discretization, loc?: Loc): DiscreteSystem {
  return system.structure === "diagonal" ? discretizeDiagonal(system, rule, loc) : discretizeDense(system, rule, loc);
}

function singularStep(rule: Discretization, delta: number, loc: Loc | undefined): CompileError {
  return new CompileError({
    code: "singular-step",
    message: `the ${rule.name} discretization does not exist at step size ${delta}: what it must invert is singular, or e^(A delta) overflows`,
    fix: "use another step size; of a stable system, zoh always exists",
    loc,
  });
}

/** B, C and the weight of a pair all go into `gain`. */
function discretizeDiagonal(system: DiagonalSystem, rule: Discretization, loc: Loc | undefined): DiscreteSystem {
  const { channels, states } = system;
  const count = channels * states;
  const weight = system.pairs ? 2 : 1;
  const steps = Array.from({ length: count }, (_, i) => rule.scalar(complexAt(system.A, i), system.delta[i] ?? NaN));
  const bad = steps.findIndex(({ abar, bbar }) => ![abar.re, abar.im, bbar.re, bbar.im].every(Number.isFinite));
  if (bad >= 0) throw singularStep(rule, system.delta[bad] ?? NaN, loc);
  const step = (i: number): ReturnType<Discretization["scalar"]> => steps[i] ?? bug(`no pole ${i}`);
  const gain = complexArray(count, (i) => scale(mul(complexAt(system.C, i), mul(step(i).bbar, complexAt(system.B, i))), weight));
  return {
    structure: "diagonal",
    abar: tensor(
      complexArray(count, (i) => step(i).abar),
      channels,
      states,
      2,
    ),
    gain: tensor(gain, channels, states, 2),
    d: tensor(system.D, channels),
  };
}

function discretizeDense(system: DenseSystem, rule: Discretization, loc: Loc | undefined): DiscreteSystem {
  const { groups, states: n } = system;
  if (system.inputs !== 1 || system.outputs !== 1) bug("a system of several inputs or outputs is split before it is discretized");
  const abar = new Float64Array(groups * n * n);
  const bbar = new Float64Array(groups * n);
  for (let g = 0; g < groups; g++) {
    const A = matrixOf(n, n, system.A.subarray(g * n * n, (g + 1) * n * n));
    const B = matrixOf(n, 1, system.B.subarray(g * n, (g + 1) * n));
    const delta = system.delta[g] ?? NaN;
    const step = rule.dense(A, B, delta);
    if (step === undefined || !step.abar.data.every(Number.isFinite)) throw singularStep(rule, delta, loc);
    abar.set(step.abar.data, g * n * n);
    bbar.set(step.bbar.data, g * n);
  }
  return {
    structure: "dense",
    abar: tensor(abar, groups, n, n),
    bbar: tensor(bbar, groups, n),
    c: tensor(system.C, groups, n),
    d: tensor(system.D, groups),
  };
}
