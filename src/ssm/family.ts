/**
 * What a family of state space models is: its parameters, how they start, and its A, B, C, D and step size in float64
 * as functions of them. Everything else (modes, kernels, tests) follows from that; a family is one file in `families/`.
 */
import { CompileError, type Loc } from "../ir/error.ts";
import type { Constant, Dim } from "../ir/graph.ts";
import type { Random } from "../math/random.ts";
import type { Discretization } from "./discretization.ts";
import type { FamilySystem } from "./system.ts";

export type OptionValue = string | number | boolean;
export type Options = Readonly<Record<string, OptionValue>>;

/**
 * One dim of a parameter. `H` channels, `N` full state, `N/2` stored states of conjugate pairs, `N2` = N again, `c` = 2
 * (re, im), `1` one, `N+1` one more than N. Any other letter is bound by the first parameter that has it and must agree everywhere.
 */
export type DimLetter = "H" | "N" | "N/2" | "N2" | "c" | "G" | "M" | "P" | "Q" | "R" | "S" | "T" | "1" | "N+1";
/** The sizes of a system by letter. */
export type Sizes = { readonly H: number; readonly N: number } & Readonly<Partial<Record<DimLetter, number>>>;

export interface ParamSpec {
  readonly doc: string;
  readonly dims: readonly DimLetter[];
  /** Other shapes it may come in. */
  readonly or?: readonly (readonly DimLetter[])[];
}

export interface OptionSpec {
  readonly doc: string;
  readonly default: OptionValue;
  readonly choices?: readonly string[];
}

/** A parameter's values, with an accessor that does not return undefined. */
export interface Values extends Constant {
  readonly at: (i: number) => number;
}

type Widen<T> = T extends number ? number : T extends boolean ? boolean : string;
type Resolved<O extends Readonly<Record<string, OptionSpec>>> = { readonly [K in keyof O]: Widen<O[K]["default"]> };

/** What an initializer knows. */
export interface InitContext<O> {
  /** Numbers to make. */
  readonly count: number;
  readonly sizes: Sizes;
  readonly options: O;
  readonly random: Random;
  readonly loc?: Loc | undefined;
}

/** What a system may depend on besides its parameters and options. */
export interface SystemContext {
  /** The rule that the system is going to be discretized by. */
  readonly discretization: () => Discretization;
  readonly loc?: Loc | undefined;
}

/** A family as its file states it; `K` its parameters, `O` its options. */
export interface FamilyDefinition<K extends string, O extends Readonly<Record<string, OptionSpec>>> {
  readonly name: string;
  readonly source: string;
  /** Of A as the family gives it; the structure pass may find a cheaper one. */
  readonly structure: FamilySystem["structure"];
  /** In the order of the node's arguments. */
  readonly params: Readonly<Record<K, ParamSpec>>;
  readonly options: O;
  /** Starting values: `count` numbers, or one function of the index. */
  readonly init: Readonly<Record<NoInfer<K>, (context: InitContext<Resolved<NoInfer<O>>>) => Float64Array | ((i: number) => number)>>;
  readonly system: (
    values: Readonly<Record<NoInfer<K>, Values>>,
    sizes: Sizes,
    options: Resolved<NoInfer<O>>,
    context: SystemContext,
  ) => FamilySystem;
}

/** A family with its own types forgotten, as the table holds it. */
export interface Family {
  readonly name: string;
  readonly source: string;
  readonly structure: FamilySystem["structure"];
  readonly params: Readonly<Record<string, ParamSpec>>;
  readonly options: Readonly<Record<string, OptionSpec>>;
  /** Starting values of a parameter of this shape. */
  initialize(param: string, shape: readonly number[], options: Options, random: Random, loc?: Loc): Float64Array;
  /** The system at these parameter values. */
  evaluate(
    values: Readonly<Record<string, Constant>>,
    size: { readonly H: number; readonly N: number },
    options: Options,
    context: SystemContext,
  ): FamilySystem;
}

/** Turns a definition into a family that checks what it is given. */
export function defineFamily<K extends string, const O extends Readonly<Record<string, OptionSpec>>>(
  definition: FamilyDefinition<K, O>,
): Family {
  const { name, source, structure, params, options } = definition;
  const resolve = (given: Options, loc: Loc | undefined): Resolved<O> => resolveOptions(name, options, given, loc) as Resolved<O>;
  const has = (param: string): param is K => param in params;
  return {
    name,
    source,
    structure,
    params,
    options,
    initialize: (param, shape, given, random, loc) => {
      if (!has(param)) throw shapeError(`family ${name} has no parameter ${param}`, `it has ${Object.keys(params).join(", ")}`, loc);
      const sizes = bindSizes(name, { [param]: params[param] }, { [param]: shape }, {}, loc);
      const count = shape.reduce((a, b) => a * b, 1);
      const made = definition.init[param]({ count, sizes, options: resolve(given, loc), random, loc });
      return typeof made === "function" ? Float64Array.from({ length: count }, (_, i) => made(i)) : made;
    },
    evaluate: (values, size, given, context) => {
      const { loc } = context;
      const shapes = Object.fromEntries(Object.entries(values).map(([k, v]) => [k, v.shape]));
      const sizes = bindSizes(name, params, shapes, size, loc);
      return definition.system(withAccessor<K>(values), sizes, resolve(given, loc), context);
    },
  };
}

