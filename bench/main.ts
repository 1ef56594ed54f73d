/**
 * `npm run bench [-- name ...] [--cases n] [--seed n] [--data folder]`: prints the figures of the benchmarks named, of all where none is. Exits with 1 where one
 * misses its goal.
 */
import { parseArgs } from "node:util";
import { requestGpu } from "../src/cli/adapter.ts";
import { accuracy } from "./accuracy.ts";
import { build } from "./build.ts";
import { costs } from "./costs.ts";
import { decode } from "./decode.ts";
import { equivalence } from "./equivalence.ts";
import { weightFormats } from "./formats.ts";
import { type Bench, formatFigure, reached } from "./figure.ts";
import { kernel } from "./kernel.ts";
import { s4Costs } from "./s4.ts";
import { selectiveScan } from "./selective.ts";
import { size } from "./size.ts";

const benches: readonly Bench[] = ([] = [size, build, costs, decode, kernel, weightFormats, s4Costs, selectiveScan, equivalence, accuracy]);

async function main(): Promise<number> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { cases: { type: "string" }, seed: { type: "string" }, data: { type: "string" } },
  });
  const unknown = positionals.find((name) => !benches.some((bench) => bench.name === name));
  if (unknown !== undefined) {
    console.error(`no benchmark is called ${unknown}; there are ${benches.map(({ name }) => name).join(", ")}`);
    return 2;
  }
  const wanted = benches.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
  if (wanted.some(({ device }) => device)) await requestGpu();
  let missed = 0;
  for (const { name, doc, run } of wanted) {
    console.log(`\n${name}: ${doc}`);
    for (const figure of await run({
      root: process.cwd(),
      cases: Number(values.cases ?? 1000),
      seed: Number(values.seed ?? 20261123),
      data: values.data,
    })) {
      console.log(formatFigure(figure));
      if (!reached(figure)) missed++;
    }
  }
  console.log(missed === 0 ? "\nevery goal reached" : `\n${missed} ${missed === 1 ? "goal" : "goals"} missed`);
  return missed === 0 ? 0 : 1;
}

process.exit(await main());
