/** `recurve inspect`: what the compiler made of a model, as text or as a page. */
import type { Compiled, Manifest } from "../../compile.ts";
import type { Loc } from "../../ir/error.ts";
import type { Module, Pass } from "../../passes/pass.ts";
import { checkpointDocs, checkpointOf } from "../checkpoint.ts";
import { countOf, textOf, UsageError, weightOptions, type Command, type Given, type Terminal } from "../command.ts";

export const inspect: Command = {
  name: "inspect",
  operands: ["model|checkpoint|bundle"],
  doc: "Prints the IR of a model, the modes chosen and why, and what every kernel costs.",
  options: {
    after: { type: "string", value: "pass", doc: "print what this pass leaves, and nothing else" },
    kernels: { type: "boolean", doc: "print what every kernel costs" },
    wgsl: { type: "boolean", doc: "print the shaders" },
    html: {
      type: "string",
      value: "file",
      doc: "write a page: graph, costs, modes, memory plan, and of every system poles, responses, basis functions",
    },
    weights: { type: "string", value: "file", doc: "safetensors or PyTorch file, where no bundle is given" },
    dtype: { type: "string", value: "f", doc: "f32 or f16, as for build, where no bundle is given" },
    quantize: { type: "string", value: "q", doc: "q8 or q4, as for build, where no bundle is given" },
    "max-length": { type: "string", value: "L", doc: "longest sequence of one run, where no bundle is given" },
    ...checkpointDocs,
  },
  run: async (given, terminal) => {
    const [path = ""] = given.operands;
    const { isBundle } = await import("../source.ts");
    if (await isBundle(path)) await inspectBundle(path, given, terminal);
    else await inspectModel(path, given, terminal);
    return 0;
  },
};

/** A bundle is compiled again from the graph and the weights it holds, which are those after the last graph pass. */
async function inspectBundle(folder: string, given: Given, terminal: Terminal): Promise<void> {
  await checkpointOf(folder, given);
  for (const name of ["weights", "max-length", "dtype", "quantize"]) {
    if (given.values[name] !== undefined) throw new UsageError(`--${name} needs the model file: ${folder} is a bundle`);
  }
  const [{ readManifest }, { bundleReference }, { compileGraph }] = await Promise.all([
    import("../bundle.ts"),
    import("../source.ts"),
    import("../../compile.ts"),
  ]);
  const manifest = await readManifest(folder);
  const { graph, constants } = await bundleReference(folder, manifest);
  const modules = new Map<string, Module>();
  const onPass = (pass: Pass, module: Module): void => void modules.set(pass.name, module);
  const compiled = await compileGraph(graph, constants, { maxLength: manifest.maxLength, vocabulary: manifest.vocabulary, onPass });
  const noted = { ...compiled, manifest: { ...compiled.manifest, notes: manifest.notes } };
  // The places in a bundle are those of somebody's machine: no file of this one is opened for them.
  await show({ compiled: noted, modules, sourceLine: () => undefined }, given, terminal);
}

async function inspectModel(path: string, given: Given, terminal: Terminal): Promise<void> {
  const { compileModel } = await import("../../build.ts");
  const modules = new Map<string, Module>();
  const checkpoint = await checkpointOf(path, given);
  const options = { weights: textOf(given, "weights"), maxLength: countOf(given, "max-length"), checkpoint, ...weightOptions(given) };
  const { compiled } = await compileModel(path, { ...options, onPass: (pass, module) => modules.set(pass.name, module) });
  compiled.warnings.forEach((warning) => terminal.err(`warning: ${warning}\n`));
  await show({ compiled, modules, sourceLine: await sourceReader(compiled) }, given, terminal);
}

/** What there is to show. */
interface Inspected {
  readonly compiled: Compiled;
  /** The module after every pass. */
  readonly modules: ReadonlyMap<string, Module>;
  /** The text of a line of the user's files. */
  readonly sourceLine: (loc: Loc) => string | undefined;
}

