/** A measured number, what it should be, and the table of them. */

export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** The most, or the least, that is wanted; absent where the number is only told. */
  readonly atMost?: number;
  readonly atLeast?: number;
}

/** A benchmark: one file here, one line in `main.ts`. */
export interface Bench {
  readonly name: string;
  readonly doc: string;
  /** Whether it needs a WebGPU adapter. */
  readonly device: boolean;
  readonly run: (options: BenchOptions) => Promise<readonly Figure[]>;
}

export interface BenchOptions {
  readonly root: string;
  /** Random models of the equivalence sweep. */
  readonly cases: number;
  /** Which random models: a wide sweep can be split between runs. */
  readonly seed: number;
  /** A folder with a folder for each example that holds its whole test set; the part in `examples/` where absent. */
  readonly data: string | undefined;
}

/** Whether a figure is as wanted; NaN is not. */
export const reached = ({ value, atMost = Infinity, atLeast = -Infinity }: Figure): boolean => value <= atMost && value >= atLeast;

const short = (x: number): string =>
  x !== 0 && (Math.abs(x) < 1e-3 || Math.abs(x) >= 1e6) ? x.toExponential(2) : `${Number(x.toPrecision(4))}`;

/** One line: name, value, and the goal where there is one. */
export function formatFigure(figure: Figure): string {
  const { name, value, unit, atMost, atLeast } = figure;
  const goal = [atMost === undefined ? "" : `at most ${short(atMost)}`, atLeast === undefined ? "" : `at least ${short(atLeast)}`]
    .filter((g) => g !== "")
    .join(", ");
  const mark = goal === "" ? " " : reached(figure) ? "+" : "-";
  return `${mark} ${name.padEnd(62)} ${`${short(value)} ${unit}`.padEnd(18)} ${goal}`.trimEnd();
}
