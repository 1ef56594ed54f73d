/** What the last three passes made of a module, as text: the choice of mode, the programs, the memory plan. */
import { formatLoc } from "../ir/error.ts";
import type { DispatchSource, PlanSource } from "../codegen/plan-source.ts";
import type { Lowered, Refusal } from "./lowered.ts";
import type { Choices, ModeChoice } from "./mode.ts";

/** The passes after the graph's, in their order. */
export const loweringPasses = ["mode", "lower", "memory"] as const;
export type LoweringPass = (typeof loweringPasses)[number];

interface Described {
  readonly plan: PlanSource;
  readonly lowered: Lowered;
  readonly choice: Choices;
}

/** The text of `recurve inspect --after` for a pass that leaves no graph. */
export function describe(pass: LoweringPass, compiled: Described): string {
  switch (pass) {
    case "mode":
      return [
        ...choicesOf(compiled.choice).map(([what, choice]) => choiceText(what, choice)),
        ...compiled.lowered.refused.map((refusal) => `${refusalText(refusal)}\n`),
      ].join("");
    case "lower":
      return programsOf(compiled.plan)
        .map(([name, dispatches]) => programText(name, dispatches, compiled.plan))
        .join("");
    case "memory":
      return memoryText(compiled);
  }
}

/** What there is to choose, in words. */
const choicesOf = ({ whole, resume }: Choices): readonly (readonly [string, ModeChoice])[] => [
  ["whole sequences", whole],
  ...(resume === undefined ? [] : [["continuing a stream", resume] as const]),
];

/** Why a mode is none of the model's. */
export function refusalText({ mode, node }: Refusal): string {
  const form = node.op === "ssm" ? ("structure" in node.form ? node.form.structure : node.form.stage) : "";
  const place = formatLoc(node.loc);
  return `no ${mode}: nothing runs ${[node.op, form].filter((part) => part !== "").join(" ")} in it${place === "" ? "" : ` (${place})`}`;
}

const rounded = (x: number): string => Number(x.toPrecision(3)).toString();

function choiceText(what: string, { source, reasons, table }: ModeChoice): string {
  const rows = table.map(
    ({ length, mode, estimate: { dispatches, flops, bytes, seconds } }) =>
      `  L=${length} ${mode}: ${dispatches} dispatches, ${rounded(flops)} flops, ${rounded(bytes)} bytes, ${rounded(seconds * 1e6)} us\n`,
  );
  return `${what} {\n  choose ${source}\n${reasons.map((reason) => `  ${reason}\n`).join("")}${rows.join("")}}\n`;
}

function programsOf(plan: PlanSource): readonly (readonly [string, readonly DispatchSource[]])[] {
  const modes = (kind: "whole" | "resume") =>
    Object.entries(plan[kind]).flatMap(([mode, { prepare, body }]) => [
      [`prepare ${kind} ${mode}`, prepare] as const,
      [`${kind} ${mode}`, body] as const,
    ]);
  return [...modes("whole"), ...modes("resume"), ...(plan.step === undefined ? [] : [["step", plan.step.body] as const])];
}

function programText(name: string, dispatches: readonly DispatchSource[], plan: PlanSource): string {
  const lines = dispatches.map(({ kernel, bind, grid, constants, when, tail }) => {
    const buffers = bind.map((buffer, i) => `${plan.kernels[kernel]?.access[i] === "w" ? "=" : ""}#${buffer}`).join(" ");
    const notes = [constants, when === undefined ? undefined : `when ${when}`, tail === true ? "tail" : undefined];
    return `  ${[plan.kernels[kernel]?.name, buffers, `grid ${grid}`, ...notes].filter((part) => part !== undefined).join("  ")}\n`;
  });
  return lines.length === 0 ? "" : `program ${name} {\n${lines.join("")}}\n`;
}

function memoryText({ plan, lowered }: Described): string {
  const buffers = plan.buffers.map((buffer, i) => {
    const name = "name" in buffer ? ` ${buffer.name}` : "tensor" in buffer ? ` ${buffer.tensor}` : "";
    return `  #${i} ${buffer.kind}${name}${"size" in buffer ? ` words ${buffer.size}` : ""}\n`;
  });
  const slots = lowered.memory.map(
    ({ program, slot, size, first, last }) => `  ${program}: slot ${slot} words ${size} from dispatch ${first} to ${last}\n`,
  );
  return `buffers {\n${buffers.join("")}}\ntemporaries {\n${slots.join("")}}\n`;
}
