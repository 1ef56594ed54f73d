/** Fills the page of `recurve inspect --html` from what the compiler made of a model. Draws nothing. */
import type { Compiled } from "../compile.ts";
import { evaluatePlan } from "../codegen/plan-source.ts";
import { bug, formatLoc, type Loc } from "../ir/error.ts";
import { isAnchor, ownArity, type Graph, type Node } from "../ir/graph.ts";
import { printExpr, printType } from "../ir/print.ts";
import { refusalText } from "../passes/describe.ts";
import { evaluateSize, dimsFor, estimateDispatch, type ModeChoice } from "../passes/mode.ts";
import type { Module } from "../passes/pass.ts";
import type { DispatchCost, MemorySlot, ProgramCosts } from "../passes/lowered.ts";
import type { Dims, Plan, Program } from "../runtime/plan.ts";
import type { InspectBuffer, InspectChoice, InspectData, InspectDispatch, InspectMemory, InspectNode } from "./inspect-data.ts";
import { systemsOf } from "./inspect-systems.ts";

/** The text of a line of the user's source, where it is known. */
export type SourceLine = (loc: Loc) => string | undefined;

/** What the page shows of a compiled model; `modules` are those after each pass, by its name. */
export function inspectData(compiled: Compiled, modules: ReadonlyMap<string, Module>, sourceLine: SourceLine): InspectData {
  const { manifest, module, choice, notes, warnings } = compiled;
  const plan = evaluatePlan(compiled.plan);
  const { length } = manifest.costs;
  const d = dimsFor(1, length);
  const first = plan.choose(d);
  const after = (name: string): Module => modules.get(name) ?? bug(`no module after ${name}`);
  return {
    name: manifest.name,
    summary: `${manifest.compiler}; modes ${manifest.modes.join(", ")}; sequences up to ${manifest.maxLength}`,
    at: { B: 1, L: length },
    nodes: nodesOf(module.graph, sourceLine),
    choices: [
      choiceOf("whole sequence", choice.whole, length),
      ...(choice.resume === undefined ? [] : [choiceOf("continue a stream", choice.resume, length)]),
    ],
    refused: compiled.lowered.refused.map(refusalText),
    dispatches: dispatchesOf(compiled, plan, d),
    memory: memoryOf(compiled, plan, d).toSorted((a, b) => Number(b.entry === first) - Number(a.entry === first)),
    systems: systemsOf(after("structure"), after("discretize")),
    notes: [...warnings.map((warning) => `warning: ${warning}`), ...notes],
    text: manifest.graph,
  };
}

/** Every node but the parameters. */
function nodesOf(graph: Graph, sourceLine: SourceLine): InspectNode[] {
  return graph.nodes.flatMap((node, id) => {
    if (node.op === "param") return [];
    const args = node.args.filter((a) => graph.nodes[a]?.op !== "param");
    const detail = node.op === "map" ? printExpr(node.expr) : isAnchor(node) && node.post !== undefined ? printExpr(node.post) : undefined;
    return [
      {
        id,
        op: node.op,
        label: labelOf(graph, node),
        shape: printType(node.type),
        args,
        loc: formatLoc(node.loc) || undefined,
        source: node.loc && sourceLine(node.loc)?.trim(),
        detail,
      },
    ];
  });
}

function labelOf(graph: Graph, node: Node): string {
  const outputs = graph.outputs.filter(({ value }) => graph.nodes[value] === node).map(({ name }) => `= ${name}`);
  const own = isAnchor(node) ? node.args.slice(1, ownArity(node)) : [];
  const params = own.flatMap((a) => {
    const arg = graph.nodes[a];
    return arg?.op === "param" ? [arg.name] : [];
  });
  const name = node.op === "input" ? node.name : (params[0]?.replace(/[.:][^.:]*$/, "") ?? "");
  const kind =
    node.op === "norm" || node.op === "pool"
      ? `${node.kind} ${node.op}`
      : node.op === "ssm"
        ? `${node.form.stage === "discrete" ? node.form.structure : ""} N=${node.form.state}`
        : "";
  return [name, kind, ...outputs].filter((part) => part !== "").join(" ");
}

function choiceOf(entry: string, { thresholds, table }: ModeChoice, length: number): InspectChoice {
  const modes = [...new Set(table.map(({ mode }) => mode))].map((mode) => ({
    mode,
    costs: table.flatMap((row) => (row.mode === mode ? [[row.length, row.estimate.seconds] as const] : [])),
  }));
  const chosen = thresholds.findLast((threshold) => threshold.length <= length) ?? bug("no mode");
  return { entry, chosen: chosen.mode, thresholds, modes };
}

/** A step and the choice of the next token. */
const generateOf = ({ step, generate }: Plan): Program | undefined =>
  step && generate && { prepare: [], body: [...step.body, ...generate.body] };

