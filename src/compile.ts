/** The pipeline: a model's graph and weights in, a plan, its weight shards and its manifest out. One readable list. */
import type { PlanSource } from "./codegen/plan-source.ts";
import { emitWgsl } from "./codegen/wgsl.ts";
import { CompileError } from "./ir/error.ts";
import { printGraph } from "./ir/print.ts";
import { localPlaces } from "./ir/rewrite.ts";
import type { Constants, Graph, ValueId } from "./ir/graph.ts";
import { affine } from "./passes/affine.ts";
import { discretize } from "./passes/discretize.ts";
import { fold } from "./passes/fold.ts";
import { fuse } from "./passes/fuse.ts";
import { init } from "./passes/init.ts";
import { quantize, type WeightReport, weightReport } from "./passes/quantize.ts";
import { lower } from "./passes/lower.ts";
import type { Lowered, ProgramCosts } from "./passes/lowered.ts";
import { chooseModes, type Choices, dimsFor, estimate } from "./passes/mode.ts";
import type { Module, Pass, PassContext } from "./passes/pass.ts";
import { runPasses } from "./passes/pipeline.ts";
import { structure } from "./passes/structure.ts";
import type { Mode } from "./runtime/plan.ts";
import { type Shard, writeShards } from "./weights/write.ts";

/** The graph passes in their order; `mode`, `lower` and `memory` follow on what they leave. */
export const passes: readonly Pass[] = [init, structure, discretize, fold, affine, fuse, quantize];

export interface CompileOptions {
  /** The longest sequence one execution takes; 65,536 where absent. */
  readonly maxLength?: number | undefined;
  /** Runs every length in this mode, where the model allows it. */
  readonly mode?: Mode | undefined;
  /** Seed of the initializers of parameters without weights. */
  readonly seed?: number | undefined;
  /**
   * Multiplies every step size, exactly: 2 runs a model on sequences of half the sampling rate it was trained on, 1/2 on
   * those of twice its rate. 1 where absent.
   */
  readonly rate?: number | undefined;
  /** Tokens that a language model may choose, where its embedding and head have rows that only pad them. */
  readonly vocabulary?: number | undefined;
  /** What the weights of products and tables are stored as, where they are not quantized; f32 where absent. */
  readonly dtype?: PassContext["dtype"];
  /** Quantizes the weights of products and tables to 8 or 4 bits. */
  readonly quantize?: PassContext["quantize"];
  /** Bytes of the largest buffer of a weight; 128 MiB, which every device binds, where absent. */
  readonly bindingLimit?: number | undefined;
  /** Facts known before, stated among the passes' own. */
  readonly notes?: readonly string[] | undefined;
  /** Sees the module after every pass. */
  readonly onPass?: ((pass: Pass, module: Module) => void) | undefined;
}

export interface Compiled {
  /** Discretized and fused; what the kernels compute, and what `interpret` gives the meaning of. */
  readonly module: Module;
  readonly lowered: Lowered;
  readonly choice: Choices;
  /** Everything the glue needs. */
  readonly plan: PlanSource;
  readonly shards: readonly Shard[];
  readonly manifest: Manifest;
  /** Facts the passes state, such as residuals. */
  readonly notes: readonly string[];
  readonly warnings: readonly string[];
}

/** Costs of one kernel at the reference sizes. */
export interface KernelReport {
  readonly name: string;
  readonly schedule: string;
  /** The nodes of the graph it computes, each by its number and op. */
  readonly nodes: readonly string[];
  readonly flops: number;
  readonly bytes: number;
  readonly minimum: number;
  /** Of one step: it runs once in so many, and its costs are the mean; 1 where absent. */
  readonly every?: number;
}

/** `manifest.json` of a bundle. */
export interface Manifest {
  readonly format: 1;
  readonly compiler: `recurve ${string}`;
  readonly name: string;
  readonly inputs: PlanSource["inputs"];
  readonly outputs: PlanSource["outputs"];
  readonly maxLength: number;
  /** Tokens that a language model chooses among. */
  readonly vocabulary?: number;
  readonly modes: readonly Mode[];
  /** Why which mode runs which length. */
  readonly reasons: { readonly whole: readonly string[]; readonly resume: readonly string[] };
  /** Kernels of each entry point with their costs for one sequence of `length` steps; of a step, for the last of them. */
  readonly costs: { readonly length: number; readonly programs: Readonly<Record<string, readonly KernelReport[]>> };
  readonly shards: readonly {
    readonly file: string;
    readonly bytes: number;
    readonly sha256: string;
    readonly tensors: readonly string[];
  }[];
  /** Weights of fewer bits than a float32, and what that changed in them; absent where there are none. */
  readonly weights?: WeightReport;
  /** The compiled graph as text; its parameters are the shards' tensors by the names of `weights/stored.ts`, discrete systems `.f64`. */
  readonly graph: string;
  readonly notes: readonly string[];
  /** What `recurve verify` measured; absent until it ran. */
  readonly verification?: unknown;
}

export const compilerVersion = "recurve 0.1.0";
const defaultMaxLength = 65536;

/** The sequence length costs are stated at: the longest, or 4,096. */
export const referenceLength = (maxLength: number): number => Math.min(maxLength, 4096);

