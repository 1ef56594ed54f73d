/** Closes a test run with one line, `N passed, N failed, N skipped`, from the results themselves. Not the report: vitest prints that. */
import type { Reporter, SerializedError, TestModule } from "vitest/node";

/** Counts of a run. A file that could not be collected and an error outside every test are failures too. */
export interface Tally {
  passed: number;
  failed: number;
  skipped: number;
}

/** Counts the tests of finished modules, and the faults that belong to no test. */
export function tally(modules: readonly TestModule[], errors: readonly SerializedError[]): Tally {
  const counts: Tally = { passed: 0, failed: errors.length, skipped: 0 };
  for (const module of modules) {
    for (const test of module.children.allTests()) {
      const { state } = test.result();
      counts[state === "pending" ? "failed" : state]++;
    }
    counts.failed += module.errors().length;
    for (const suite of module.children.allSuites()) counts.failed += suite.errors().length;
  }
  return counts;
}

/** The closing line; skipped tests are named only where there are some. */
export const closingLine = ({ passed, failed, skipped }: Tally): string =>
  `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;

/** Vitest makes one of these from its path in the configuration. */
export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly SerializedError[]): void {
    const line = closingLine(tally(modules, errors));
    process.once("exit", () => process.stdout.write(`${line}\n`));
  }
}