/** The dims of every parameter of a family, in order, in the first shape its file names, or that of the number `shape` gives. */
export function paramDims(
  family: Family,
  sizes: Sizes,
  loc?: Loc,
  shape: Readonly<Record<string, number>> = {},
): ReadonlyMap<string, readonly Dim[]> {
  return new Map(
    Object.entries(family.params).map(([param, spec]) => [
      param,
      ([spec.dims, ...(spec.or ?? [])][shape[param] ?? 0] ?? spec.dims).map((letter): Dim => {
        const size = sizeOf(letter, sizes);
        if (size === undefined) throw shapeError(`dim ${letter} of ${family.name} parameter ${param} has no size`, `give ${letter}`, loc);
        if (!Number.isInteger(size)) throw oddState(family.name, sizes.N, loc);
        return { name: dimNames[letter] ?? letter, size };
      }),
    ]),
  );
}

/** What letters that are no names are called in types. */
const dimNames: Readonly<Partial<Record<DimLetter, string>>> = { "N/2": "N", "N+1": "N", "1": "one" };

function sizeOf(letter: DimLetter, sizes: Readonly<Partial<Record<DimLetter, number>>>): number | undefined {
  if (letter === "c") return 2;
  if (letter === "1") return 1;
  if (letter === "N2") return sizes.N;
  if (letter === "N+1") return sizes.N === undefined ? undefined : sizes.N + 1;
  if (letter === "N/2") return sizes.N === undefined ? undefined : sizes.N / 2;
  return sizes[letter];
}

/** Binds every letter to a size, or says which parameter does not fit. */
function bindSizes(
  family: string,
  params: Readonly<Record<string, ParamSpec>>,
  shapes: Readonly<Record<string, readonly number[]>>,
  known: Readonly<Partial<Record<DimLetter, number>>>,
  loc: Loc | undefined,
): Sizes {
  let bound = known;
  for (const [param, spec] of Object.entries(params)) {
    const shape = shapes[param];
    const options = [spec.dims, ...(spec.or ?? [])];
    if (known.N !== undefined && known.N % 2 !== 0 && options.every((dims) => dims.includes("N/2"))) throw oddState(family, known.N, loc);
    const next = shape === undefined ? undefined : options.map((dims) => matchDims(dims, shape, bound)).find((m) => m !== undefined);
    if (next === undefined)
      throw shapeError(
        `parameter ${param} of ${family} is ${shape === undefined ? "missing" : `[${shape.join(" ")}]`}`,
        `it should be ${options.map((dims) => `[${dims.map((d) => sizeOf(d, bound) ?? d).join(" ")}]`).join(" or ")} (${options.map((dims) => `[${dims.join(" ")}]`).join(" or ")})`,
        loc,
      );
    bound = next;
  }
  return { H: 0, N: 0, ...bound };
}

function matchDims(
  dims: readonly DimLetter[],
  shape: readonly number[],
  bound: Readonly<Partial<Record<DimLetter, number>>>,
): Readonly<Partial<Record<DimLetter, number>>> | undefined {
  if (dims.length !== shape.length) return undefined;
  const next: Partial<Record<DimLetter, number>> = { ...bound };
  for (const [i, letter] of dims.entries()) {
    const got = shape[i] ?? 0;
    const want = sizeOf(letter, next);
    if (want === undefined) {
      if (letter === "N/2") next.N = 2 * got;
      else if (letter === "N+1") next.N = got - 1;
      else next[letter === "N2" ? "N" : letter] = got;
    } else if (want !== got) return undefined;
  }
  return next;
}

function withAccessor<K extends string>(values: Readonly<Record<string, Constant>>): Readonly<Record<K, Values>> {
  const entries = Object.entries(values).map(([k, v]) => [k, { ...v, at: (i: number) => v.data[i] ?? NaN }]);
  return Object.fromEntries(entries) as Record<K, Values>;
}

function resolveOptions(family: string, specs: Readonly<Record<string, OptionSpec>>, given: Options, loc: Loc | undefined): Options {
  const fail = (message: string, fix: string): never => {
    throw new CompileError({ code: "ssm-option", message, fix, loc });
  };
  for (const [key, value] of Object.entries(given)) {
    const spec = specs[key] ?? fail(`family ${family} has no option ${key}`, `its options are ${Object.keys(specs).join(", ")}`);
    if (typeof value !== typeof spec.default) fail(`option ${key} of ${family} is a ${typeof value}`, `give a ${typeof spec.default}`);
    if (spec.choices !== undefined && !spec.choices.includes(String(value)))
      fail(`option ${key} of ${family} is "${String(value)}"`, `use one of ${spec.choices.join(", ")}`);
  }
  return { ...Object.fromEntries(Object.entries(specs).map(([k, s]) => [k, s.default])), ...given };
}

const shapeError = (message: string, fix: string, loc: Loc | undefined): CompileError =>
  new CompileError({ code: "ssm-shape", message, fix, loc });

const oddState = (family: string, n: number, loc: Loc | undefined): CompileError =>
  new CompileError({
    code: "ssm-state-odd",
    message: `family ${family} stores conjugate pairs, so its state size cannot be odd (${n})`,
    fix: `use ${n + 1}`,
    loc,
  });
