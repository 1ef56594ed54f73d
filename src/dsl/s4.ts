/**
 * The layer `s4`: the published S4 layer with its options, as one `ssm` node of family `s4`, `s4-diagonal` or `s4-real`. What
 * its parameters mean is said in `src/ssm/`; the block around it (activation, output map) is a model's own.
 */
import { arg, call } from "../ir/expr.ts";
import type { Axis, ValueId } from "../ir/graph.ts";
import { basisNamed } from "../ssm/bases.ts";
import { paramDims, type Options, type Sizes } from "../ssm/family.ts";
import { familyNamed } from "../ssm/families.ts";
import { deltaRange, familyNode, familyParam, familyParams, type Discretization } from "./family-layer.ts";
import { constant } from "./init.ts";
import { mapTensors } from "./pointwise.ts";
import { concat } from "./shape.ts";
import type { Sequence, Tensor, WithWidth } from "./tensor.ts";
import { delay, reverse } from "./time.ts";
import { fail, fixedParameter, here, layerName, type Named } from "./trace.ts";

/** A rule for the poles of a diagonal matrix. */
export type PoleRule = "lin" | "inv" | "inv2" | "quad" | "real" | "legs" | "random";
/** A basis that is normal plus low rank, or normal, in closed form. */
export type S4Basis = "legs" | "legsd" | "legt" | "lagt" | "fourier" | "fourier2" | "fourier_decay" | "foud";
/**
 * Where an S4 layer starts: a basis; diagonal poles by a rule, with P = 0 (`diag-`) or random P (`dplr-`); or several in equal
 * parts of the systems: `diag` (inv, lin), `hippo` (legs, fourier), `all` (legs, fourier, diag-inv, diag-lin).
 */
export type S4Init = S4Basis | `diag-${PoleRule}` | `dplr-${PoleRule}` | "diag" | "hippo" | "all";
/** How a value above 0 is stored. `relu` is max(p, 0) + 1e-4. */
export type TransformName = "none" | "exp" | "relu" | "sigmoid" | "softplus";

/** How an S4 layer starts without weights, beyond the name of its `init`. */
export interface S4Start {
  /** Length of the window of `legt`, `fourier`, `fourier2` and `fourier_decay`; their own where absent. Units: the model's time. */
  readonly window?: number;
  /** Step sizes at random in their range (where absent), or evenly spaced; both in the logarithm. */
  readonly delta?: "random" | "even";
  /**
   * C at random (where absent), or such that an output is the first coordinate of the basis, of a rule the first stored state. With even step
   * sizes this is what the published `deterministic` is meant to be; its code takes the exponential of the step sizes twice.
   */
  readonly C?: "random" | "first";
  /** Factors of the real and imaginary parts of a rule's poles. */
  readonly scale?: readonly [real: number, imaginary: number];
  /** Whether the real and the imaginary parts of a rule's poles are uniform instead. */
  readonly random?: readonly [real: boolean, imaginary: boolean];
  /** B of a rule: that of LegS for the rule `legs`, 1 for the others, where absent. */
  readonly B?: "constant" | "random" | "alternating" | "unit-cw" | "unit-ccw" | "legs";
  readonly scaleB?: number;
  /** Largest |B_n|. */
  readonly clipB?: number;
  /** Whether B has a unit response to a constant input. */
  readonly normalize?: boolean;
  /** Factor of the random P of the `dplr-` rules. */
  readonly scaleP?: number;
}

/** Options of `s4`. */
export interface S4Options<C extends number = number> extends Named {
  /** Full state size N of one system; half as many complex states are stored, but in mode `real`. 64 where absent. */
  readonly state?: number;
  /** Diagonal plus low rank (where absent), diagonal, or diagonal with real poles (the "EMA" form). */
  readonly mode?: "dplr" | "diagonal" | "real";
  /** R, the rank of the low-rank part; 1 where absent. `legt` needs 2. */
  readonly rank?: number;
  /** Where it starts without weights; `legs` where absent. In mode `real`: poles at -1, -2, .. (`diag-real`), or `diag-random`. */
  readonly init?: S4Init;
  /** Outputs of every feature: the result has `channels` times as many, those of the first output first. 1 where absent. */
  readonly channels?: C;
  /**
   * Whether every output also reads what comes after it, through a second row of C for each: y_t gets sum_j K'_j x_{t+1+j}.
   * Such a model needs whole sequences.
   */
  readonly bidirectional?: boolean;
  /** S, how many systems of poles, B and P the features share in turn (the published `n_ssm`); one a feature where absent. */
  readonly ssms?: number;
  /** How -Re lambda, -Im lambda and the step size are stored; `exp`, `none`, `exp` where absent. */
  readonly transforms?: { readonly real?: TransformName; readonly imag?: TransformName; readonly delta?: TransformName };
  /** Whether the step size is made from sinh of what is stored. */
  readonly fastDelta?: boolean;
  /** Whether every state has a step size of its own, instead of one a feature. */
  readonly untied?: boolean;
  /** Nothing reads poles of at least this part of half the sampling rate that the weights were made for. */
  readonly bandlimit?: number;
  /** `bilinear` for mode `dplr`, `zoh` for the others, where absent. `dss(L)`: zoh, every state's kernel of sum 1 over L steps. */
  readonly discretize?: Discretization | `dss(${number})`;
  /**
   * Steps after which the kernel is cut off, at the sampling rate of the weights. What the published code does to sequences longer than
   * the ones it was told of, in its convolution only; here in every mode, so that modes agree. Whole kernels are cheaper.
   */
  readonly lMax?: number;
  /** The range that step sizes start from, uniform in the logarithm. */
  readonly delta?: readonly [low: number, high: number];
  readonly start?: S4Start;
}