function reportCosts(lowered: Lowered, { nodes }: Graph): Manifest["costs"] {
  const length = referenceLength(lowered.plan.maxLength);
  // Past the graph's own nodes stand copies that outputs need.
  const named = (id: ValueId): string => `%${id} ${nodes[id]?.op ?? "map"}`;
  const rows = (costs: ProgramCosts, L: number, steps = false): readonly KernelReport[] => {
    const d = { ...dimsFor(1, L), pos: steps ? length - 1 : 0 };
    return costs.body.flatMap((cost) => {
      const total = estimate([cost], d, steps);
      const { flops, bytes, minimum } = total;
      const every = steps && cost.rate > 1 ? { every: cost.rate } : {};
      return total.dispatches === 0
        ? []
        : [{ name: cost.kernel, schedule: cost.schedule, nodes: cost.values.map(named), flops, bytes, minimum, ...every }];
    });
  };
  const programs = [
    ...Object.entries(lowered.costs.whole).map(([mode, costs]) => [`whole.${mode}`, rows(costs, length)] as const),
    ...Object.entries(lowered.costs.resume).map(([mode, costs]) => [`resume.${mode}`, rows(costs, length)] as const),
    ...(lowered.costs.step === undefined ? [] : [["step", rows(lowered.costs.step, 1, true)] as const]),
    ...(lowered.costs.generate === undefined ? [] : [["generate", rows(lowered.costs.generate, 1, true)] as const]),
  ];
  return { length, programs: Object.fromEntries(programs) };
}

/**
 * Compiles a graph with its weights; parameters without one are initialized.
 * Throws: CompileError where the model or an option is at fault.
 */
export async function compileGraph(graph: Graph, constants: Constants, options: CompileOptions = {}): Promise<Compiled> {
  const notes = [...(options.notes ?? [])];
  const warnings: string[] = [];
  const context = {
    seed: options.seed ?? 0,
    rate: checkRate(options.rate),
    dtype: options.dtype,
    quantize: options.quantize,
    maxLength: options.maxLength ?? defaultMaxLength,
    note: (m: string): void => void notes.push(m),
    warn: (m: string): void => void warnings.push(m),
  };
  const module = runPasses(passes, { graph, constants }, context, { onPass: options.onPass });
  const lowered = lower(module, {
    maxLength: options.maxLength ?? defaultMaxLength,
    vocabulary: options.vocabulary,
    bindingLimit: options.bindingLimit,
  });
  checkMode(lowered, options.mode);
  const choice = chooseModes(lowered, options.mode);
  const tensors = [...lowered.tensors].map(([name, tensor]) => ({ name, ...tensor }));
  const shards = await writeShards(tensors, { format: "recurve" });
  const files = shards.map(({ file, bytes, sha256 }) => ({ file, bytes: bytes.length, sha256 }));
  const resume = choice.resume === undefined ? {} : { chooseResume: choice.resume.source };
  const plan: PlanSource = { ...lowered.plan, choose: choice.whole.source, ...resume, shards: files };
  const weights = weightReport(module.constants);
  const manifest: Manifest = {
    format: 1,
    compiler: compilerVersion,
    name: plan.name,
    inputs: plan.inputs,
    outputs: plan.outputs,
    maxLength: plan.maxLength,
    ...(plan.generate === undefined ? {} : { vocabulary: plan.generate.vocabulary }),
    modes: modesOf(plan),
    reasons: { whole: choice.whole.reasons, resume: choice.resume?.reasons ?? [] },
    costs: reportCosts(lowered, module.graph),
    shards: shards.map(({ file, bytes, sha256, tensors: names }) => ({ file, bytes: bytes.length, sha256, tensors: names })),
    ...(weights === undefined ? {} : { weights }),
    graph: printGraph(localPlaces(module.graph)),
    notes,
  };
  return { module, lowered, choice, plan, shards, manifest, notes, warnings };
}

/** Throws: `bad-rate`. */
function checkRate(rate = 1): number {
  if (rate > 0 && rate < Infinity) return rate;
  const fix = "give a number above 0: 2 for sequences of half the sampling rate, 0.5 for those of twice it";
  throw new CompileError({ code: "bad-rate", message: `step sizes cannot be multiplied by ${rate}`, fix });
}

/** Every mode that runs a whole sequence. */
const modesOf = ({ whole, step }: Lowered["plan"]): readonly Mode[] => [
  ...(Object.keys(whole) as Mode[]),
  ...(step === undefined ? [] : ["recurrence" as const]),
];

/** Throws: `mode-illegal`. */
function checkMode({ plan }: Lowered, mode: Mode | undefined): void {
  const modes = modesOf(plan);
  if (mode === undefined || modes.includes(mode)) return;
  throw new CompileError({
    code: "mode-illegal",
    message: `${plan.name} cannot run by ${mode}`,
    fix: `its layers allow ${modes.join(", ")}`,
  });
}

/** The shader of every kernel, by name; for `recurve inspect --kernels` and golden tests. */
export const shaders = (compiled: Compiled): readonly { readonly name: string; readonly wgsl: string }[] =>
  compiled.lowered.kernels.map((kernel) => ({ name: kernel.name, wgsl: emitWgsl(kernel) }));
