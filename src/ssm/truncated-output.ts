/** The output vector of a system whose stored one makes a kernel end: C from C (I - Abar^L). */
import { CompileError, type Loc } from "../ir/error.ts";
import { addScaled, frobenius, identity, type Matrix, matrixOf, multiply, transpose } from "../math/matrix.ts";
import { solve } from "../math/solve.ts";
import type { Discretization } from "./discretization.ts";
import { denseForm, type DplrSystem } from "./system.ts";

/** Powers below this leave nothing of 1 in float64, and neither do their squares. */
const nothing = 1e-20;

/** `a` to a positive whole power, by repeated squaring; one that has come to nothing stays as it is. */
function power(a: Matrix, exponent: number): Matrix {
  const half = exponent > 1 ? power(a, Math.floor(exponent / 2)) : undefined;
  if (half === undefined || frobenius(half) < nothing) return half ?? a;
  const even = multiply(half, half);
  return exponent % 2 === 0 ? even : multiply(even, a);
}

/**
 * C of a system whose `C` is C (I - Abar^length); Abar by `rule` at the system's own step sizes.
 * Shapes: `[H N c]`.
 * Source: Gu et al., S4, 2022, section 3.2: the correction that makes a truncated generating function exact.
 * Throws: CompileError `singular-step`, `ssm-length`.
 */
export function outputOfTruncated(system: DplrSystem, rule: Discretization, length: number, loc?: Loc): Float64Array {
  const { channels, states: n } = system;
  const dense = denseForm(system);
  const size = dense.states;
  const C = new Float64Array(2 * channels * n);
  for (let h = 0; h < channels; h++) {
    const A = matrixOf(size, size, dense.A.subarray(h * size * size, (h + 1) * size * size));
    const step = rule.dense(A, matrixOf(size, 1, dense.B.subarray(h * size, (h + 1) * size)), dense.delta[h] ?? NaN);
    const stored = dense.C.subarray(h * size, (h + 1) * size);
    const found =
      step === undefined ? undefined : solve(transpose(addScaled(identity(size), power(step.abar, length), -1)), matrixOf(size, 1, stored));
    if (found === undefined || !found.data.every(Number.isFinite))
      throw new CompileError({
        code: "ssm-length",
        message: `C cannot be told from C (I - Abar^${length}): a pole neither decays nor turns within ${length} steps`,
        fix: "check l_kernel and the step sizes, or save C itself, with l_kernel = 0",
        loc,
      });
    // The row over (Re x, Im x) is (2 Re C, -2 Im C).
    for (let i = 0; i < n; i++) C.set([(found.data[i] ?? NaN) / 2, -(found.data[n + i] ?? NaN) / 2], 2 * (h * n + i));
  }
  return C;
}
