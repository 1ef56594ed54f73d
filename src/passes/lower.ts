/**
 * Graph to kernels: every entry point (whole sequences and resumed streams by mode, one step) becomes a list of dispatches.
 * One entry point is `lower-entry.ts`; buffers of temporary values are shared by `memory.ts`.
 */
import type { DispatchSource } from "../codegen/plan-source.ts";
import { bug } from "../ir/error.ts";
import { arg } from "../ir/expr.ts";
import { axisOf, isCausal, isLength, readsAhead, type Graph, type InputNode, type Node, type ValueId } from "../ir/graph.ts";
import { rateOfType } from "../ir/infer.ts";
import { isView } from "../ir/rewrite.ts";
import type { Kernel, KExpr } from "../ir/kernel.ts";
import type { Mode, TensorSpec } from "../runtime/plan.ts";
import { parameterBlocks } from "./blocks.ts";
import { inputBuffer, rateNumber, lowerEntry, type Shared } from "./lower-entry.ts";
import { idsBelow, lowerGenerate } from "./lower-generate.ts";
import type { Lowered, Refusal } from "./lowered.ts";
import { planMemory, type VirtualProgram } from "./memory.ts";
import type { Module } from "./pass.ts";
import { dimsAtRate, periodOf } from "./rates.ts";
import { markShown } from "./shown.ts";
import { defaultBindingLimit } from "./weights.ts";

export interface LowerOptions {
  /** The longest sequence one execution takes. */
  readonly maxLength: number;
  /** Bytes of the largest buffer of a weight; 128 MiB, which every device binds, where absent. */
  readonly bindingLimit?: number | undefined;
  /** Tokens that a language model may choose, where its head has rows that only pad it. */
  readonly vocabulary?: number | undefined;
}

/** Gives every output a value of its own that a kernel writes: no inputs, views or shared values. */
export function separateOutputs(graph: Graph): Graph {
  const nodes: Node[] = [...graph.nodes];
  const taken = new Set<ValueId>();
  const outputs = graph.outputs.map((output) => {
    const node = nodes[output.value] ?? bug(`no value %${output.value}`);
    if (!taken.has(output.value) && node.op !== "input" && node.op !== "param" && !isView(node)) {
      taken.add(output.value);
      return output;
    }
    nodes.push({ op: "map", expr: arg(0), args: [output.value], type: { dtype: "f32", dims: node.type.dims }, loc: node.loc });
    return { name: output.name, value: nodes.length - 1 };
  });
  return { ...graph, nodes, outputs };
}

/**
 * The kernels that programs use, for a compression that finds what two share only where they are near: families (by the first word of their
 * names) side by side, and the longest last, where it comes between no two others.
 */
function orderKernels(
  kernels: Shared["kernels"],
  programs: readonly VirtualProgram[],
): { readonly ordered: Shared["kernels"]; readonly renumber: (d: DispatchSource) => DispatchSource } {
  const used = new Set(programs.flatMap((p) => [...p.prepare, ...p.body].map((d) => d.kernel)));
  const nameOf = (i: number): string => kernels[i]?.kernel.name ?? bug("no kernel");
  const familyOf = (i: number): string => nameOf(i).replace(/_.*/, "");
  const lengths = new Map<string, number>();
  for (const i of used) lengths.set(familyOf(i), (lengths.get(familyOf(i)) ?? 0) + (kernels[i]?.wgsl.length ?? 0));
  const lengthOf = (i: number): number => lengths.get(familyOf(i)) ?? 0;
  const order = [...used].toSorted((a, b) => lengthOf(a) - lengthOf(b) || nameOf(a).localeCompare(nameOf(b)) || a - b);
  const places = new Map(order.map((kernel, place) => [kernel, place]));
  return {
    ordered: order.map((i) => kernels[i] ?? bug("no kernel")),
    renumber: (d) => ({ ...d, kernel: places.get(d.kernel) ?? bug("no kernel") }),
  };
}

