/**
 * `npm run bench [-- name ...] [--cases n] [--seed n] [--data folder] [--save file]`: prints the figures of the benchmarks named, of
 * all where none is, and writes them to the file as JSON. Exits with 1 where one misses its goal.
 */
import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { requestGpu } from "../src/cli/adapter.ts";
import { accuracy } from "./accuracy.ts";
import { build } from "./build.ts";
import { costs } from "./costs.ts";
import { decode } from "./decode.ts";
import { equivalence } from "./equivalence.ts";
import { weightFormats } from "./formats.ts";
import { type Bench, type Figure, formatFigure, reached } from "./figure.ts";
import { kernel } from "./kernel.ts";
import { kernelTimes } from "./kernels.ts";
import { s4Costs } from "./s4.ts";
import { selectiveScan } from "./selective.ts";
import { size } from "./size.ts";

const benches: readonly Bench[] = ([] = [
  size,
  build,
  costs,
  decode,
  kernel,
  kernelTimes,
  weightFormats,
  s4Costs,
  selectiveScan,
  equivalence,
  accuracy,
]);

async function main(): Promise<number> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { cases: { type: "string" }, seed: { type: "string" }, data: { type: "string" }, save: { type: "string" } },
  });
  const unknown = positionals.find((name) => !benches.some((bench) => bench.name === name));
  if (unknown !== undefined) {
    console.error(`no benchmark is called ${unknown}; there are ${benches.map(({ name }) => name).join(", ")}`);
    return 2;
  }
  const wanted = benches.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
  const adapter = wanted.some(({ device }) => device) ? (await requestGpu()).adapter.info.description : undefined;
  let missed = 0;
  const results: Record<string, readonly Figure[]> = {};
  for (const { name, doc, run } of wanted) {
    console.log(`\n${name}: ${doc}`);
    const figures = await run({
      root: process.cwd(),
      cases: Number(values.cases ?? 1000),
      seed: Number(values.seed ?? 20261123),
      data: values.data,
    });
    for (const figure of figures) console.log(formatFigure(figure));
    missed += figures.filter((figure) => !reached(figure)).length;
    results[name] = figures;
    if (values.save !== undefined) await writeFile(values.save, `${JSON.stringify({ adapter, results }, undefined, 1)}\n`);
  }
  console.log(missed === 0 ? "\nevery goal reached" : `\n${missed} ${missed === 1 ? "goal" : "goals"} missed`);
  return missed === 0 ? 0 : 1;
}

process.exit(await main());