function dispatchesOf({ lowered: { costs: known } }: Compiled, plan: Plan, d: Dims): InspectDispatch[] {
  const one = { ...dimsFor(1, 1), pos: d.L - 1 };
  const programs: (readonly [string, Program | undefined, ProgramCosts | undefined, Dims])[] = [
    ...Object.entries(known.whole).map(([mode, costs]) => [mode, plan.whole[mode as keyof Plan["whole"]], costs, d] as const),
    ["step", plan.step, known.step, one],
    ["generate", generateOf(plan), known.generate, one],
  ];
  return programs.flatMap(([entry, program, costs, at]) => {
    if (program === undefined || costs === undefined) return [];
    const rows = (list: Program["body"], own: readonly DispatchCost[], name: string): InspectDispatch[] =>
      list.flatMap((dispatch, i) => {
        const cost = own[i];
        if (cost === undefined || (cost.when !== undefined && evaluateSize(cost.when, at) === 0)) return [];
        const kernel = plan.kernels[dispatch.kernel] ?? bug(`no kernel ${dispatch.kernel}`);
        const every = at === one ? cost.rate : 1;
        const { flops, bytes, minimum, seconds } = estimateDispatch(cost, at);
        const workgroupBytes = kernel.shared?.(dispatch.constants?.(at) ?? {}) ?? 0;
        return [
          {
            entry: name,
            kernel: kernel.name,
            every,
            flops: flops / every,
            bytes: bytes / every,
            minimumBytes: minimum / every,
            seconds: seconds / every,
            workgroupBytes,
            grid: dispatch.grid(at),
            wgsl: kernel.wgsl,
          },
        ];
      });
    return [...rows(program.prepare, costs.prepare, `prepare ${entry}`), ...rows(program.body, costs.body, entry)];
  });
}

/** One plan for each program that runs at these sizes. */
function memoryOf({ lowered }: Compiled, plan: Plan, d: Dims): InspectMemory[] {
  const programs: (readonly [string, string, Program | undefined, Dims])[] = [
    ...Object.entries(plan.whole).map(([mode, program]) => [mode, `whole.${mode}`, program, d] as const),
    ["step", "step", plan.step, dimsFor(1, 1)],
    // What chooses has no intermediate values of its own.
    ["generate", "step", generateOf(plan), dimsFor(1, 1)],
  ];
  return programs.flatMap(([entry, name, program, at]) => {
    if (program === undefined) return [];
    const slots = lowered.memory.filter((slot) => slot.program === name);
    return [{ entry, ...programMemory(plan, program, slots, at) }];
  });
}

/** Buffers in the order of the plan: what is bound, by which of the dispatches that run. */
function programMemory(plan: Plan, { body }: Program, slots: readonly MemorySlot[], d: Dims): Omit<InspectMemory, "entry"> {
  const running = body.flatMap((dispatch, place) => ((dispatch.when?.(d) ?? true) ? [{ dispatch, place }] : []));
  const names = running.map(({ dispatch }) => plan.kernels[dispatch.kernel]?.name ?? bug(`no kernel ${dispatch.kernel}`));
  const firstSlot = plan.buffers.findIndex(({ kind }) => kind === "temp");
  /** From the first to the last dispatch that binds `buffer`, among those at places `from` to `to` of the body. */
  const life = (buffer: number, bytes: number, label: string | undefined, from = 0, to = body.length): InspectBuffer["lives"] => {
    const uses = running.flatMap(({ dispatch, place }, i) => (place >= from && place <= to && dispatch.bind.includes(buffer) ? [i] : []));
    const [first] = uses;
    return first === undefined
      ? []
      : [{ from: first, to: uses.at(-1) ?? first, bytes, label: label ?? `made by ${names[first] ?? "nothing"}` }];
  };
  const buffers = plan.buffers.flatMap((buffer, index): InspectBuffer[] => {
    const { kind } = buffer;
    if (kind === "weight" || kind === "table") return [];
    const bytes = "size" in buffer ? 4 * buffer.size(d) : 4 * elementsOf(plan, buffer.name, d);
    const name = "name" in buffer ? buffer.name : kind === "temp" ? `slot ${index - firstSlot}` : kind;
    const lives =
      kind === "temp"
        ? slots
            .filter(({ slot }) => slot === index - firstSlot)
            .flatMap(({ size, first, last }) => life(index, 4 * evaluateSize(size, d), undefined, first, last))
        : life(index, bytes, kind);
    return lives.length === 0 ? [] : [{ name, kind, bytes, lives }];
  });
  return { dispatches: names, buffers };
}

/** Elements of an input or output. */
function elementsOf({ inputs, outputs }: Plan, name: string, d: Dims): number {
  const { dims } = [...inputs, ...outputs].find((tensor) => tensor.name === name) ?? bug(`no tensor ${name}`);
  return dims.reduce<number>((product, size) => product * (typeof size === "number" ? size : d[size]), 1);
}