/** `S` with `C` outputs of every feature; the type checker does not multiply, `ofWidth` names the result. */
export type WithOutputs<S extends Sequence, C extends number> = C extends 1 ? S : WithWidth<S, number>;

const families = { dplr: "s4", diagonal: "s4-diagonal", real: "s4-real" } as const;

/**
 * S4: on every feature its own system x' = (Lambda - P P^*) x + B u, y = 2 Re(C x) + D u, or one of `ssms` shared ones.
 * Shapes, for H features of c = `channels` outputs: `D` `[c H]`, `kernel.C` `[c H N/2 2]` (`[2c ..]` in both directions), `kernel.B` `[1 S N/2 2]`, `kernel.P`
 * `[R S N/2 2]`, `kernel.A_real`, `kernel.A_imag` `[S N/2]`, `kernel.inv_dt` `[H 1]` or `[H N/2]`, `kernel.l_kernel` `[]`; mode
 * `diagonal` has no `P` and `l_kernel`; in mode `real` there is no `A_imag`, and `[.. N]` stands for `[.. N/2 2]`.
 * Source: Gu et al. 2022 (2111.00396); names of the published code, version 4.
 */
export function s4<S extends Sequence, const C extends number = 1>(x: Tensor<S>, options: S4Options<C> = {}): Tensor<WithOutputs<S, C>> {
  const { mode = "dplr", channels = 1, bidirectional = false, state = 64 } = options;
  const sizes = sizesOf(options, mode, x.shape.H);
  const system = { family: familyNamed(families[mode]), state, options: settingsOf(options, mode), sizes };
  const layer = layerName("s4", options.name);
  const params = familyParams(system, sizes.H, layer, (param) => (param === "D" ? param : `kernel.${param}`));
  const { discretization, softmaxLength } = ruleOf(options, mode);
  const own = softmaxLength === undefined ? system.options : { ...system.options, softmax_length: softmaxLength };
  const run = (input: Tensor<Sequence>, more: Options): Tensor<Sequence> =>
    familyNode(copies(input, channels), { ...system, options: more }, discretization, params);
  const features = x as unknown as Tensor<Sequence>;
  const forward = run(features, own);
  const backward = bidirectional ? reverse(delay(run(reverse(features), { ...own, direction: "backward" }))) : undefined;
  const y = backward === undefined ? forward : mapTensors(call("add", arg(0), arg(1)), forward, backward);
  // The type checker does not multiply widths.
  return y as unknown as Tensor<WithOutputs<S, C>>;
}

/**
 * S4 along an axis of a grid, without a skip connection, on features that come once for every output already.
 * Shapes: as those of `kernel` of `s4`, under the layer's own name.
 */
export function s4Along(x: Tensor<Sequence>, features: number, options: S4Options, axis: Axis): Tensor<Sequence> {
  const { mode = "dplr", bidirectional = false, state = 64 } = options;
  const sizes = sizesOf(options, mode, features);
  const system = { family: familyNamed(families[mode]), state, options: settingsOf(options, mode), sizes };
  const layer = layerName("s4", options.name);
  const noSkip = (): ValueId => fixedParameter(layer, "no_skip", paramDims(system.family, sizes, here()).get("D") ?? [], constant(0));
  const params = Object.keys(system.family.params).map((param) =>
    param === "D" ? noSkip() : familyParam(system, sizes.H, param, layer, param),
  );
  const { discretization, softmaxLength } = ruleOf(options, mode);
  const settings = softmaxLength === undefined ? system.options : { ...system.options, softmax_length: softmaxLength };
  const forward = familyNode(x, { ...system, options: settings, along: { ...axis, delay: 0 } }, discretization, params);
  if (!bidirectional) return forward;
  // Backwards along every axis; but for this one, that changes nothing.
  const own = { ...system, options: { ...settings, direction: "backward" }, along: { ...axis, delay: 1 } };
  const backward = reverse(familyNode(reverse(x), own, discretization, params));
  return mapTensors(call("add", arg(0), arg(1)), forward, backward);
}

