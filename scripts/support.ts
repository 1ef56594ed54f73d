/** Writes the tables of what Recurve supports, from the tables in src, into README.md. `--check` only says whether they are up to date. */
import { compileGraph } from "../src/compile.ts";
import * as attention from "../src/dsl/attention.ts";
import * as dsl from "../src/dsl/index.ts";
import * as layers from "../src/dsl/layers.ts";
import * as pointwise from "../src/dsl/pointwise.ts";
import * as selective from "../src/dsl/selective.ts";
import * as shape from "../src/dsl/shape.ts";
import * as time from "../src/dsl/time.ts";
import * as models from "../src/models/index.ts";
import { type GraphBuilder, graphBuilder } from "../src/ir/build.ts";
import type { Graph, ValueId } from "../src/ir/graph.ts";
import type { Mode } from "../src/runtime/plan.ts";
import { discretizationNamed, discretizations } from "../src/ssm/discretizations.ts";
import { families } from "../src/ssm/families.ts";
import { type Family, paramDims } from "../src/ssm/family.ts";
import { type Recurrence, sizeOfDims, termsOf } from "../src/ssm/recurrence.ts";
import { recurrences } from "../src/ssm/recurrences.ts";
import { schemes } from "../src/weights/schemes.ts";
import { between, runOn, table } from "./markdown.ts";

const modes: readonly Mode[] = ["convolution", "scan", "recurrence"];
const selectiveModes: readonly Mode[] = ["scan", "chunked", "recurrence"];
const marks = { begin: "<!-- support: written by scripts/support.ts -->", end: "<!-- /support -->" };

const code = (text: string): string => `\`${text}\``;

const [H, N] = [2, 4];

/** A model of one state space model over two channels. */
function smallest(ssm: (g: GraphBuilder, x: ValueId) => ValueId): Graph {
  const g = graphBuilder("smallest");
  const x = g.input("u", dsl.sequence(H).type);
  return g.finish([{ name: "y", value: ssm(g, x) }]);
}

/** A family's node with four states and initial parameters. */
function familyNode(family: Family, g: GraphBuilder, x: ValueId): ValueId {
  const params = [...paramDims(family, { H, N, M: 1, P: 1, Q: 1, G: H, R: 1, S: H, T: 1 })].map(([name, dims]) =>
    g.param(name, dims, { kind: "family", family: family.name, param: name, options: {} }),
  );
  const discretization = family.structure === "dplr" ? "bilinear" : "zoh";
  return g.ssm({ stage: "family", family: family.name, discretization, state: N, options: {} }, [x, ...params]);
}

async function legalModes(graph: Graph, of = modes): Promise<string[]> {
  const { manifest } = await compileGraph(graph, new Map(), { maxLength: 4096 });
  return of.map((mode) => (manifest.modes.includes(mode) ? "yes" : ""));
}

async function familyRow(family: Family): Promise<string[]> {
  const legal = await legalModes(smallest((g, x) => familyNode(family, g, x)));
  return [code(family.name), family.structure, "no", ...legal, family.source];
}

/** The one system that varies in time by the clock alone has no parameters, so it is no family. */
async function scaledRow(): Promise<string[]> {
  const legal = await legalModes(smallest((g, x) => g.ssm({ stage: "scaled", state: N, alpha: 0.5 }, [x])));
  const source = "Gu et al., HiPPO: Recurrent Memory with Optimal Polynomial Projections, 2020, theorem 2";
  return [code("hippoLegs"), "lower triangular, semiseparable", "by 1/t", ...legal, source];
}

/** A recurrence whose operands are inputs of the model. */
async function recurrenceRow({ name, transition, source, operands, build }: Recurrence): Promise<string[]> {
  const g = graphBuilder("smallest");
  let fixed = 0;
  const sizes = { H, N, P: 2, G: H, R: name.endsWith("mimo") ? 2 : 1, S: 1 };
  const of = (operand: string): ValueId => {
    const size = sizeOfDims(operands[operand]?.dims ?? [], sizes);
    const init = { kind: "constant", value: 0.5 } as const;
    return operands[operand]?.param === true ? g.param(operand, [{ name: "H", size }], init) : g.input(operand, dsl.sequence(size).type);
  };
  const known = new Map<string, ValueId>();
  const once = (operand: string): ValueId => {
    const id = known.get(operand) ?? of(operand);
    known.set(operand, id);
    return id;
  };
  const y = build(
    termsOf(g, (leaf) => `${leaf}${fixed++}`, undefined),
    { of: once, has: () => true },
    sizes,
  );
  return [code(name), transition, ...(await legalModes(g.finish([{ name: "y", value: y }]), selectiveModes)), source];
}

const orderOf = (order: number): string => (order === Infinity ? "exact" : `${order}`);
/** The functions of a module that users can import. */
const names = (module: object): string =>
  Object.entries(module)
    .filter(([name, value]) => typeof value === "function" && name in dsl)
    .map(([name]) => name)
    .sort()
    .map(code)
    .join(", ");

/** The tables as Markdown. */
export async function supportTables(): Promise<string> {
  const families_ = table(
    ["family", "A", "varies in time", ...modes, "source"],
    await Promise.all([...families.map(familyRow), scaledRow()]),
  );
  const rules = table(
    ["discretization", "order", "source"],
    [...discretizations, { ...discretizationNamed("gbt(0.3)"), name: "gbt(alpha)" }].map(({ name, order, source }) => [
      code(name),
      orderOf(order),
      source,
    ]),
  );
  const selectives = table(
    ["selective family", "transition", ...selectiveModes, "source"],
    await Promise.all(recurrences.map(recurrenceRow)),
  );
  return [
    families_,
    selectives,
    rules,
    `Layers: ${names({ ...layers, ...attention })}. Selective layers: ${names(selective)}. Shape, time and pooling: ${names({ ...shape, ...time })}. Pointwise: ${names(pointwise)}, and any arrow of yours through ${code("pointwise")}.`,
    `Blocks and backbones, from ${code("recurve/models")}: ${Object.keys(models).sort().map(code).join(", ")}.`,
    table(
      ["naming scheme", "checkpoints", "source"],
      schemes.map(({ name, doc, source }) => [code(name), doc, source]),
    ),
  ].join("\n\n");
}

/** The README with its tables as they should be. */
export async function updatedReadme(text: string): Promise<string> {
  return between(text, marks, await supportTables());
}

await runOn("README.md", import.meta.url, updatedReadme);
