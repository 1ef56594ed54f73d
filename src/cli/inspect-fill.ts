/** Fills the page of `recurve inspect --html` from what the compiler made of a model. Draws nothing. */
import type { Compiled } from "../compile.ts";
import { evaluatePlan } from "../codegen/plan-source.ts";
import { bug, formatLoc } from "../ir/error.ts";
import { isAnchor, ownArity, type Graph, type Node } from "../ir/graph.ts";
import { printExpr, printType } from "../ir/print.ts";
import { evaluateSize, dimsFor, estimateDispatch, type ModeChoice } from "../passes/mode.ts";
import type { Module } from "../passes/pass.ts";
import type { DispatchCost, ProgramCosts } from "../passes/lowered.ts";
import type { Dims, Plan, Program } from "../runtime/plan.ts";
import type { InspectBuffer, InspectChoice, InspectData, InspectDispatch, InspectNode } from "./inspect-data.ts";
import { systemsOf } from "./inspect-systems.ts";

/** What the page shows of a compiled model; `continuous` is the module after the pass `structure`. */
export function inspectData(compiled: Compiled, continuous: Module): InspectData {
  const { manifest, module, choice, notes, warnings } = compiled;
  const plan = evaluatePlan(compiled.plan);
  const { length } = manifest.costs;
  const d = dimsFor(1, length);
  const mode = plan.choose(d);
  return {
    name: manifest.name,
    summary: `${manifest.compiler}; modes ${manifest.modes.join(", ")}; sequences up to ${manifest.maxLength}`,
    at: { B: 1, L: length },
    nodes: nodesOf(module.graph),
    choices: [
      choiceOf("whole sequence", choice.whole, length),
      ...(choice.resume === undefined ? [] : [choiceOf("continue a stream", choice.resume, length)]),
    ],
    dispatches: dispatchesOf(compiled, plan, d),
    memory: { entry: mode, buffers: buffersOf(plan, plan.whole[mode] ?? plan.step ?? bug("a plan without programs"), d) },
    systems: systemsOf(continuous, module),
    notes: [...warnings.map((warning) => `warning: ${warning}`), ...notes],
    text: manifest.graph,
  };
}

/** Every node but the parameters. */
function nodesOf(graph: Graph): InspectNode[] {
  return graph.nodes.flatMap((node, id) => {
    if (node.op === "param") return [];
    const args = node.args.filter((a) => graph.nodes[a]?.op !== "param");
    const detail = node.op === "map" ? printExpr(node.expr) : isAnchor(node) && node.post !== undefined ? printExpr(node.post) : undefined;
    return [
      { id, op: node.op, label: labelOf(graph, node), shape: printType(node.type), args, loc: formatLoc(node.loc) || undefined, detail },
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
      ? node.kind
      : node.op === "ssm"
        ? `${node.form.stage === "discrete" ? node.form.structure : ""} N=${node.form.state}`
        : "";
  return [name, kind, ...outputs].filter((part) => part !== "").join(" ");
}

function choiceOf(entry: string, choice: ModeChoice, length: number): InspectChoice {
  const rows = choice.table.filter((row) => row.length === length);
  const cheapest = rows.toSorted((a, b) => a.estimate.seconds - b.estimate.seconds)[0] ?? bug("no mode");
  return {
    entry,
    chosen: cheapest.mode,
    reason: choice.reasons.join("; "),
    costs: rows.map(({ mode, estimate }) => ({ mode, cost: estimate.seconds })),
  };
}

function dispatchesOf({ lowered }: Compiled, plan: Plan, d: Dims): InspectDispatch[] {
  const programs: (readonly [string, Program | undefined, ProgramCosts, Dims])[] = [
    ...Object.entries(lowered.costs.whole).map(([mode, costs]) => [mode, plan.whole[mode as keyof Plan["whole"]], costs, d] as const),
    ...(lowered.costs.step === undefined ? [] : [["step", plan.step, lowered.costs.step, dimsFor(1, 1)] as const]),
  ];
  return programs.flatMap(([entry, program, costs, at]) => {
    if (program === undefined) return [];
    const rows = (list: Program["body"], own: readonly DispatchCost[], name: string): InspectDispatch[] =>
      list.flatMap((dispatch, i) => {
        const cost = own[i];
        if (cost === undefined || (cost.when !== undefined && evaluateSize(cost.when, at) === 0)) return [];
        const kernel = plan.kernels[dispatch.kernel] ?? bug(`no kernel ${dispatch.kernel}`);
        const { flops, bytes, minimum } = estimateDispatch(cost, at);
        const workgroupBytes = kernel.shared?.(dispatch.constants?.(at) ?? {}) ?? 0;
        return [
          {
            entry: name,
            kernel: kernel.name,
            flops,
            bytes,
            minimumBytes: minimum,
            workgroupBytes,
            grid: dispatch.grid(at),
            wgsl: kernel.wgsl,
          },
        ];
      });
    return [...rows(program.prepare, costs.prepare, `prepare ${entry}`), ...rows(program.body, costs.body, entry)];
  });
}

/** Temporaries by when the program binds them; inputs, outputs and states for as long as it runs. */
function buffersOf(plan: Plan, { body }: Program, d: Dims): InspectBuffer[] {
  const running = body.filter((dispatch) => dispatch.when?.(d) ?? true);
  return plan.buffers.flatMap((buffer, index) => {
    const uses = running.flatMap(({ bind }, i) => (bind.includes(index) ? [i] : []));
    const [first] = uses;
    if (first === undefined || !("size" in buffer)) return [];
    const name = "name" in buffer ? buffer.name : `buffer ${index}`;
    return [{ name, kind: buffer.kind, bytes: 4 * buffer.size(d), from: first, to: uses.at(-1) ?? first }];
  });
}
