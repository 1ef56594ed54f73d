/** What layers made from the table of families share: their parameters, under their names, and the `ssm` node that reads them. */
import type { Axis, ValueId } from "../ir/graph.ts";
import { paramDims, type DimLetter, type Family, type Options } from "../ssm/family.ts";
import { reshaped } from "./shape.ts";
import { makeTensor, type AnyTensor, type Sequence, type Tensor, type WithWidth } from "./tensor.ts";
import { fail, here, parameter, trace, valueOf, type Named } from "./trace.ts";

/** How a continuous system becomes a discrete one; `gbt(alpha)` is the generalized bilinear rule, `dirac` and `async` are for events. */
export type Discretization = "zoh" | "bilinear" | "euler" | "backward-euler" | "dirac" | "async" | `gbt(${number})` | `async(${number})`;

/** Options of layers whose step sizes are parameters. */
export interface FamilyOptions extends Named {
  readonly discretize?: Discretization;
  /** The range that step sizes start from, uniform in the logarithm. */
  readonly delta?: readonly [low: number, high: number];
}

/** Throws: CompileError `bad-state`. */
export function checkState(state: number): void {
  if (!Number.isInteger(state) || state < 1) fail("bad-state", `a state of ${state}`, "give a whole number of states, at least 1");
}

/** The family's options for the range of step sizes. Throws: CompileError `bad-init`. */
export function deltaRange([low, high]: readonly [number, number] = [1e-3, 1e-1]): { readonly dt_min: number; readonly dt_max: number } {
  if (!(low > 0 && low <= high && high < Infinity))
    fail("bad-init", `step sizes from ${low} to ${high}`, "give two numbers above 0, the smaller one first");
  return { dt_min: low, dt_max: high };
}

/** One system of a family. */
export interface FamilySystem {
  readonly family: Family;
  /** N, the full state size. */
  readonly state: number;
  readonly options: Options;
  /** The axis of a grid to run along, instead of along L. */
  readonly along?: Axis & { readonly delay: number };
  /** Sizes of the family's other dims; 1 where absent. */
  readonly sizes?: Readonly<Partial<Record<DimLetter, number>>>;
  /** Which of a parameter's shapes it is declared in, where there are several; the first where absent. */
  readonly shape?: Readonly<Record<string, number>>;
}

/** The family's parameter `param` of so many channels, declared as `layer.leaf`. */
export function familyParam(
  { family, state, options, sizes, shape }: FamilySystem,
  channels: number,
  param: string,
  layer: string,
  leaf: string,
): ValueId {
  const dims = paramDims(family, { H: channels, N: state, M: 1, P: 1, ...sizes }, here(), shape).get(param) ?? [];
  return parameter(layer, leaf, dims, { kind: "family", family: family.name, param, options });
}

/** All parameters of the family, in its order, declared under `layer`; `leaf` says how each is called there. */
export function familyParams(
  system: FamilySystem,
  channels: number,
  layer: string,
  leaf: (param: string) => string = (param) => param,
): readonly ValueId[] {
  return Object.keys(system.family.params).map((param) => familyParam(system, channels, param, layer, leaf(param)));
}

/** The system on every channel of x, or on all of them. */
export function familyNode<S extends Sequence>(
  x: Tensor<S>,
  system: FamilySystem,
  discretization: Discretization,
  params: readonly ValueId[],
): Tensor<S> {
  return makeTensor(x.shape, ssmNode(x, system, discretization, params), trace());
}

/** `familyNode` of a family whose result has `width` channels. */
export function widerNode<S extends Sequence, const W extends number>(
  x: Tensor<S>,
  width: W,
  system: FamilySystem,
  discretization: Discretization,
  params: readonly ValueId[],
): Tensor<WithWidth<S, W>> {
  return reshaped(x, width, ssmNode(x, system, discretization, params, width));
}

function ssmNode(
  x: AnyTensor,
  { family, state, options, along }: FamilySystem,
  discretization: Discretization,
  params: readonly ValueId[],
  width?: number,
): ValueId {
  const form = { stage: "family", family: family.name, discretization, state, width, along, options } as const;
  return trace().builder.ssm(form, [valueOf(x), ...params], here());
}
