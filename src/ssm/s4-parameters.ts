/**
 * What the families `s4`, `s4-diagonal` and `s4-real` share: parameters as the published S4 layer stores them, their options,
 * and how they start. What they mean is in `s4-values.ts`.
 */
import { bug } from "../ir/error.ts";
import { complex, type Complex } from "../math/complex.ts";
import { logUniform, type Random } from "../math/random.ts";
import type { InitContext, OptionSpec, ParamSpec } from "./family.ts";
import { dplrInits, type HalfDplr, poleRules } from "./nplr.ts";
import { storedValue, transformNames } from "./transforms.ts";

/** Where the poles of an S4 layer may start. */
export const s4Inits: readonly string[] = [
  "legs",
  "legsd",
  "legt",
  "lagt",
  "fourier",
  "fourier2",
  "fourier_decay",
  "foud",
  ...poleRules.flatMap((rule) => [`diag-${rule}`, `dplr-${rule}`]),
  "diag",
  "hippo",
  "all",
];

/** Options that the parameters of all three families have. */
export const storageOptions = {
  dt_min: { doc: "Least step size at the start.", default: 0.001 },
  dt_max: { doc: "Largest step size at the start.", default: 0.1 },
  dt_start: {
    doc: "Whether step sizes start at random or evenly spaced, both in the logarithm.",
    default: "random",
    choices: ["random", "even"],
  },
  C_init: {
    doc: "Whether C starts at random, or reads the first coordinate of the basis, or the first stored state where there is none.",
    default: "random",
    choices: ["random", "first"],
  },
  real_transform: { doc: "The map from A_real to -Re lambda.", default: "exp", choices: transformNames },
  dt_transform: { doc: "The map from inv_dt to the step size.", default: "exp", choices: transformNames },
  dt_fast: { doc: "Takes sinh of inv_dt first.", default: false },
  l_max: { doc: "Steps after which the kernel is cut off, at the rate of the stored step sizes; 0 where it is not.", default: 0 },
  direction: {
    doc: "Whether this is the system that runs forwards in time, or the one that runs backwards.",
    default: "forward",
    choices: ["forward", "backward"],
  },
} as const satisfies Readonly<Record<string, OptionSpec>>;

/** Options of the families of conjugate pairs. A number of 0 is one that is not given. */
export const pairOptions = {
  ...storageOptions,
  init: {
    doc: "Where poles, B and P start: a basis, a rule for poles, or several in equal parts.",
    default: "legs",
    choices: s4Inits,
  },
  imag_transform: { doc: "The map from A_imag to -Im lambda.", default: "none", choices: transformNames },
  bandlimit: { doc: "Poles of at least this part of half the sampling rate are not read.", default: 0 },
  window: { doc: "Length of the basis' window, where it has one.", default: 0 },
  real_scale: { doc: "Factor of the starting real parts of the rules.", default: 1 },
  imag_scale: { doc: "Factor of the starting imaginary parts of the rules.", default: 1 },
  real_random: { doc: "Whether the real parts of the rules start uniform instead.", default: false },
  imag_random: { doc: "Whether the imaginary parts of the rules start uniform instead.", default: false },
  B_init: {
    doc: "How B starts for the rules.",
    default: "default",
    choices: ["default", "constant", "random", "alternating", "unit-cw", "unit-ccw", "legs"],
  },
  B_scale: { doc: "Factor of the starting B.", default: 1 },
  B_clip: { doc: "Largest |B_n| at the start.", default: 0 },
  C_systems: { doc: "How many systems a C that reads their first coordinates starts from; one a feature where 0.", default: 0 },
  normalize: { doc: "Whether B starts with a unit response to a constant input.", default: false },
  P_scale: { doc: "Factor of the starting P of the dplr rules.", default: 1 },
} as const satisfies Readonly<Record<string, OptionSpec>>;

type Widen<T> = T extends number ? number : T extends boolean ? boolean : string;
type ValuesOf<O extends Readonly<Record<string, OptionSpec>>> = { readonly [K in keyof O]: Widen<O[K]["default"]> };
/** The values of `storageOptions`. */
export type StorageOptions = ValuesOf<typeof storageOptions>;
/** The values of `pairOptions`. */
export type PairOptions = ValuesOf<typeof pairOptions>;

/** The parameters of conjugate pairs. */
export const pairParams = {
  A_real: { doc: "-Re lambda, before `real_transform`.", dims: ["S", "N/2"] },
  A_imag: { doc: "-Im lambda, before `imag_transform`.", dims: ["S", "N/2"] },
  B: { doc: "Input vector.", dims: ["M", "S", "N/2", "c"] },
  C: { doc: "Output vectors, applied without conjugation.", dims: ["Q", "G", "N/2", "c"] },
} as const satisfies Readonly<Record<string, ParamSpec>>;

