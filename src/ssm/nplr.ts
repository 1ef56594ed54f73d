/**
 * Bases in canonical half-DPLR form: A = V (Lambda - sum_r P_r P_r^*) V^* over V and its conjugate, one state of each
 * conjugate pair. Eigenvectors have arbitrary phases; the canonical ones make B real and positive. Not a search for
 * structure: what is low rank is known in closed form here.
 */
import { bug, CompileError, type Loc } from "../ir/error.ts";
import { abs, complex, type Complex, scale } from "../math/complex.ts";
import { entry, matrix } from "../math/matrix.ts";
import type { Random } from "../math/random.ts";
import { skewModes } from "../math/skew.ts";
import { basisOf, type PartialBasisOptions } from "./bases.ts";
import { canonicalPhase, pairReal, project } from "./half.ts";

/** Lambda - sum_r P_r P_r^*, driven by B. Shapes: lambda `[N/2]`, P `[R][N/2]`, B `[N/2]`; V `[N/2][N]`, column by column. */
export interface HalfDplr {
  /** By ascending imaginary part, none above 0. */
  readonly lambda: readonly Complex[];
  readonly P: readonly (readonly Complex[])[];
  readonly B: readonly Complex[];
  /** The stored half of the unitary basis; absent where the form comes from no matrix. */
  readonly V?: readonly (readonly Complex[])[];
}

/**
 * A basis with a closed low-rank part as half DPLR; `rank` rows of P, those beyond the basis' own are zero.
 * Throws: CompileError `ssm-state-odd`, and `ssm-option` where the basis has no such form or a higher rank.
 */
export function nplr(name: string, N: number, rank: number, options: PartialBasisOptions = {}, loc?: Loc): HalfDplr {
  if (N % 2 === 1)
    throw new CompileError({
      code: "ssm-state-odd",
      message: `the half form of basis ${name} stores one of each conjugate pair, so its state size cannot be odd (${N})`,
      fix: `use ${N + 1}`,
      loc,
    });
  const { A, B, lowRank } = basisOf(name, N, options, undefined, loc);
  const refuse = (message: string, fix: string): CompileError => new CompileError({ code: "ssm-option", message, fix, loc });
  if (lowRank === undefined) throw refuse(`basis ${name} is not known as normal plus low rank`, "use it in family dense, or another basis");
  if (lowRank.P.length > rank)
    throw refuse(`basis ${name} has a low-rank part of rank ${lowRank.P.length}, not ${rank}`, `give rank ${lowRank.P.length}`);
  // P P^T is symmetric: the skew part of A is that of the normal part, to the last digit.
  const modes = skewModes(matrix(N, N, (i, j) => (entry(A, i, j) - entry(A, j, i)) / 2));
  const complexModes = modes.filter((m) => m.paired);
  const real = pairReal(
    modes.filter((m) => !m.paired),
    B,
  );
  const V = [...complexModes.map((m) => m.vector), ...real].map((v) => canonicalPhase(v, B));
  const rows = Array.from({ length: rank }, (_, r) => V.map((v) => project(v, lowRank.P[r] ?? new Float64Array(N))));
  return {
    lambda: [...complexModes.map((m) => m.lambda.im), ...real.map(() => 0)].map((im) => complex(lowRank.shift, im)),
    P: rows,
    B: V.map((v) => {
      const b = project(v, B);
      return abs(b) === 0 ? b : complex(abs(b) * (b.re < 0 ? -1 : 1), Math.abs(b.im) < 1e-13 * abs(b) ? 0 : b.im);
    }),
    V,
  };
}

/** How the poles, B and P of an S4 layer start, apart from the name. */
export interface DplrOptions {
  /** Multiplies every real part; 1 where absent. */
  readonly realScale?: number;
  /** Multiplies every imaginary part; 1 where absent. */
  readonly imagScale?: number;
  /** Real parts uniform in (-1, 0), of `real` in (-N/2, 0), instead of the rule's own. */
  readonly realRandom?: boolean;
  /** Imaginary parts uniform in (-N/2, 0) instead of the rule's own. */
  readonly imagRandom?: boolean;
  /** `legs` for the rule `legs`, `constant` for the others, where absent. */
  readonly B?: "constant" | "random" | "alternating" | "unit-cw" | "unit-ccw" | "legs";
  readonly scaleB?: number;
  /** The largest |B_n|; without limit where absent. The reference implementation clips parts of B by LAPACK's phases instead. */
  readonly clipB?: number;
  readonly scaleP?: number;
  /** B such that every state's response to a constant input has together unit size. */
  readonly normalize?: boolean;
}

/** -Im lambda_n of the stored half for full state size N. Source: Gu et al. 2022 (2206.11893), section 4. */
const frequencies: Readonly<Record<string, (n: number, N: number) => number>> = {
  lin: (n) => Math.PI * n,
  inv: (n, N) => (N / Math.PI) * (N / (2 * n + 1) - 1),
  inv2: (n, N) => (N / Math.PI) * (N / (n + 1) - 1),
  quad: (n) => (1 + 2 * n) ** 2 / Math.PI,
  real: () => 0,
};
/** Names of the rules for diagonal poles. */
export const poleRules: readonly string[] = [...Object.keys(frequencies), "legs", "random"];

/**
 * The diagonal poles of a rule, before scaling, for full state size N.
 * Throws: CompileError `ssm-option`, `ssm-state-odd`.
 */