/** Prints what the options ask for. */
async function show(inspected: Inspected, given: Given, terminal: Terminal): Promise<void> {
  const { compiled, modules } = inspected;
  const after = textOf(given, "after");
  const html = textOf(given, "html");
  if (html !== undefined) await writePage(html, inspected, terminal);
  else if (after !== undefined) terminal.out(await textAfter(after, compiled, modules));
  else if (given.values["wgsl"] === true) {
    const { shaders } = await import("../../compile.ts");
    shaders(compiled).forEach(({ name, wgsl }) => terminal.out(`// ${name}\n${wgsl}\n`));
  } else terminal.out(given.values["kernels"] === true ? await costText(compiled.manifest) : await summaryText(compiled));
}

async function textAfter(name: string, compiled: Compiled, modules: ReadonlyMap<string, Module>): Promise<string> {
  const [{ describe, loweringPasses }, { printGraph }] = await Promise.all([
    import("../../passes/describe.ts"),
    import("../../ir/print.ts"),
  ]);
  const module = modules.get(name);
  if (module !== undefined) return printGraph(module.graph);
  const pass = loweringPasses.find((known) => known === name);
  if (pass !== undefined) return describe(pass, compiled);
  throw new UsageError(`there is no pass "${name}"; there are ${[...modules.keys(), ...loweringPasses].join(", ")}`);
}

async function writePage(file: string, { compiled, modules, sourceLine }: Inspected, terminal: Terminal): Promise<void> {
  const [{ inspectData }, { renderInspectPage }, { writeWhole }] = await Promise.all([
    import("../inspect-fill.ts"),
    import("../inspect-html.ts"),
    import("../../files.ts"),
  ]);
  const page = renderInspectPage(inspectData(compiled, modules, sourceLine));
  await writeWhole(file, new TextEncoder().encode(page));
  terminal.out(`${file}\n`);
}

/** Lines of the files that nodes come from. */
async function sourceReader({ module: { graph } }: Compiled): Promise<(loc: Loc) => string | undefined> {
  const { readFile } = await import("node:fs/promises");
  const files = [...new Set(graph.nodes.flatMap(({ loc }) => (loc === undefined ? [] : [loc.file])))];
  const lines = new Map<string, readonly string[]>();
  for (const file of files) lines.set(file, (await readFile(file, "utf8").catch(() => "")).split(/\r?\n/));
  return ({ file, line }) => lines.get(file)?.[line - 1] || undefined;
}

async function summaryText({ manifest: { graph, reasons, notes, modes, maxLength }, lowered }: Compiled): Promise<string> {
  const { refusalText } = await import("../../passes/describe.ts");
  const list = (title: string, lines: readonly string[]): string =>
    lines.length === 0 ? "" : `${title}\n${lines.map((line) => `  ${line}\n`).join("")}`;
  return [
    graph.endsWith("\n") ? graph : `${graph}\n`,
    list("modes", [`${modes.join(", ")}; sequences up to ${maxLength}`, ...lowered.refused.map(refusalText)]),
    list("whole sequences", reasons.whole),
    list("continuing a stream", reasons.resume),
    list("notes", notes),
  ].join("");
}

async function costText({ costs }: Manifest): Promise<string> {
  const { formatTable } = await import("../table.ts");
  const tables = Object.entries(costs.programs).map(([program, kernels]) => {
    const rows = kernels.map(({ name, schedule, nodes, flops, bytes, minimum }) =>
      row(name, schedule, nodes.join(", "), flops, bytes, minimum),
    );
    const sum = (of: (kernel: (typeof kernels)[number]) => number): number => kernels.reduce((total, kernel) => total + of(kernel), 0);
    const total = row(
      `${Number(sum((k) => 1 / (k.every ?? 1)).toFixed(1))} dispatches`,
      "",
      "",
      sum((k) => k.flops),
      sum((k) => k.bytes),
      sum((k) => k.minimum),
    );
    const at = program === "step" ? "B = 1, one step" : `B = 1, L = ${costs.length}`;
    return `${program} (${at})\n${formatTable(["kernel", "schedule", "computes", "flops", "bytes", "over minimum"], [...rows, total])}`;
  });
  return tables.join("\n");
}

function row(name: string, schedule: string, computes: string, flops: number, bytes: number, minimum: number): string[] {
  return [name, schedule, computes, String(flops), String(bytes), minimum > 0 ? (bytes / minimum).toFixed(2) : "-"];
}
