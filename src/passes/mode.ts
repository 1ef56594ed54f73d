/**
 * Which mode runs a sequence of which length: a cost model in flops, bytes, lanes, dispatches and dependent steps over the costs
 * the schedules state, and the lengths where the cheapest mode changes.
 */
import { evaluateExpression } from "../codegen/plan-source.ts";
import { bug } from "../ir/error.ts";
import { fftPoints, type Dims, type Mode } from "../runtime/plan.ts";
import type { DispatchCost, Lowered, ProgramCosts } from "./lowered.ts";
import { oneAfterAnother } from "./schedules/team.ts";

/**
 * What the cost model takes a device to do: a mid-range GPU, a fifth as wide as the H100 that kernels were measured on
 * (`bench/kernels.ts`), and with lanes as fast.
 */
export const referenceDevice = {
  /** An H100 does 6e12 to 12e12 in `ssd_*`, 9e12 to 24e12 in products over sequences. */
  flopsPerSecond: 2e12,
  /** 0.5e12 to 0.9e12 where every lane has an element, 1.7e12 at most. */
  bytesPerSecond: 2e11,
  /** Starting one dispatch after another: 4 to 6 us. */
  secondsPerDispatch: 4e-6,
  /** What one lane needs, of however few: 2.6 to 3.1 ns in `ssm_scan`, `selective_lanes`, and products of 8,192 lanes. */
  secondsPerLaneFlop: 3e-9,
  /** 4 to 7 ns in `ssm_step` and small `matmul_vector`, whose loads wait for no others; their start aside. */
  secondsPerLaneByte: 5e-9,
  /** One dependent step of one lane: 63 ns in `selective_lanes`, 72 ns in `norm_rms_rows`. */
  secondsPerSerialStep: 6e-8,
} as const;

/** Sums of a program's dispatches that run at these sizes. */
export interface ProgramEstimate {
  readonly dispatches: number;
  readonly flops: number;
  readonly bytes: number;
  /** Every operand of every dispatch read once, every result written once. */
  readonly minimum: number;
  readonly seconds: number;
}

/** The sizes of one execution from zero; workgroup memory of 16 KB where `points` is not given. */
export const dimsFor = (B: number, L: number, points = 2048): Dims => ({ B, L, t: 0, pos: 0, M: fftPoints(L), F: points, W: 256 });

/** Evaluates source over `d`. */
export function evaluateSize(source: string, d: Dims): number {
  return Number(evaluateExpression<Dims, unknown>("d", source)(d));
}

/** A dispatch takes as long as the device needs for all of it, or as each of its lanes for its share: where lanes are few, that is more. */
export function estimateDispatch(cost: DispatchCost, d: Dims): Omit<ProgramEstimate, "dispatches"> {
  const value = (of: "flops" | "bytes" | "minimum" | "serial" | "lanes"): number => evaluateSize(cost[of], d);
  const [flops, bytes, lanes, device] = [value("flops"), value("bytes"), value("lanes"), referenceDevice];
  const work = Math.max(
    flops / device.flopsPerSecond,
    bytes / device.bytesPerSecond,
    (flops / lanes) * device.secondsPerLaneFlop,
    (bytes / lanes) * device.secondsPerLaneByte,
    value("serial") * device.secondsPerSerialStep,
  );
  return { flops, bytes, minimum: value("minimum"), seconds: device.secondsPerDispatch + work };
}

/** Sums the dispatches that run at `d`; of `steps`, in their mean, where those of slower sequences run now and then. */
export function estimate(costs: readonly DispatchCost[], d: Dims, steps = false): ProgramEstimate {
  const total = { dispatches: 0, flops: 0, bytes: 0, minimum: 0, seconds: 0 };
  for (const cost of costs) {
    if (cost.when !== undefined && evaluateSize(cost.when, d) === 0) continue;
    const one = estimateDispatch(cost, d);
    const share = steps ? 1 / cost.rate : 1;
    total.dispatches += share;
    total.flops += one.flops * share;
    total.bytes += one.bytes * share;
    total.minimum += one.minimum * share;
    total.seconds += one.seconds * share;
  }
  return total;
}

