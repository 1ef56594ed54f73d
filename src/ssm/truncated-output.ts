/** The output vector of a system whose stored one makes a kernel end: C from C (I - Abar^L). */
import { CompileError, type Loc } from "../ir/error.ts";
import type { Constant } from "../ir/graph.ts";
import { addScaled, frobenius, identity, type Matrix, matrixOf, multiply, transpose } from "../math/matrix.ts";
import { solve } from "../math/solve.ts";
import { apply, type Dplr, jumpOf, step } from "../runtime/powers.ts";
import type { Discretization } from "./discretization.ts";
import { discretizeSystem } from "./discretize.ts";
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

/** Steps a row is taken one by one; more go by a power of Abar. */
const patience = 8192;
/** Terms of the series before a product of matrices is the better way. */
const mostTerms = 16;
/** Steps of that power. */
const stride = 256;

/**
 * row (I - Abar^length)^-1 as the series of row Abar^(j length), for a row that gives Re(sum_n row_n x_n): by steps of O(N R), and by powers of
 * Abar where the row decays slowly. Undefined where it does not come to nothing soon enough.
 */
function seriesOf(row: Float64Array, dual: Dplr, length: number): Float64Array | undefined {
  const sum = row.slice();
  let at = row.slice();
  const first = size(row);
  const isNothing = (): boolean => size(at) <= nothing * first;
  let done = 0;
  const add = (): void => at.forEach((value, i) => (sum[i] = (sum[i] ?? 0) + value));
  /** Where the row will be nothing, as it has decayed so far. */
  const end = (): number => (done * Math.log(nothing)) / Math.log(Math.min(size(at) / first, 1));
  while (done < patience) {
    step(at, dual);
    if (++done % length === 0) add();
    if (done % 64 !== 0) continue;
    if (isNothing()) return sum;
    if (done >= 1024 && end() > patience) break;
  }
  if (!(end() < mostTerms * length)) return undefined;
  const power = jumpOf({ ...dual, p: dual.q, q: dual.p }, stride);
  const turned = (x: Float64Array): Float64Array<ArrayBuffer> => x.map((value, m) => (m % 2 === 0 ? value : -value));
  while (done < mostTerms * length) {
    const whole = Math.min(length - (done % length), stride);
    if (whole === stride) at = turned(apply(power, turned(at)));
    else for (let i = 0; i < whole; i++) step(at, dual);
    done += whole;
    if (done % length === 0) add();
    if (isNothing()) return sum;
  }
  return undefined;
}

/** The largest magnitude. */
const size = (x: Float64Array): number => x.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

/**
 * C of a system whose `C` is C (I - Abar^length); Abar by `rule` at the system's own step sizes.
 * Shapes: `[H N c]`.
 * Source: Gu et al., S4, 2022, section 3.2: the correction that makes a truncated generating function exact.
 * Throws: CompileError `singular-step`, `ssm-length`.
 */
export function outputOfTruncated(system: DplrSystem, rule: Discretization, length: number, loc?: Loc): Float64Array {
  const { channels, states: n, rank } = system;
  const discrete = rule.alpha === undefined ? undefined : discretizeSystem(system, rule, loc);
  if (discrete?.structure !== "dplr") return byPowers(system, rule, length, loc);
  const C = new Float64Array(2 * channels * n);
  for (let h = 0; h < channels; h++) {
    const of = ({ data }: Constant, ranks = 1): Float64Array => data.subarray(2 * h * ranks * n, 2 * (h + 1) * ranks * n);
    const dual: Dplr = { a: of(discrete.abar), p: of(discrete.q, rank), q: of(discrete.p, rank), inner: new Float64Array(rank) };
    const found = seriesOf(system.C.slice(2 * h * n, 2 * (h + 1) * n), dual, length);
    C.set(found ?? byPowers(channelOf(system, h), rule, length, loc), 2 * h * n);
  }
  return C;
}

/** One channel of a system, by itself. */
function channelOf(system: DplrSystem, h: number): DplrSystem {
  const { states: n, rank } = system;
  const of = (data: Float64Array, each: number): Float64Array => data.slice(h * each, (h + 1) * each);
  return {
    ...system,
    channels: 1,
    A: of(system.A, 2 * n),
    P: of(system.P, 2 * rank * n),
    B: of(system.B, 2 * n),
    C: of(system.C, 2 * n),
    D: of(system.D, 1),
    delta: of(system.delta, n),
  };
}

/** The same by a power of the dense Abar, for rules that leave no structure and rows that do not decay. */
function byPowers(system: DplrSystem, rule: Discretization, length: number, loc: Loc | undefined): Float64Array {
  const { channels, states: n } = system;
  const dense = denseForm(system);
  const width = dense.states;
  const C = new Float64Array(2 * channels * n);
  for (let h = 0; h < channels; h++) {
    const A = matrixOf(width, width, dense.A.subarray(h * width * width, (h + 1) * width * width));
    const step = rule.dense(A, matrixOf(width, 1, dense.B.subarray(h * width, (h + 1) * width)), dense.delta[h] ?? NaN);
    const stored = dense.C.subarray(h * width, (h + 1) * width);
    const found =
      step === undefined
        ? undefined
        : solve(transpose(addScaled(identity(width), power(step.abar, length), -1)), matrixOf(width, 1, stored));
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