export function diagonalPoles(rule: string, N: number, random: Random, options: DplrOptions = {}, loc?: Loc): Complex[] {
  if (!poleRules.includes(rule))
    throw new CompileError({
      code: "ssm-option",
      message: `there is no rule "${rule}" for diagonal poles`,
      fix: `use one of ${poleRules.join(", ")}`,
      loc,
    });
  const legs = rule === "legs" ? nplr("legs", N, 1, {}, loc).lambda : [];
  const decay = (n: number): number => {
    if (options.realRandom === true) return random.uniform() * (rule === "real" ? N / 2 : 1);
    return rule === "real" ? n + 1 : 0.5;
  };
  const frequency = (n: number): number => {
    if (options.imagRandom === true) return random.uniform() * (N / 2);
    if (rule === "random") return Math.exp(random.normal());
    return frequencies[rule]?.(n, N) ?? -(legs[n]?.im ?? bug(`no pole ${n}`));
  };
  return Array.from({ length: Math.floor(N / 2) }, (_, n) =>
    complex(-decay(n) * (options.realScale ?? 1), -frequency(n) * (options.imagScale ?? 1) + 0),
  );
}

/** Complex normal of variance 1. */
const complexNormal = ({ normal }: Random): Complex => scale(complex(normal(), normal()), Math.SQRT1_2);

function inputVector(kind: NonNullable<DplrOptions["B"]>, N: number, random: Random, loc: Loc | undefined): Complex[] {
  const h = N / 2;
  const turn = (n: number, sign: number): Complex => {
    const angle = (sign * 2 * Math.PI * n) / N;
    return complex(Math.cos(angle), Math.sin(angle));
  };
  const each: Readonly<Record<typeof kind, (n: number) => Complex>> = {
    constant: () => complex(1),
    random: () => complexNormal(random),
    alternating: (n) => complex(n % 2 === 0 ? 1 : -1),
    "unit-cw": (n) => turn(n, -1),
    "unit-ccw": (n) => turn(n, 1),
    legs: (n) => legsB[n] ?? bug(`no state ${n}`),
  };
  const legsB = kind === "legs" ? nplr("legs", N, 1, {}, loc).B : [];
  return Array.from({ length: h }, (_, n) => each[kind](n));
}

function finishB(B: readonly Complex[], lambda: readonly Complex[], options: DplrOptions): Complex[] {
  const { scaleB = 1, clipB = Infinity, normalize = false } = options;
  const scaled = B.map((b) => scale(b, scaleB * Math.min(1, clipB / Math.max(abs(b), Number.MIN_VALUE))));
  if (!normalize) return scaled;
  const total = scaled.reduce((sum, b, n) => sum + (abs(b) / abs(lambda[n] ?? bug(`no pole ${n}`))) ** 2, 0);
  return scaled.map((b) => scale(b, 1 / Math.sqrt(2 * total)));
}

/**
 * One system by its name: a basis (`legs`, `legt`, `fourier`, ..), `diag-<rule>` with P = 0, or `dplr-<rule>` with P complex
 * normal times `scaleP`. The window, alpha and beta of a basis, the scales of a rule, stand in `options`.
 * Throws: CompileError `ssm-option`, `ssm-state-odd`.
 */
export function dplrInit(
  name: string,
  N: number,
  rank: number,
  options: DplrOptions & PartialBasisOptions,
  random: Random,
  loc?: Loc,
): HalfDplr {
  const [, kind, rule] = /^(diag|dplr)-(.+)$/.exec(name) ?? [];
  if (rule === undefined) {
    const { window, alpha, beta } = options;
    const own = {
      ...(window === undefined ? {} : { window }),
      ...(alpha === undefined ? {} : { alpha }),
      ...(beta === undefined ? {} : { beta }),
    };
    const form = nplr(name, N, rank, own, loc);
    return { ...form, B: finishB(form.B, form.lambda, options) };
  }
  const lambda = diagonalPoles(rule, N, random, options, loc);
  const B = inputVector(options.B ?? (rule === "legs" ? "legs" : "constant"), N, random, loc);
  const { scaleP = 1 } = options;
  const P = Array.from({ length: rank }, () => lambda.map(() => (kind === "dplr" ? scale(complexNormal(random), scaleP) : complex(0))));
  return { lambda, P, B: finishB(B, lambda, options) };
}

/** Names that stand for several: the rows of A are divided among them in this order. */
const composites: Readonly<Record<string, readonly string[]>> = {
  diag: ["diag-inv", "diag-lin"],
  hippo: ["legs", "fourier"],
  all: ["legs", "fourier", "diag-inv", "diag-lin"],
};

/**
 * The `count` systems that an S4 layer shares among its channels (its n_ssm): all of one name, or of a composite name
 * (`diag`, `hippo`, `all`) an equal part of each.
 * Throws: CompileError `ssm-option`, `ssm-state-odd`.
 */
export function dplrInits(
  name: string,
  N: number,
  count: number,
  rank: number,
  options: DplrOptions & PartialBasisOptions,
  random: Random,
  loc?: Loc,
): readonly HalfDplr[] {
  const names = composites[name] ?? [name];
  if (count % names.length !== 0)
    throw new CompileError({
      code: "ssm-option",
      message: `${count} systems cannot be divided equally among ${names.join(", ")}`,
      fix: `use a multiple of ${names.length}`,
      loc,
    });
  const each = count / names.length;
  return names.flatMap((part) => {
    const fixed = part.includes("-") ? undefined : dplrInit(part, N, rank, options, random, loc);
    return Array.from({ length: each }, () => fixed ?? dplrInit(part, N, rank, options, random, loc));
  });
}
