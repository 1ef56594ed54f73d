/** A continuous system and a discretization to a discrete system, in float64. The rules themselves are in `discretizations/`. */
import { bug, CompileError, type Loc } from "../ir/error.ts";
import type { Constant } from "../ir/graph.ts";
import type { DiscreteSystem } from "../ir/interpret.ts";
import { add, type Complex, complex, complexArray, complexAt, conj, mul, scale, setComplex, sub } from "../math/complex.ts";
import { entry, identity, type Matrix, matrix, matrixOf } from "../math/matrix.ts";
import { solve } from "../math/solve.ts";
import type { Discretization } from "./discretization.ts";
import { type ContinuousSystem, denseForm, type DenseSystem, type DiagonalSystem, type DplrSystem } from "./system.ts";

const tensor = (data: Float64Array, ...shape: readonly number[]): Constant => ({ shape, data });

/** Throws: CompileError `singular-step` where the rule has no solution at this step size. */
export function discretizeSystem(system: ContinuousSystem, rule: Discretization, loc?: Loc): DiscreteSystem {
  switch (system.structure) {
    case "diagonal":
      return discretizeDiagonal(system, rule, loc);
    case "dense":
      return discretizeDense(system, rule, loc);
    case "dplr":
      return rule.alpha === undefined ? discretizeAsDense(system, rule, loc) : discretizeDplr(system, { ...rule, alpha: rule.alpha }, loc);
  }
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
  const { groups, states: n, inputs, outputs } = system;
  /** The dims of inputs and outputs: those of one input, or of one of both, are left out. */
  const [ofInputs, ofOutputs] = [inputs === 1 ? [] : [inputs], inputs === 1 && outputs === 1 ? [] : [outputs]];
  const abar = new Float64Array(groups * n * n);
  const bbar = new Float64Array(groups * n * inputs);
  for (let g = 0; g < groups; g++) {
    const A = matrixOf(n, n, system.A.subarray(g * n * n, (g + 1) * n * n));
    const B = matrixOf(n, inputs, system.B.subarray(g * n * inputs, (g + 1) * n * inputs));
    const delta = system.delta[g] ?? NaN;
    const step = rule.dense(A, B, delta);
    if (step === undefined || !step.abar.data.every(Number.isFinite)) throw singularStep(rule, delta, loc);
    abar.set(step.abar.data, g * n * n);
    bbar.set(step.bbar.data, g * n * inputs);
  }
  return {
    structure: "dense",
    abar: tensor(abar, groups, n, n),
    bbar: tensor(bbar, groups, n, ...ofInputs),
    c: tensor(system.C, groups, ...ofOutputs, n),
    d: tensor(system.D, groups, ...ofOutputs, ...ofInputs),
  };
}

/** The dense form has its step sizes in A and B; an event enters as it does without them. */
function discretizeAsDense(system: DplrSystem, rule: Discretization, loc: Loc | undefined): DiscreteSystem {
  const made = discretizeDense(denseForm(system), rule, loc);
  if (rule.events !== true) return made;
  const unscaled = discretizeDense(denseForm({ ...system, delta: system.delta.map(() => 1) }), rule, loc);
  return made.structure === "dense" && unscaled.structure === "dense"
    ? { ...made, bbar: unscaled.bbar }
    : bug("a dense system stays dense");
}

/**
 * By Woodbury's identity, with e = bbar of each pole and G = I + alpha P^* diag(e) P over the pairs:
 * Abar = diag(abar) - (e P G^-1) (P^* e / delta), Bbar = e B - alpha (e P G^-1) P^* (e B).
 * Source: Gu et al., S4, 2022, appendix C.2, there for alpha = 1/2.
 */
function discretizeDplr(system: DplrSystem, rule: Discretization & { readonly alpha: number }, loc: Loc | undefined): DiscreteSystem {
  const { channels, states: n, rank } = system;
  const outputs = system.D.length === channels ? [] : [system.D.length / channels];
  const out = {
    abar: new Float64Array(2 * channels * n),
    p: new Float64Array(2 * channels * rank * n),
    q: new Float64Array(2 * channels * rank * n),
    bbar: new Float64Array(2 * channels * n),
    c: system.C.map((x) => 2 * x),
  };
  for (let h = 0; h < channels; h++) {
    const P = (r: number, i: number): Complex => complexAt(system.P, (h * rank + r) * n + i);
    const delta = (i: number): number => system.delta[h * n + i] ?? NaN;
    const poles = Array.from({ length: n }, (_, i) => rule.scalar(complexAt(system.A, h * n + i), delta(i)));
    const e = (i: number): Complex => poles[i]?.bbar ?? bug(`no pole ${i}`);
    const overPairs = (f: (i: number) => Complex): number => poles.reduce((sum, _, i) => sum + 2 * f(i).re, 0);
    const G = matrix(rank, rank, (r, s) => (r === s ? 1 : 0) + rule.alpha * overPairs((i) => mul(conj(P(r, i)), mul(e(i), P(s, i)))));
    const inverse = solve(G, identity(rank));
    if (inverse === undefined) throw singularStep(rule, delta(0), loc);
    const eB = (i: number): Complex => mul(e(i), complexAt(system.B, h * n + i));
    const driven = Array.from({ length: rank }, (_, r) => overPairs((i) => mul(conj(P(r, i)), eB(i))));
    poles.forEach(({ abar }, i) => {
      const left = Array.from({ length: rank }, (_, r) => mul(e(i), combination(P, i, inverse, r)));
      setComplex(out.abar, h * n + i, abar);
      left.forEach((value, r) => {
        setComplex(out.p, (h * rank + r) * n + i, value);
        setComplex(out.q, (h * rank + r) * n + i, scale(mul(conj(P(r, i)), e(i)), 2 / delta(i)));
      });
      setComplex(
        out.bbar,
        h * n + i,
        left.reduce((sum, value, r) => sub(sum, scale(value, rule.alpha * (driven[r] ?? NaN))), eB(i)),
      );
    });
  }
  if (!Object.values(out).every((data) => data.every(Number.isFinite))) throw singularStep(rule, system.delta[0] ?? NaN, loc);
  return {
    structure: "dplr",
    abar: tensor(out.abar, channels, n, 2),
    p: tensor(out.p, channels, rank, n, 2),
    q: tensor(out.q, channels, rank, n, 2),
    bbar: tensor(out.bbar, channels, n, 2),
    c: tensor(out.c, channels, ...outputs, n, 2),
    d: tensor(system.D, channels, ...outputs),
  };
}

/** Column `r` of P G^-1 at state `i`. */
const combination = (P: (r: number, i: number) => Complex, i: number, inverse: Matrix, r: number): Complex =>
  Array.from({ length: inverse.rows }, (_, s) => scale(P(s, i), entry(inverse, s, r))).reduce(add, complex(0));
