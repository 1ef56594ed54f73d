/**
 * The model under construction: its graph builder, the scope that prefixes parameter names, and the place in the user's
 * source that the running call came from. One at a time; `model` opens and closes it.
 */
import { graphBuilder, type GraphBuilder } from "../ir/build.ts";
import { CompileError, type Loc } from "../ir/error.ts";
import type { Dim, Init, ValueId } from "../ir/graph.ts";
import { formatDims, sameDims } from "../ir/infer.ts";
import { isTensor, traced, type AnyTensor } from "./tensor.ts";

/** More nodes than any model has; a loop without end reaches it within the time limit. */
const nodeLimit = 100_000;

/** A model under construction. */
export interface Trace {
  readonly builder: GraphBuilder;
  /** Names of layers that were made up. */
  readonly names: Set<string>;
  readonly parameters: Map<string, ValueId>;
  /** Parameters that the call under way has again instead of declaring them; see `shared`. */
  readonly again: Map<string, ValueId>;
  readonly scopes: string[];
}

let current: Trace | undefined;
let sites: readonly Loc[] = [];
let onSite: (site: number) => void = () => {};
const places: number[] = [];

/** Throws a `CompileError` at the call of the user's that is running. */
export function fail(code: string, message: string, fix: string): never {
  throw new CompileError({ code, message, fix, loc: here() });
}

/** The place in the user's source of the innermost call that is running; undefined without the front end. */
export function here(): Loc | undefined {
  const site = places.at(-1);
  return site === undefined ? undefined : sites[site];
}

/** Tells the places that `at` numbers, and who wants to hear of every call. */
export function useSites(table: readonly Loc[], listener: (site: number) => void = () => {}): void {
  sites = table;
  onSite = listener;
}

/** `fn`, whose nodes and errors belong to place `site`. The front end wraps every callee of a model file in this. */
export function at<A extends readonly unknown[], R>(site: number, fn: (...args: A) => R): (...args: A) => R {
  if (typeof fn !== "function") return fn;
  return (...args) => {
    onSite(site);
    places.push(site);
    try {
      return fn(...args);
    } catch (error) {
      throw locate(error);
    } finally {
      places.pop();
    }
  };
}

/** An error of ours without a place gets the innermost one that is known. */
function locate(error: unknown): unknown {
  if (!(error instanceof CompileError) || error.loc !== undefined) return error;
  return new CompileError({ code: error.code, message: error.message, fix: error.fix, loc: here() });
}

/** Runs `build` with a new trace of that name. */
export function tracing<R>(name: string, build: (trace: Trace) => R): R {
  if (current !== undefined) fail("nested-model", "a model is declared inside another", "call the inner model's function instead");
  current = { builder: graphBuilder(name), names: new Set(), parameters: new Map(), again: new Map(), scopes: [] };
  try {
    return build(current);
  } finally {
    current = undefined;
  }
}

/**
 * The running trace.
 * Throws: CompileError `outside-model`.
 */
export function trace(): Trace {
  return current ?? fail("outside-model", "a layer was called outside of model()", "call it inside the function you pass to model()");
}

/**
 * The node of a tensor of the running trace.
 * Throws: CompileError `not-a-tensor`, `foreign-tensor`.
 */
export function valueOf(tensor: AnyTensor): ValueId {
  const running = trace();
  if (!isTensor(tensor))
    fail("not-a-tensor", `expected a tensor, got ${describe(tensor)}`, "pass the result of a layer or an input of the model");
  const { value, owner } = traced(tensor);
  if (owner !== running)
    fail("foreign-tensor", "a tensor of another model was passed to a layer", "use only tensors made inside this model's function");
  if (value > nodeLimit) fail("model-too-large", `the model has more than ${nodeLimit} nodes`, "look for a loop that does not end");
  return value;
}

function describe(x: unknown): string {
  return x === null || typeof x !== "object" ? String(x) : Array.isArray(x) ? "an array" : "an object";
}

/** Runs `build` with `name` in front of every parameter declared in it. */
export function scope<R>(name: string, build: () => R): R {
  const { scopes } = trace();
  scopes.push(name);
  try {
    return build();
  } finally {
    scopes.pop();
  }
}

/** Options of every layer that has parameters. */
export interface Named {
  /** In front of the layer's parameter names; `encoder` gives `encoder.weight`. Made up where absent: `linear0`. */
  readonly name?: string;
}

/** The full name of a layer: its own, or the kind with the first free number, behind the scopes. */
export function layerName(kind: string, name: string | undefined): string {
  const { scopes, names } = trace();
  const path = (last: string): string => [...scopes, last].filter((part) => part !== "").join(".");
  if (name !== undefined) return path(name);
  let i = 0;
  while (names.has(path(`${kind}${i}`))) i++;
  names.add(path(`${kind}${i}`));
  return path(`${kind}${i}`);
}

/**
 * A parameter under a name that must be free, or that an earlier call of a shared block has.
 * Throws: CompileError `duplicate-name`, `shape-mismatch`.
 */
export function parameter(layer: string, leaf: string, dims: readonly Dim[], init: Init): ValueId {
  const old = again(layer, leaf, dims);
  if (old !== undefined) return old;
  const name = freeName(layer, leaf);
  return kept(name, trace().builder.param(name, dims, init, here()));
}

/** A parameter that no checkpoint holds: its values are always those of `init`. Throws: CompileError `duplicate-name`. */
export function fixedParameter(layer: string, leaf: string, dims: readonly Dim[], init: Init): ValueId {
  const old = again(layer, leaf, dims);
  if (old !== undefined) return old;
  const name = freeName(layer, leaf);
  return kept(name, trace().builder.fixed(name, dims, init, here()));
}

/**
 * The parameter of a layer that was called before.
 * Throws: CompileError `unknown-parameter`.
 */
export function declared(layer: string, leaf: string): ValueId {
  const { parameters } = trace();
  const name = fullName(layer, leaf);
  const fix = `name a layer that was called before; there are ${[...parameters.keys()].join(", ") || "none yet"}`;
  return parameters.get(name) ?? fail("unknown-parameter", `no layer before this one has a parameter ${name}`, fix);
}

const fullName = (layer: string, leaf: string): string => (layer === "" ? leaf : `${layer}.${leaf}`);

/** The parameter as an earlier call of the running shared block declared it. */
function again(layer: string, leaf: string, dims: readonly Dim[]): ValueId | undefined {
  const running = trace();
  const name = fullName(layer, leaf);
  const value = running.again.get(name);
  if (value === undefined) return undefined;
  const first = running.builder.typeOf(value).dims;
  if (sameDims(first, dims)) return value;
  const message = `${name} is ${formatDims(first)} in the first call of this shared block and ${formatDims(dims)} here`;
  return fail("shape-mismatch", message, "call it on tensors of equal widths");
}

function kept(name: string, value: ValueId): ValueId {
  trace().parameters.set(name, value);
  return value;
}

function freeName(layer: string, leaf: string): string {
  const name = fullName(layer, leaf);
  if (trace().parameters.has(name)) fail("duplicate-name", `two parameters are named ${name}`, "give one of the two layers another `name`");
  return name;
}
