/** From an ssm node and the values of its arguments to its system in numbers: the one place that reads a node's operands. */
import { bug, CompileError } from "../ir/error.ts";
import type { Constant, SsmForm, SsmNode } from "../ir/graph.ts";
import type { SystemEvaluator } from "../ir/interpret.ts";
import { discretizationNamed } from "./discretizations.ts";
import { discretizeSystem } from "./discretize.ts";
import { evaluateEntries } from "./entries.ts";
import type { Options } from "./family.ts";
import { familyNamed } from "./families.ts";
import { discretizeMimo } from "./mimo.ts";
import { type ContinuousSystem, type FamilySystem, tapsOf } from "./system.ts";
import { delayed, truncate, truncatedLength } from "./truncate.ts";

type FormOf<S extends SsmForm["stage"]> = Extract<SsmForm, { stage: S }>;

/** What an ssm node is, apart from its operands, and at which sampling rate it runs. */
export interface SystemContext {
  /** Channels of its input. */
  readonly channels: number;
  /** Multiplies every step size: 2 runs the model at half the sampling rate it was made for. 1 where absent. */
  readonly rate?: number | undefined;
  readonly loc?: SsmNode["loc"];
}

/**
 * The system of a family at these parameter values.
 * Throws: CompileError `unknown-family`, `ssm-shape`, `ssm-option`, `ssm-state-odd`.
 */
export function familySystem(
  form: FormOf<"family">,
  operands: readonly Constant[],
  { channels, rate = 1, loc }: SystemContext,
): FamilySystem {
  const family = familyNamed(form.family, loc);
  const names = Object.keys(family.params);
  const fixed = form.options["delta"];
  const values: Record<string, Constant> = {};
  let rest = operands;
  if (form.entries !== undefined) {
    const inputs = form.entries.B[0]?.length ?? 1;
    const ownDelta = typeof fixed !== "number" || fixed === 0;
    rest = ownDelta ? operands.slice(-1) : [];
    Object.assign(values, evaluateEntries(form.entries, ownDelta ? operands.slice(0, -1) : operands, channels / inputs, loc));
  }
  for (const name of names) {
    if (name in values) continue;
    if (name === "delta" && typeof fixed === "number" && fixed !== 0) values[name] = { shape: [], data: Float64Array.of(fixed) };
    else {
      const [next, ...others] = rest;
      if (next === undefined) throw missing(form.family, name, loc);
      values[name] = next;
      rest = others;
    }
  }
  const system = family.evaluate(values, { H: channels, N: form.state }, form.options satisfies Options, {
    discretization: () => discretizationNamed(form.discretization, loc),
    loc,
  });
  const cut = cutOff(form, system, rate, loc);
  const { along } = form;
  return along === undefined ? cut : delayed(cut, discretizationNamed(form.discretization, loc), along.size, along.delay, loc);
}

/** The system at another sampling rate, without what lies behind `l_max` steps. */
function cutOff(form: FormOf<"family">, system: FamilySystem, rate: number, loc: SsmNode["loc"]): FamilySystem {
  if (system.structure === "fir") return system;
  const scaled = rate === 1 ? system : { ...system, delta: system.delta.map((delta) => delta * rate) };
  const longest = form.options["l_max"];
  if (typeof longest !== "number" || longest === 0 || (scaled.structure !== "diagonal" && scaled.structure !== "dplr")) return scaled;
  return truncate(scaled, discretizationNamed(form.discretization, loc), truncatedLength(longest, rate), loc);
}

function missing(family: string, param: string, loc: SsmNode["loc"]): CompileError {
  return new CompileError({
    code: "ssm-shape",
    message: `an ssm of family ${family} has no argument for ${param}`,
    fix: "pass the family's parameters in its order",
    loc,
  });
}

/** The system of a continuous node, from its operands A, (P,) B, C, D, delta. */
export function continuousSystem(form: FormOf<"continuous">, operands: readonly Constant[]): ContinuousSystem {
  const states = form.state;
  const rank = form.structure === "dplr" ? operands[1]?.shape[1] : undefined;
  const [A, ...rest] = operands.map((o) => o.data);
  const P = rank === undefined ? undefined : rest.shift();
  const [B, C, D, delta] = rest;
  if (A === undefined || B === undefined || C === undefined || D === undefined || delta === undefined)
    return bug("a continuous ssm lacks operands");
  switch (form.structure) {
    case "diagonal":
      return { structure: "diagonal", channels: D.length, states, pairs: form.pairs, A, B, C, D, delta };
    case "dense":
      return { structure: "dense", groups: delta.length, states, inputs: 1, outputs: form.outputs ?? 1, A, B, C, D, delta };
    case "dplr":
      return { structure: "dplr", channels: delta.length / states, states, rank: rank ?? 0, A, P: P ?? bug("no P"), B, C, D, delta };
  }
}

/** The discrete system of a node of any stage before `discrete`; what the interpreter runs on. */
export const evaluateSystem: SystemEvaluator = (node, operands, channels) => {
  const { form } = node;
  if (form.stage === "discrete" || form.stage === "scaled" || form.stage === "selective")
    return bug(`a ${form.stage} ssm needs no evaluation`);
  const system = form.stage === "family" ? familySystem(form, operands, { channels, loc: node.loc }) : continuousSystem(form, operands);
  if (system.structure === "fir") return { structure: "fir", taps: tapsOf(system), axis: form.stage === "family" ? form.along : undefined };
  const rule = discretizationNamed(form.discretization, node.loc);
  return system.structure === "mimo" ? discretizeMimo(system, rule, node.loc) : discretizeSystem(system, rule, node.loc);
};
