/** Runs a classifier on a part of its test set and compares with PyTorch. */
import type { Model } from "../examples/shared/bundle.ts";
import type { ExecutionMode } from "../src/runtime/api.ts";
import type { TestSet } from "./examples.ts";

/** What one mode made of the first inputs of a test set. */
export interface Score {
  readonly mode: ExecutionMode;
  readonly count: number;
  readonly right: number;
  readonly likePyTorch: number;
  /** Largest difference to PyTorch's logits, over the inputs whose logits are known. */
  readonly apart: number;
  readonly seconds: number;
}

const argmax = (values: ArrayLike<number>): number =>
  Array.from(values).reduce((best, x, i) => (x > (values[best] ?? -Infinity) ? i : best), 0);

/** The first `count` inputs in one mode, `batch` at a time; one input runs before the clock starts, so that shaders are compiled. */
export async function score(model: Model, test: TestSet, mode: ExecutionMode, count: number, batch: number): Promise<Score> {
  await model.run({ u: test.inputs(0, 1) }, { mode });
  const rows: Float32Array[] = [];
  const start = performance.now();
  for (let from = 0; from < count; from += batch) {
    const size = Math.min(batch, count - from);
    const { logits } = await model.run({ u: test.inputs(from, size) }, { mode, batch: size });
    const classes = logits.data.length / size;
    for (let i = 0; i < size; i++) rows.push(logits.data.slice(i * classes, (i + 1) * classes));
  }
  const seconds = (performance.now() - start) / 1000;
  const predicted = rows.map(argmax);
  const ours = rows.flatMap((row) => [...row]);
  return {
    mode,
    count,
    right: predicted.filter((c, i) => c === test.labels[i]).length,
    likePyTorch: predicted.filter((c, i) => c === test.predictions[i]).length,
    apart: test.logits.subarray(0, ours.length).reduce((worst, x, i) => Math.max(worst, Math.abs(x - (ours[i] ?? Number.NaN))), 0),
    seconds,
  };
}