/** The features once for every output. */
const copies = (x: Tensor<Sequence>, count: number): Tensor<Sequence> =>
  count === 1 ? x : concat(x, ...Array.from({ length: count - 1 }, () => x));

function sizesOf(options: S4Options, mode: keyof typeof families, features: number): Sizes {
  const { state = 64, rank = 1, channels = 1, ssms = features, bidirectional = false, untied = false } = options;
  const whole = (what: string, n: number, code: "bad-state" | "bad-width"): void => {
    if (!Number.isInteger(n) || n < 1) fail(code, `${what} of ${n}`, "give a whole number, at least 1");
  };
  whole("a state", state, "bad-state");
  whole("a rank", rank, "bad-state");
  whole("a number of channels", channels, "bad-width");
  whole("a number of systems", ssms, "bad-width");
  if (features % ssms !== 0)
    fail(
      "bad-width",
      `${ssms} systems cannot be shared by ${features} features in turn`,
      "let the number of systems divide that of the features",
    );
  return {
    H: channels * features,
    N: state,
    M: 1,
    P: channels,
    Q: bidirectional ? 2 * channels : channels,
    G: features,
    R: rank,
    S: ssms,
    T: !untied ? 1 : mode === "real" ? state : state / 2,
  };
}

const isDss = (rule: NonNullable<S4Options["discretize"]>): rule is `dss(${number})` => /^dss\(.*\)$/.test(rule);

function ruleOf(
  { discretize }: S4Options,
  mode: keyof typeof families,
): { readonly discretization: Discretization; readonly softmaxLength?: number } {
  if (discretize === undefined) return { discretization: mode === "dplr" ? "bilinear" : "zoh" };
  if (!isDss(discretize)) return { discretization: discretize };
  const length = discretize.slice(4, -1);
  if (mode !== "diagonal") fail("ssm-option", `${discretize} needs one-dimensional states of conjugate pairs`, 'use mode "diagonal"');
  if (!Number.isInteger(Number(length)) || Number(length) < 1)
    fail("ssm-option", `${discretize} sums over no whole number of steps`, "give the length the kernel is summed over");
  return { discretization: "zoh", softmaxLength: Number(length) };
}

/** The family's options: what is given, by the family's names. */
function settingsOf(options: S4Options, mode: keyof typeof families): Options {
  const { init = "legs", transforms = {}, start = {} } = options;
  const range = deltaRange(options.delta);
  checkWindow(range.dt_max, init, start.window);
  const given = {
    dt_start: start.delta,
    C_init: start.C,
    real_transform: transforms.real,
    dt_transform: transforms.delta,
    dt_fast: options.fastDelta,
    l_max: lengthOf(options.lMax),
  };
  const pairs = {
    imag_transform: transforms.imag,
    bandlimit: options.bandlimit,
    window: start.window,
    real_scale: start.scale?.[0],
    imag_scale: start.scale?.[1],
    real_random: start.random?.[0],
    imag_random: start.random?.[1],
    B_init: start.B,
    B_scale: start.scaleB,
    B_clip: start.clipB,
    normalize: start.normalize,
    P_scale: start.scaleP,
    C_systems: start.C === "first" ? options.ssms : undefined,
  };
  const named = mode === "real" ? { init: realInit(options.init), ...given } : { init, ...given, ...pairs };
  const entries = Object.entries({ ...named, ...range });
  return Object.fromEntries(entries.flatMap(([key, value]) => (value === undefined ? [] : [[key, value] as const])));
}

function lengthOf(steps: number | undefined): number | undefined {
  if (steps !== undefined && (!Number.isInteger(steps) || steps < 1))
    fail("ssm-length", `a kernel cut off after ${steps} steps`, "give a whole number of steps, at least 1");
  return steps;
}

function realInit(init: S4Init = "diag-real"): "real" | "random" {
  if (init === "diag-real") return "real";
  return init === "diag-random" ? "random" : fail("ssm-option", `real poles cannot start from ${init}`, "use diag-real or diag-random");
}

/** Bases that remember a window remember none where a step is longer than it. */
function checkWindow(longest: number, init: S4Init, given: number | undefined): void {
  if (init.includes("-") || init === "diag") return;
  const name = init === "hippo" || init === "all" ? "fourier" : init;
  const window = given ?? basisNamed(name, here()).window;
  if (window !== undefined && longest > window)
    fail(
      "bad-init",
      `step sizes up to ${longest}, while ${name} remembers a window of ${window}: less than one step`,
      `give step sizes well below ${window}: window / delta is how many steps it remembers`,
    );
}