/** Step size and skip connection. */
export const channelParams = {
  inv_dt: { doc: "Step size, before `dt_transform`: one a feature, or one for each of its states.", dims: ["G", "T"] },
  D: { doc: "Skip connection.", dims: ["P", "G"] },
} as const satisfies Readonly<Record<string, ParamSpec>>;

/** The starting systems, one a row; the same for every parameter that asks, as far as nothing in them is random. */
function startingSystems({ sizes: { N, S = 1 }, options, random, loc }: InitContext<PairOptions>, rank: number): readonly HalfDplr[] {
  const { B_init: B, window, B_clip: clipB } = options;
  const own = {
    realScale: options.real_scale,
    imagScale: options.imag_scale,
    realRandom: options.real_random,
    imagRandom: options.imag_random,
    scaleB: options.B_scale,
    scaleP: options.P_scale,
    normalize: options.normalize,
    ...(B === "default" ? {} : { B: B as "constant" }),
    ...(window === 0 ? {} : { window }),
    ...(clipB === 0 ? {} : { clipB }),
  };
  const make = (): readonly HalfDplr[] => dplrInits(options.init, N, S, rank, own, random, loc);
  // A basis alone has nothing random in it, and its eigenvectors are the cost of a model's start: four parameters a layer ask for them.
  if (options.init.includes("-") || ["diag", "all"].includes(options.init)) return make();
  const key = JSON.stringify([options.init, N, S, rank, own]);
  const systems = remembered.get(key) ?? make();
  if (remembered.size >= 8) remembered.clear();
  remembered.set(key, systems);
  return systems;
}

/** A few of the systems made, by what they are made from. */
const remembered = new Map<string, readonly HalfDplr[]>();

/** As much as any basis needs: what does not make P has no rank of its own. */
const anyRank = 2;
const interleaved = (values: readonly Complex[]): Float64Array => Float64Array.from(values.flatMap(({ re, im }) => [re, im]));
const poles = (context: InitContext<PairOptions>): readonly Complex[] => startingSystems(context, anyRank).flatMap((s) => s.lambda);

/** How the parameters of conjugate pairs start. */
export const pairStarts = {
  A_real: (context: InitContext<PairOptions>): Float64Array =>
    Float64Array.from(poles(context), ({ re }) => storedValue(context.options.real_transform, -re, context.loc)),
  A_imag: (context: InitContext<PairOptions>): Float64Array =>
    Float64Array.from(poles(context), ({ im }) => storedValue(context.options.imag_transform, -im, context.loc)),
  B: (context: InitContext<PairOptions>): Float64Array => interleaved(startingSystems(context, anyRank).flatMap((s) => s.B)),
  C: (context: InitContext<PairOptions>): Float64Array | (() => number) =>
    context.options.C_init === "first" ? firstOf(context) : normalC(context),
} as const;

/** Complex normal: each component has variance 1/2. */
export const normalC =
  ({ random }: { readonly random: Random }): (() => number) =>
  () =>
    random.normal() * Math.SQRT1_2;

/** The row e_0 in the coordinates of each feature's system: e_0 V, or e_0 itself where there is no V. */
function firstOf(context: InitContext<PairOptions>): Float64Array {
  const { Q = 1, G = 1 } = context.sizes;
  const S = context.options.C_systems === 0 ? G : context.options.C_systems;
  const systems = startingSystems({ ...context, sizes: { ...context.sizes, S } }, anyRank);
  const rows = systems.map(({ V, lambda }) =>
    V === undefined ? lambda.map((_, n) => complex(n === 0 ? 1 : 0)) : V.map((vector) => vector[0] ?? bug("a mode of no coordinates")),
  );
  return interleaved(Array.from({ length: Q * G }, (_, i) => rows[(i % G) % S] ?? bug("no system")).flat());
}

/** How the low-rank part starts. */
export function startP(context: InitContext<PairOptions>): Float64Array {
  const { R = 1 } = context.sizes;
  const made = startingSystems(context, R);
  return interleaved(Array.from({ length: R }, (_, r) => made.flatMap((s) => s.P[r] ?? s.lambda.map(() => complex(0)))).flat());
}

/** How step sizes and skip connections start. */
export const channelStarts = {
  inv_dt: ({ count, options, random, loc }: InitContext<StorageOptions>): ((i: number) => number) => {
    const { dt_min: low, dt_max: high, dt_start, dt_fast, dt_transform } = options;
    const draw = logUniform(random, low, high);
    const even = (i: number): number => Math.log(low) + (count === 1 ? 0 : i / (count - 1)) * Math.log(high / low);
    return (i) => {
      const stored = storedValue(dt_transform, Math.exp(dt_start === "even" ? even(i) : draw()), loc);
      return dt_fast ? Math.asinh(stored) : stored;
    };
  },
  D: ({ random }: InitContext<StorageOptions>): (() => number) => random.normal,
} as const;
