/** Writes the tables of what was measured on GPUs, from bench/results, into docs/performance.md. `--check` only says whether they are up to date. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Figure } from "../bench/figure.ts";
import { between, runOn, table } from "./markdown.ts";

/** What `npm run bench -- <names> --save` wrote on a device, before a change of its kernels and after. */
interface Measured {
  readonly device: string;
  readonly before: Readonly<Record<string, readonly Figure[]>>;
  readonly after: Readonly<Record<string, readonly Figure[]>>;
}

const data = "bench/results/nvidia-h100.json";
const marks = { begin: "<!-- measured: written by scripts/performance.ts -->", end: "<!-- /measured -->" };

const told = (figure: Figure | undefined): string =>
  figure === undefined ? "" : `${Number(figure.value.toPrecision(3))} ${figure.unit}`.trim();

/** Programs by the model they are of: whole sequences in the mode that the plan chooses, and a step. */
function programs({ before, after }: Measured): string {
  const chosen = / L = (\d+), (\w+) \(chosen\)$/;
  const find = (figures: readonly Figure[] = [], model: string, end: RegExp): Figure | undefined =>
    figures.find(({ name }) => name.startsWith(model) && end.test(name));
  const rows = (after["kernels"] ?? []).flatMap((figure) => {
    const [ending, length, mode] = chosen.exec(figure.name) ?? [];
    if (ending === undefined || length === undefined || mode === undefined) return [];
    const model = figure.name.slice(0, -ending.length);
    const here = `${model} L = ${length},`;
    const [old, step, oldStep] = [
      find(before["kernels"], here, chosen),
      find(after["kernels"], here, /: a step$/),
      find(before["kernels"], here, /: a step$/),
    ];
    const was = chosen.exec(old?.name ?? "")?.[2];
    return [[model.replace(/,$/, ""), length, `${told(old)} (${was})`, `${told(figure)} (${mode})`, told(oldStep), told(step)]];
  });
  return table(["model", "L", "before", "after", "a step, before", "after"], rows);
}

function figures({ before, after }: Measured, bench: string, wanted: (figure: Figure) => boolean): string {
  const old = new Map((before[bench] ?? []).map((figure) => [figure.name, figure]));
  const rows = (after[bench] ?? []).filter(wanted).map((figure) => [figure.name, told(old.get(figure.name)), told(figure)]);
  return table(["", "before", "after"], rows);
}

function written(measured: Measured): string {
  return [
    `Device: ${measured.device}.`,
    "Whole sequences, in the mode that the plan chose, and one step, one sequence at a time:",
    programs(measured),
    "The selective scan alone, one sequence, D = 512, N = 16 (the goals: 20 times one dispatch a step, at L = 4,096 four times one lane a channel):",
    figures(measured, "selective", () => true),
    "Tokens of a language model with the shapes of mamba-130m, random weights, everything included:",
    figures(measured, "decode", ({ unit }) => unit === "tokens/s"),
  ].join("\n\n");
}

/** The page with its tables as the data says. */
export async function updatedPerformance(text: string): Promise<string> {
  const measured = JSON.parse(await readFile(join(process.cwd(), data), "utf8")) as Measured;
  return between(text, marks, written(measured));
}

await runOn("docs/performance.md", import.meta.url, updatedPerformance);