function sharedBytes(kernel: Kernel): string {
  const source = (e: KExpr): string => {
    switch (e.op) {
      case "lit":
        return `${e.value}`;
      case "override":
        return `c.${e.name}`;
      case "call": {
        const [a, b] = e.args.map(source);
        return `(${a}${{ add: "+", sub: "-", mul: "*", div: "/" }[e.fn as "add" | "sub" | "mul" | "div"]}${b})`;
      }
      default:
        return bug(`the size of workgroup memory in ${kernel.name} is no constant`);
    }
  };
  return kernel.shared.map((s) => `4*${source(s.size)}`).join("+");
}

interface Runnable {
  readonly prepare: readonly DispatchSource[];
  readonly body: readonly DispatchSource[];
}

/** The kernels of a mode's programs, in order. */
const kernelsOf = ({ whole, resume }: { readonly whole: Runnable; readonly resume: Runnable | undefined }): string =>
  JSON.stringify([whole, resume].map((p) => p && [...p.prepare, ...p.body].map((d) => d.kernel)));

/** Time steps of the grid whose axis a node works along, in those of the model. */
function gridOf(node: Node): number[] {
  const axis = axisOf(node);
  return axis === undefined ? [] : [axis.size * axis.stride * rateOfType(node.type)];
}

/** Whether a stream keeps something of every step. */
const remembersAll = (node: Node): boolean => node.op === "attention" && node.window === undefined;

/** The modes in which a stream can process many steps at once. */
export const parallelModes: readonly Mode[] = ["convolution", "scan", "chunked"];

/**
 * Lowers a fused module for every mode its nodes allow.
 */
