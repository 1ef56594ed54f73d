/**
 * A bundle's plan as the compiler makes it: plain data, in which every function is the source of a JavaScript expression
 * of its one parameter (`c` in `KernelSpec.shared`, `d` in all else). Text for bundles and functions for this process
 * both come from here. No kernels are known here.
 */
import type { BufferSpec, Dispatch, KernelSpec, Plan, Program } from "../runtime/plan.ts";
import { packShader } from "./pack-shader.ts";
import { type Item, joinItems, printItem, printList, scalarItem } from "./runs.ts";

/** `T` with every function in it replaced by `F`. */
type WithFunctions<T, F> = T extends (...args: never[]) => unknown
  ? F
  : T extends readonly (infer E)[]
    ? readonly WithFunctions<E, F>[]
    : T extends object
      ? { readonly [K in keyof T]: WithFunctions<T[K], F> }
      : T;

/** A plan whose functions are expressions: `4 * d.B`, `[d.B, 1, 1]`, `{ points: d.M }`, `d.M > d.F`. */
export type PlanSource = WithFunctions<Plan, string>;
export type BufferSource = WithFunctions<BufferSpec, string>;
export type DispatchSource = WithFunctions<Dispatch, string>;
export type KernelSource = WithFunctions<KernelSpec, string>;
export type ProgramSource = WithFunctions<Program, string>;

/** What a bundle is made of. */
export interface BundleParts {
  readonly plan: PlanSource;
  /** The contents of `plan.shards`, in their order. */
  readonly shards: readonly Uint8Array[];
  readonly manifest: Manifest;
  /** Files that are copied beside it, such as a tokenizer's. */
  readonly files?: ReadonlyMap<string, Uint8Array> | undefined;
  /** Of a language model whose ids are characters, these in the order of their ids. */
  readonly characters?: string | undefined;
}

/** `manifest.json`: the fields that mark a folder as a bundle of ours, and all that the compiler reports. */
export interface Manifest {
  readonly format: 1;
  readonly compiler: `recurve ${string}`;
  readonly name: string;
  readonly [more: string]: unknown;
}

/** The plan with its functions made by `wrap` from parameter and expression. */
export function mapFunctions<F>(plan: PlanSource, wrap: (parameter: "c" | "d", expression: string) => F): WithFunctions<Plan, F> {
  const fields = <T extends object, K extends keyof T>(object: T, ...names: K[]): T => {
    const wrapped = names.flatMap((name) =>
      object[name] === undefined ? [] : [[name, wrap(name === "shared" ? "c" : "d", String(object[name]))]],
    );
    return { ...object, ...Object.fromEntries(wrapped) };
  };
  const dispatches = (list: readonly DispatchSource[]): unknown => list.map((dispatch) => fields(dispatch, "grid", "constants", "when"));
  const program = ({ prepare, body }: ProgramSource): unknown => ({ prepare: dispatches(prepare), body: dispatches(body) });
  const programs = (modes: PlanSource["whole"]): unknown =>
    Object.fromEntries(Object.entries(modes).map(([mode, one]) => [mode, program(one)]));
  return {
    ...fields(plan, "choose", "chooseResume"),
    rates: plan.rates.map((rate) => wrap("d", rate)),
    kernels: plan.kernels.map((kernel) => fields(kernel, "shared")),
    buffers: plan.buffers.map((buffer) => ("size" in buffer ? fields(buffer, "size") : buffer)),
    whole: programs(plan.whole),
    resume: programs(plan.resume),
    ...(plan.step === undefined ? {} : { step: program(plan.step) }),
    ...(plan.generate === undefined ? {} : { generate: { ...plan.generate, ...(program(plan.generate) as object) } }),
  } as unknown as WithFunctions<Plan, F>;
}

/** The function of one parameter that an expression of a plan is the body of. */
export function evaluateExpression<P, R>(parameter: "c" | "d", expression: string): (parameter: P) => R {
  // The compiler's own expressions, which a bundle holds as they are.
  // oxlint-disable-next-line typescript/no-implied-eval
  return new Function(parameter, `return (${expression})`) as (parameter: P) => R;
}

/** The plan as the runtime takes it, to execute in this process. */
export function evaluatePlan(plan: PlanSource): Plan {
  return mapFunctions(plan, evaluateExpression<unknown, unknown>) as Plan;
}

/** The plan as a JavaScript object literal, its shaders in the form of a bundle, its runs calls of `repeat`. */
export function printPlan(plan: PlanSource): string {
  const packed = { ...plan, kernels: plan.kernels.map((kernel) => ({ ...kernel, wgsl: packShader(kernel.wgsl, kernel.access) })) };
  return printItem(literal(mapFunctions(packed, (parameter, expression) => new Code(`(${parameter}) => (${expression})`))));
}

/** JavaScript text among data. */
class Code {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

function literal(value: unknown): Item {
  if (value instanceof Code) return { text: value.text, integers: [] };
  if (Array.isArray(value)) {
    const items = value.map(literal);
    return value.some((item) => typeof item === "object") ? { text: printList(items), integers: [] } : joinItems(items, "[", ", ", "]");
  }
  if (typeof value === "number" || typeof value === "string") return scalarItem(value);
  if (typeof value !== "object" || value === null) return { text: JSON.stringify(value), integers: [] };
  const fields = Object.entries(value).filter(([, field]) => field !== undefined);
  return joinItems(
    fields.map(([name, field]) => joinItems([literal(field)], `${JSON.stringify(name)}: `, "", "")),
    "{ ",
    ", ",
    " }",
  );
}
