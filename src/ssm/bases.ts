/** The table of bases, and a basis at a size and with its options: a window other than the one it is written for stretches time. */
import { CompileError, type Loc } from "../ir/error.ts";
import { scaleMatrix } from "../math/matrix.ts";
import { type Random, random as seeded } from "../math/random.ts";
import { chebt } from "./bases/chebt.ts";
import { foud, fourier, fourier2, fourierComplex, fourierDecay, fru } from "./bases/fourier.ts";
import { glagt, lagt, tlagt } from "./bases/laguerre.ts";
import { legs, legsd } from "./bases/legs.ts";
import { legt, lmu } from "./bases/legt.ts";
import { diagonal, random, rotation } from "./bases/random.ts";
import type { Options } from "./family.ts";
import type { Basis, BasisFunctions, BasisOptions, LowRank, Operator } from "./basis.ts";

export const bases: readonly Basis[] = [
  legs,
  legsd,
  legt,
  lmu,
  lagt,
  tlagt,
  glagt,
  fourier,
  fourier2,
  fourierDecay,
  fourierComplex,
  foud,
  fru,
  chebt,
  random,
  diagonal,
  rotation,
];

/** Other names that the literature has for a basis. */
const aliases: Readonly<Record<string, string>> = { fout: "fourier", fourier_diag: "foud" };

/** Every name that `basisNamed` knows. */
export const basisNames: readonly string[] = [...bases.map((b) => b.name), ...Object.keys(aliases)];

const fail = (message: string, fix: string, loc: Loc | undefined): CompileError =>
  new CompileError({ code: "ssm-option", message, fix, loc });

/** Throws: CompileError `ssm-option`. */
export function basisNamed(name: string, loc?: Loc): Basis {
  const found = bases.find((b) => b.name === (aliases[name] ?? name));
  if (found !== undefined) return found;
  throw fail(`there is no basis "${name}"`, `use one of ${basisNames.join(", ")}`, loc);
}

/** What each basis is with unless told otherwise; a window is its own. */
const defaults = { alpha: 0, beta: 1 };
const ownDefaults: Readonly<Record<string, Partial<BasisOptions>>> = { glagt: { beta: 0.01 } };

/** A basis at a size, with all that is known of it in the time of its own window. */
export interface SizedBasis extends Operator {
  readonly basis: Basis;
  readonly options: BasisOptions;
  readonly lowRank?: LowRank;
  readonly functions?: BasisFunctions;
}

/** An option given as 0 is one that is not given. */
export type PartialBasisOptions = Readonly<Partial<BasisOptions>>;

/** The options of a basis among those of a family, which has lists as text with spaces. */
export const basisOptions = ({ window, alpha, beta, frequencies }: Options): PartialBasisOptions => ({
  ...(typeof window === "number" ? { window } : {}),
  ...(typeof alpha === "number" ? { alpha } : {}),
  ...(typeof beta === "number" ? { beta } : {}),
  ...(typeof frequencies === "string" && frequencies !== "" ? { frequencies: frequencies.split(" ").map(Number) } : {}),
});

/**
 * The basis called `name` with N states.
 * Throws: CompileError `ssm-option` for an option that it does not read or that is out of range, `ssm-state-odd`.
 */
export function basisOf(name: string, N: number, given: PartialBasisOptions = {}, random: Random = seeded(0, name), loc?: Loc): SizedBasis {
  const basis = basisNamed(name, loc);
  const options = optionsOf(basis, given, loc);
  if (basis.pairs && N % 2 === 1 && N > 1)
    throw new CompileError({
      code: "ssm-state-odd",
      message: `basis ${name} has a cosine and a sine of every frequency, so its state size cannot be odd (${N})`,
      fix: `use ${N + 1}`,
      loc,
    });
  const { frequencies } = options;
  if (frequencies !== undefined && !(2 * frequencies.length === N && frequencies.every(Number.isFinite)))
    throw fail(`frequencies ${frequencies.join(", ")} for ${N} states`, "give a finite number for every two states", loc);
  const { A, B } = basis.operator(N, options, random);
  const low = basis.lowRank?.(N, options);
  const stretch = basis.window === undefined ? 1 : basis.window / options.window;
  const own = { basis, options, ...(basis.functions === undefined ? {} : { functions: stretched(basis.functions, stretch) }) };
  if (stretch === 1) return { ...own, A, B, ...(low === undefined ? {} : { lowRank: low }) };
  const P = low?.P.map((row) => row.map((p) => p * Math.sqrt(stretch)));
  const lowRank = P === undefined || low === undefined ? {} : { lowRank: { P, shift: low.shift * stretch } };
  return { ...own, A: scaleMatrix(A, stretch), B: B.map((b) => b * stretch), ...lowRank };
}

/** x'(t) = c (A x + B u) is the same memory, c times as fast. */
function stretched({ kernel, exact, weight }: BasisFunctions, c: number): BasisFunctions {
  return {
    exact,
    ...(kernel === undefined ? {} : { kernel: (n, s, options) => c * kernel(n, c * s, options) }),
    ...(weight === undefined ? {} : { weight: (n, s, options) => weight(n, c * s, options) }),
  };
}

function optionsOf(basis: Basis, given: PartialBasisOptions, loc: Loc | undefined): BasisOptions {
  for (const key of ["window", "alpha", "beta"] as const)
    if ((given[key] ?? 0) !== 0 && !basis.reads.includes(key)) {
      const known = basis.reads.length === 0 ? "it has none" : `it reads ${basis.reads.join(" and ")}`;
      throw fail(`basis ${basis.name} has no ${key}`, known, loc);
    }
  if (given.frequencies !== undefined && !basis.reads.includes("frequencies"))
    throw fail(`basis ${basis.name} has no frequencies of its own choice`, "fru has", loc);
  const or = (key: "window" | "alpha" | "beta", value: number): number => {
    const own = given[key] ?? 0;
    return own === 0 ? (ownDefaults[basis.name]?.[key] ?? value) : own;
  };
  const options = {
    window: or("window", basis.window ?? 1),
    alpha: or("alpha", defaults.alpha),
    beta: or("beta", defaults.beta),
    frequencies: given.frequencies,
  };
  if (!(options.window > 0 && options.window < Infinity)) throw fail(`a window of ${options.window}`, "give a time above 0", loc);
  if (!(options.beta > 0 && options.beta < Infinity)) throw fail(`a beta of ${options.beta}`, "give a number above 0", loc);
  if (!(options.alpha >= 0 && options.alpha < 1))
    throw fail(`an alpha of ${options.alpha}`, "give a number from 0 up to but without 1", loc);
  return options;
}