export function lower(module: Module, options: LowerOptions): Lowered {
  const graph = separateOutputs(module.graph);
  const shared: Shared = {
    module,
    maxLength: options.maxLength,
    buffers: [],
    kernels: [],
    tensors: new Map(),
    tables: [],
    rates: [1],
    known: new Map(),
    blocks: parameterBlocks(graph),
    weights: new Map(),
    bindingLimit: options.bindingLimit ?? defaultBindingLimit,
    prepared: new Map(),
  };
  for (const node of graph.nodes) if (node.op === "input") inputBuffer(shared, node.name);
  const step = isCausal(graph) ? lowerEntry(shared, graph, "step", "recurrence") : undefined;
  if (step !== undefined && "unserved" in step) bug(`nothing runs one step of ${step.unserved.op}`);
  const generate = step && lowerGenerate(shared, graph, options.vocabulary);
  const refused: Refusal[] = graph.nodes
    .filter(readsAhead)
    .slice(0, 1)
    .map((node) => ({ mode: "recurrence", node }));
  const legal = parallelModes.flatMap((mode) => {
    const whole = lowerEntry(shared, graph, "whole", mode);
    const resume = step && lowerEntry(shared, graph, "resume", mode);
    if (!("unserved" in whole) && !(resume !== undefined && "unserved" in resume)) return [{ mode, whole, resume }];
    const unserved = "unserved" in whole ? whole : resume;
    if (unserved !== undefined && "unserved" in unserved) refused.push({ mode, node: unserved.unserved });
    return [];
  });
  // A mode that runs the same kernels as an earlier one is no mode of its own: only state space models tell them apart.
  const entries = legal.filter((entry, i) => legal.findIndex((earlier) => kernelsOf(earlier) === kernelsOf(entry)) === i);
  if (entries.length === 0) bug(`the model ${graph.name} runs in no mode that processes whole sequences`);
  const ownKernels = shared.kernels.map(({ kernel }) => kernel);
  /** The body of a program that keeps state. */
  const kept = ({ body }: Runnable): readonly DispatchSource[] =>
    generate === undefined ? body : markShown(body, ownKernels, shared.buffers);
  const programs: VirtualProgram[] = [
    ...(step === undefined ? [] : [{ name: "step", prepare: step.prepare, body: kept(step) }]),
    ...(generate === undefined ? [] : [{ name: "generate", ...generate.program }]),
    ...entries.flatMap(({ mode, whole, resume }) => [
      { name: `whole.${mode}`, prepare: whole.prepare, body: whole.body },
      ...(resume === undefined ? [] : [{ name: `resume.${mode}`, prepare: resume.prepare, body: kept(resume) }]),
    ]),
  ];
  const kernels = orderKernels(shared.kernels, programs);
  const memory = planMemory(
    shared.buffers,
    programs.map((p) => ({ name: p.name, prepare: p.prepare.map(kernels.renumber), body: p.body.map(kernels.renumber) })),
  );
  const program = (name: string): { prepare: readonly DispatchSource[]; body: readonly DispatchSource[] } => {
    const found = memory.programs.find((p) => p.name === name) ?? bug(`no program ${name}`);
    return { prepare: found.prepare, body: found.body };
  };
  const byMode = <T>(of: (entry: (typeof entries)[number]) => T | undefined): Partial<Record<Mode, T>> =>
    Object.fromEntries(
      entries.flatMap((e) => {
        const value = of(e);
        return value === undefined ? [] : [[e.mode, value]];
      }),
    );
  return {
    plan: {
      format: 1,
      name: graph.name,
      maxLength: options.maxLength,
      inputs: graph.nodes.flatMap((n): TensorSpec[] => (n.op === "input" ? [inputSpec(graph, n)] : [])),
      outputs: graph.outputs.map((o) => tensorSpec(o.name, graph.nodes[o.value] ?? bug("no output"))),
      kernels: kernels.ordered.map(({ kernel, wgsl }) => ({
        name: kernel.name,
        wgsl,
        access: kernel.buffers.map((b) => (b.access === "read" ? "r" : "w")).join(""),
        ...(kernel.shared.length > 0 ? { shared: sharedBytes(kernel) } : {}),
      })),
      buffers: memory.buffers,
      tables: shared.tables.map(({ request, rate, out }) => ({
        maker: request.maker,
        tensors: request.tensors,
        options: request.options,
        out: Object.fromEntries(Object.entries(out).map(([role, buffer]) => [role, memory.renumber(buffer)])),
        ...(request.perM === true ? { perM: true } : {}),
        ...(rate === 1 ? {} : { rate: rateNumber(shared, rate) }),
      })),
      ...(step !== undefined && graph.nodes.some(remembersAll) ? { context: options.maxLength } : {}),
      rates: shared.rates.map(dimsAtRate),
      period: periodOf([...shared.rates, ...graph.nodes.flatMap(gridOf)]),
      whole: byMode(({ mode }) => program(`whole.${mode}`)),
      resume: byMode(({ mode, resume }) => resume && program(`resume.${mode}`)),
      ...(step === undefined ? {} : { step: program("step") }),
      ...(generate === undefined ? {} : { generate: { ...program("generate"), vocabulary: generate.vocabulary } }),
    },
    kernels: kernels.ordered.map((k) => k.kernel),
    tensors: shared.tensors,
    costs: {
      whole: byMode((e) => e.whole.costs),
      resume: byMode((e) => e.resume?.costs),
      ...(step === undefined ? {} : { step: step.costs }),
      ...(step === undefined || generate === undefined ? {} : { generate: { prepare: [], body: [...step.costs.body, ...generate.costs] } }),
    },
    memory: memory.slots,
    refused,
  };
}

/** An input with what bounds its ids. */
function inputSpec(graph: Graph, node: InputNode): TensorSpec {
  const below = idsBelow(graph, graph.nodes.indexOf(node));
  return { ...tensorSpec(node.name, node), ...(below === undefined ? {} : { below }) };
}

const tensorSpec = (name: string, node: Node): TensorSpec => ({
  name,
  dtype: node.type.dtype,
  dims: node.type.dims.map((d) => (isLength(d.size) && d.size !== "L" ? bug(`${name} has a length of ${d.size}`) : d.size)),
  names: node.type.dims.map((d) => d.name),
});