/** One row of the table that explains a choice. */
export interface ModeCost {
  readonly length: number;
  readonly mode: Mode;
  readonly estimate: ProgramEstimate;
}

/** A length from which on another mode is the cheapest. */
export interface Threshold {
  readonly length: number;
  readonly mode: Mode;
  /** The costs it has there, and the next best. */
  readonly reason: string;
}

export interface ModeChoice {
  /** JavaScript source over `d`. */
  readonly source: string;
  /** The shortest first. */
  readonly thresholds: readonly Threshold[];
  /** One sentence a threshold. */
  readonly reasons: readonly string[];
  readonly table: readonly ModeCost[];
}

const microseconds = (seconds: number): string => `${(seconds * 1e6).toPrecision(3)} us`;

function chooseAmong(candidates: (length: number) => readonly ModeCost[], maxLength: number): ModeChoice {
  const lengths: number[] = [];
  for (let l = 1; l < maxLength; l *= 2) lengths.push(l);
  lengths.push(maxLength);
  const table = lengths.flatMap(candidates);
  const best = lengths.map((length): Threshold => {
    const rows = table.filter((row) => row.length === length).toSorted((a, b) => a.estimate.seconds - b.estimate.seconds);
    const [first = bug("no mode"), second] = rows;
    return {
      length,
      mode: first.mode,
      reason:
        second === undefined
          ? "the only mode"
          : `${microseconds(first.estimate.seconds)} against ${microseconds(second.estimate.seconds)} (${second.mode})`,
    };
  });
  const thresholds = best.filter((b, i) => i === 0 || best[i - 1]?.mode !== b.mode);
  const scans = table.some(({ mode }) => mode === "scan");
  return {
    source: choice(thresholds, scans),
    thresholds,
    reasons: thresholds.map(
      (t) => `from L = ${t.length}: ${t.mode}, ${t.reason}${t.mode === "chunked" && scans ? "; scan on software adapters" : ""}`,
    ),
    table,
  };
}

/** `d.L<64?"scan":"convolution"`; adapters that run lanes one after another gain nothing from chunks, and scan where they may. */
function choice(changes: readonly Threshold[], scans: boolean): string {
  const named = (mode: Mode): string => (mode === "chunked" && scans ? `${oneAfterAnother}?"scan":"chunked"` : JSON.stringify(mode));
  return changes.reduceRight((rest, change, i) => {
    const next = changes[i + 1];
    return next === undefined ? named(change.mode) : `d.L<${next.length}?${named(change.mode)}:${rest}`;
  }, "");
}

/** The modes chosen for each kind of program. */
export interface Choices {
  readonly whole: ModeChoice;
  /** Absent where the model has no streams. */
  readonly resume?: ModeChoice;
}

/** The choice of mode for whole sequences and for resumed streams, of one sequence each. */
export function chooseModes(lowered: Lowered, forced: Mode | undefined): Choices {
  const { maxLength } = lowered.plan;
  const { step } = lowered.costs;
  const candidates =
    (kind: "whole" | "resume") =>
    (length: number): readonly ModeCost[] => {
      const d = dimsFor(1, length);
      const parallel = Object.entries(lowered.costs[kind]).map(([mode, costs]): ModeCost => ({
        length,
        mode: mode as Mode,
        estimate: estimate(costs.body, d),
      }));
      const rows = step === undefined ? parallel : [...parallel, stepped(step, length)];
      return forced === undefined ? rows : rows.filter((r) => r.mode === forced);
    };
  const whole = chooseAmong(candidates("whole"), maxLength);
  return step === undefined ? { whole } : { whole, resume: chooseAmong(candidates("resume"), maxLength) };
}

/** A sequence of `length` steps by the program of one, at their mean place: some steps cost more the more lie behind them. */
function stepped({ body }: ProgramCosts, length: number): ModeCost {
  const step = estimate(body, { ...dimsFor(1, 1), pos: Math.floor((length - 1) / 2) }, true);
  const sums = {
    dispatches: step.dispatches * length,
    flops: step.flops * length,
    bytes: step.bytes * length,
    minimum: step.minimum * length,
    seconds: step.seconds * length,
  };
  return { length, mode: "recurrence", estimate: sums };
}
