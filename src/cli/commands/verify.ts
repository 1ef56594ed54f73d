/** `recurve verify`: every mode against the float64 interpreter on this device. */
import { join } from "node:path";
import type { Manifest } from "../../compile.ts";
import type { BuildOptions } from "../../build.ts";
import { checkpointDocs, checkpointOf } from "../checkpoint.ts";
import { countOf, textOf, UsageError, type Command, type Terminal } from "../command.ts";
import type { Reference, VerifyReport } from "../verification.ts";

export const verify: Command = {
  name: "verify",
  operands: ["model|checkpoint|bundle"],
  doc: "Holds every mode, and streams cut at random, against the float64 interpreter; a bundle keeps the report.",
  options: {
    cases: { type: "string", value: "n", doc: "random cases; 5 where absent" },
    seed: { type: "string", value: "n", doc: "seed of the cases; 0 where absent" },
    longest: { type: "string", value: "L", doc: "longest sequence; 256 where absent, because the interpreter is slow" },
    weights: { type: "string", value: "file", doc: "safetensors or PyTorch file, where no bundle is given" },
    ...checkpointDocs,
    json: { type: "boolean", doc: "print JSON" },
  },
  run: async (given, terminal) => {
    const [path = ""] = given.operands;
    const options = {
      cases: countOf(given, "cases") ?? 5,
      seed: countOf(given, "seed", 0) ?? 0,
      longest: countOf(given, "longest") ?? 256,
    };
    const { isBundle } = await import("../source.ts");
    const bundle = await isBundle(path);
    const build = { weights: textOf(given, "weights"), checkpoint: await checkpointOf(path, given) };
    if (bundle && build.weights !== undefined) throw new UsageError(`--weights needs the model file: ${path} is a bundle`);
    const report = bundle ? await verifyBundle(path, options, terminal) : await verifyModelFile(path, build, options, terminal);
    const { formatTable } = await import("../table.ts");
    terminal.out(given.values["json"] === true ? `${JSON.stringify(report, undefined, 2)}\n` : formatReport(report, formatTable));
    return report.modes.every((mode) => mode.agrees) ? 0 : 1;
  },
};

interface Options {
  readonly cases: number;
  readonly seed: number;
  readonly longest: number;
}

async function verifyBundle(folder: string, options: Options, terminal: Terminal): Promise<VerifyReport> {
  const [{ readManifest }, { bundleReference }] = await Promise.all([import("../bundle.ts"), import("../source.ts")]);
  const manifest = await readManifest(folder);
  const report = await verifyFolder(folder, await bundleReference(folder, manifest), options, terminal);
  await keepReport(folder, { ...manifest, verification: report }, terminal);
  return report;
}

/** Puts the report into the bundle's manifest, so that the evidence ships with it; a bundle that may not be written stays as it is. */
async function keepReport(folder: string, manifest: Manifest, terminal: Terminal): Promise<void> {
  const { writeWhole } = await import("../../files.ts");
  try {
    await writeWhole(join(folder, "manifest.json"), new TextEncoder().encode(`${JSON.stringify(manifest, undefined, 2)}\n`));
  } catch (error) {
    terminal.err(`recurve: the report was not kept in the manifest: ${error instanceof Error ? error.message : String(error)}\n`);
  }
}

/** Builds the model into a folder of its own for as long as it takes, and judges it by its graph before any pass. */
async function verifyModelFile(path: string, build: BuildOptions, options: Options, terminal: Terminal): Promise<VerifyReport> {
  const [{ requestGpu }, { compileModel, writeBundle, valuesOf }, { withScratch }] = await Promise.all([
    import("../adapter.ts"),
    import("../../build.ts"),
    import("../../files.ts"),
  ]);
  await requestGpu();
  const built = await compileModel(path, build);
  return withScratch(async (folder) => {
    await writeBundle(built.compiled, folder);
    return verifyFolder(folder, { graph: built.loaded.graph, constants: valuesOf(built) }, options, terminal);
  });
}

async function verifyFolder(folder: string, reference: Reference, options: Options, terminal: Terminal): Promise<VerifyReport> {
  const [{ openModel }, { verifyModel }, { progressOn }] = await Promise.all([
    import("../model.ts"),
    import("../verification.ts"),
    import("../progress.ts"),
  ]);
  const model = await openModel(folder, terminal);
  const progress = progressOn(terminal);
  try {
    return await verifyModel(model, reference, { ...options, onCase: (done) => progress.show(`case ${done} of ${options.cases}`) });
  } finally {
    progress.clear();
    model.destroy();
  }
}

function formatReport(
  { modes, tolerance, adapter, seed }: VerifyReport,
  formatTable: (header: readonly string[], rows: readonly (readonly string[])[]) => string,
): string {
  const rows = modes.map(({ mode, cases, error, worst, agrees }) => [
    mode,
    String(cases),
    error.toExponential(1),
    `case ${worst.case}, B=${worst.B} L=${worst.L}, ${worst.output}`,
    agrees ? "agrees" : "DISAGREES",
  ]);
  return `${formatTable(["mode", "cases", "error", "at", "verdict"], rows)}error: largest difference from float64 over the output's largest magnitude; allowed ${tolerance.toExponential(1)}; seed ${seed}; ${adapter}\n`;
}
