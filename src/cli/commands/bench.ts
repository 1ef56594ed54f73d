/** `recurve bench`: how long each mode of a bundle takes on this device, beside the costs its manifest states. */
import { bug } from "../../ir/error.ts";
import type { ExecutionMode, TensorInfo } from "../../runtime/api.ts";
import type { AnyInputs, AnyModel, BundleManifest } from "../bundle.ts";
import { countOf, type Command, type Terminal } from "../command.ts";

/** Timings of one mode. Units: milliseconds for one call. */
interface BenchRow {
  readonly mode: ExecutionMode;
  readonly runs: number;
  readonly min: number;
  readonly median: number;
  /** Time steps a second, over all sequences of the batch, at the median. */
  readonly stepsPerSecond: number;
  /** Of one sequence of `costLength` steps; for recurrence, of one step. */
  readonly dispatches: number;
  readonly bytes: number;
  readonly minimumBytes: number;
}

interface BenchReport {
  readonly adapter: string;
  readonly software: boolean;
  readonly batch: number;
  readonly length: number;
  readonly costLength: number;
  readonly modes: readonly BenchRow[];
}

/** A mode is timed at least this often, and until this much time has gone. */
const LEAST_RUNS = 3;
const ENOUGH_MS = 2000;

export const bench: Command = {
  name: "bench",
  operands: ["bundle"],
  doc: "Times every mode of a bundle on this device.",
  options: {
    length: { type: "string", value: "L", doc: "time steps; those of the manifest's costs where absent" },
    batch: { type: "string", value: "B", doc: "sequences at a time; 1 where absent" },
    runs: { type: "string", value: "n", doc: `calls timed in each mode; at least ${LEAST_RUNS} and ${ENOUGH_MS / 1000} s where absent` },
    json: { type: "boolean", doc: "print JSON" },
  },
  run: async (given, terminal) => {
    const [folder = ""] = given.operands;
    const sizes = { length: countOf(given, "length"), batch: countOf(given, "batch") ?? 1, runs: countOf(given, "runs") };
    const report = await benchBundle(folder, sizes, terminal);
    terminal.out(given.values["json"] === true ? `${JSON.stringify(report, undefined, 2)}\n` : await formatReport(report));
    return 0;
  },
};

async function benchBundle(
  folder: string,
  sizes: { length: number | undefined; batch: number; runs: number | undefined },
  terminal: Terminal,
): Promise<BenchReport> {
  const [{ requestGpu }, { readManifest }, { openModel }, { progressOn }] = await Promise.all([
    import("../adapter.ts"),
    import("../bundle.ts"),
    import("../model.ts"),
    import("../progress.ts"),
  ]);
  const manifest = await readManifest(folder);
  const { software } = await requestGpu();
  const model = await openModel(folder, terminal);
  const progress = progressOn(terminal);
  const longest = Math.min(manifest.costs.length, model.info.maxLength);
  const length = sizes.length ?? longest - (longest % model.info.period);
  const inputs = zeroInputs(model.info.inputs, sizes.batch, length);
  const modes: BenchRow[] = [];
  try {
    for (const mode of model.info.modes) {
      const times = await timeMode(model, inputs, mode, sizes.runs, (done) => progress.show(`${mode}: run ${done}`));
      modes.push({ ...summarize(times, mode, sizes.batch * length), ...costOf(manifest, mode) });
    }
  } finally {
    progress.clear();
    model.destroy();
  }
  const { description, architecture } = model.info.adapter;
  return { adapter: description || architecture, software, batch: sizes.batch, length, costLength: manifest.costs.length, modes };
}

/** Zeros: no mode takes longer or shorter for other values. */
function zeroInputs(specs: readonly TensorInfo[], B: number, L: number): AnyInputs {
  return Object.fromEntries(
    specs.map(({ name, dtype, dims }) => {
      const shape = dims.map((size) => (size === "B" ? B : size === "L" ? L : size));
      const count = shape.reduce((a, b) => a * b, 1);
      return [
        name,
        dtype === "f32" ? { data: new Float32Array(count), dims: shape } : { data: new Int32Array(count), dims: shape },
      ] as const;
    }),
  );
}

/** Milliseconds of each call, after one that is not counted, in which shaders are compiled. */
async function timeMode(
  model: AnyModel,
  inputs: AnyInputs,
  mode: ExecutionMode,
  runs: number | undefined,
  onRun: (done: number) => void,
): Promise<number[]> {
  await model.run(inputs, { mode });
  const times: number[] = [];
  for (let spent = 0; runs === undefined ? times.length < LEAST_RUNS || spent < ENOUGH_MS : times.length < runs;) {
    const start = performance.now();
    await model.run(inputs, { mode });
    const time = performance.now() - start;
    times.push(time);
    spent += time;
    onRun(times.length);
  }
  return times;
}

function summarize(
  times: readonly number[],
  mode: ExecutionMode,
  steps: number,
): Pick<BenchRow, "mode" | "runs" | "min" | "median" | "stepsPerSecond"> {
  const sorted = times.toSorted((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)] ?? bug("no run was timed");
  return { mode, runs: times.length, min: sorted[0] ?? median, median, stepsPerSecond: (1000 * steps) / median };
}

function costOf({ costs }: BundleManifest, mode: ExecutionMode): Pick<BenchRow, "dispatches" | "bytes" | "minimumBytes"> {
  const kernels = costs.programs[mode === "recurrence" ? "step" : `whole.${mode}`] ?? [];
  const sum = (of: (kernel: (typeof kernels)[number]) => number): number => kernels.reduce((total, kernel) => total + of(kernel), 0);
  return { dispatches: Number(sum((k) => 1 / (k.every ?? 1)).toFixed(1)), bytes: sum((k) => k.bytes), minimumBytes: sum((k) => k.minimum) };
}

async function formatReport({ adapter, software, batch, length, costLength, modes }: BenchReport): Promise<string> {
  const { formatBytes, formatTable } = await import("../table.ts");
  const rows = modes.map((row) => [
    row.mode,
    row.min.toFixed(2),
    row.median.toFixed(2),
    Math.round(row.stepsPerSecond).toString(),
    `${row.dispatches}${row.mode === "recurrence" ? " a step" : ""}`,
    `${formatBytes(row.bytes)}${row.mode === "recurrence" ? " a step" : ""}`,
    row.minimumBytes > 0 ? (row.bytes / row.minimumBytes).toFixed(2) : "",
    String(row.runs),
  ]);
  const table = formatTable(["mode", "min ms", "median ms", "steps/s", "dispatches", "bytes", "over minimum", "runs"], rows);
  const warning = software ? "These are timings of a software adapter: they compare programs on it and say little about a GPU.\n" : "";
  return `${adapter}, B = ${batch}, L = ${length}; dispatches and bytes for B = 1, L = ${costLength}\n${table}${warning}`;
}
