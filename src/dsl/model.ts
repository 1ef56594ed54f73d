/** `model`: runs a typed function over symbolic inputs and keeps the graph it built. */
import type { GraphBuilder } from "../ir/build.ts";
import { CompileError } from "../ir/error.ts";
import { formatDims, rateOfType } from "../ir/infer.ts";
import type { Dim, Graph, GraphOutput, TensorType } from "../ir/graph.ts";
import { makeTensor, type AnyTensor, type Ids, type Seq, type Tensor } from "./tensor.ts";
import { fail, here, tracing, valueOf } from "./trace.ts";

/** What an input of a model holds; made by `sequence` or `tokens`. */
export interface InputSpec<S extends object> {
  readonly shape: S;
  readonly type: TensorType;
}

/** A model, built. The front end takes it from the default export of the user's file. */
export interface Model {
  readonly kind: "recurve-model";
  readonly graph: Graph;
  /** The scheme that maps the names of a checkpoint to this model's parameters; its own names where absent. */
  readonly weights: string | undefined;
}

/** Options of `model`. */
export interface ModelOptions {
  /** The naming scheme of the checkpoint, such as `s4model`. */
  readonly weights?: string;
}

const batch: Dim = { name: "B", size: "B" };
const length: Dim = { name: "L", size: "L" };

/** An input of `width` numbers at every time step: F32 `[B, L, width]`. */
export function sequence<const W extends number>(width: W): InputSpec<Seq<W>> {
  if (!Number.isInteger(width) || width < 1)
    fail("bad-width", `a sequence of ${width} channels`, "give a whole number of channels, at least 1");
  return { shape: { L: "L", H: width }, type: { dtype: "f32", dims: [batch, length, { name: "H", size: width }] } };
}

/** An input of one id below `vocabulary` at every time step: I32 `[B, L]`. */
export function tokens<const V extends number>(vocabulary: V): InputSpec<Ids<V>> {
  if (!Number.isInteger(vocabulary) || vocabulary < 1)
    fail("bad-width", `a vocabulary of ${vocabulary} ids`, "give a whole number of ids, at least 1");
  return { shape: { L: "L", V: vocabulary }, type: { dtype: "i32", dims: [batch, length] } };
}

type Inputs = Readonly<Record<string, InputSpec<object>>>;
type TensorsOf<I> = I extends infer J
  ? { readonly [K in keyof J]: J[K] extends { readonly shape: infer S extends object } ? Tensor<S> : never }
  : never;

/**
 * Declares a model: `build` maps its inputs to its outputs, by name.
 * Throws: CompileError, from any layer called in `build`.
 */
export function model<const I extends { readonly [K in keyof I]: { readonly shape: object; readonly type: TensorType } }>(
  name: string,
  inputs: I,
  build: (inputs: TensorsOf<I>) => Readonly<Record<string, AnyTensor>>,
  options: ModelOptions = {},
): Model {
  const specs: Inputs = inputs;
  if (!/^[A-Za-z][\w.-]*$/.test(name)) fail("bad-name", `"${name}" is no name for a model`, "use letters, digits, - and _, a letter first");
  return tracing(name, (trace) => {
    const tensors: Record<string, AnyTensor> = {};
    for (const [key, spec] of Object.entries(specs)) {
      checkName(key);
      tensors[key] = makeTensor(spec.shape, trace.builder.input(key, spec.type, here()), trace);
    }
    const results = build(tensors as TensorsOf<I>);
    return { kind: "recurve-model", graph: trace.builder.finish(outputsOf(results, trace.builder)), weights: options.weights };
  });
}

function outputsOf(results: unknown, { typeOf }: GraphBuilder): GraphOutput[] {
  if (typeof results !== "object" || results === null || Object.keys(results).length === 0)
    fail("model-no-outputs", "the model's function returns no outputs", "return a record of tensors, such as `{ logits }`");
  return Object.entries(results).map(([name, tensor]) => {
    checkName(name);
    const value = valueOf(tensor);
    if (rateOfType(typeOf(value)) !== 1)
      fail(
        "output-rate",
        `output "${name}" is ${formatDims(typeOf(value).dims)}: it has no value at every time step`,
        "pool it over time, or give its blocks back as steps with unpack()",
      );
    if (typeOf(value).dtype !== "f32")
      fail("output-ids", `output "${name}" is an input of ids`, "return what the model makes of them, such as embed(ids)");
    return { name, value };
  });
}

function checkName(name: string): void {
  if (/^[A-Za-z_]\w*$/.test(name)) return;
  throw new CompileError({
    code: "bad-name",
    message: `"${name}" is no name for an input or output`,
    fix: "use letters, digits and _, a letter first",
    loc: here(),
  });
}

/** Whether a value is what `model` returns. */
export function isModel(x: unknown): x is Model {
  return typeof x === "object" && x !== null && "kind" in x && x.kind === "recurve-model";
}
