/**
 * LSSL: a dense A given as the inverse of a tridiagonal matrix, A = -diag(pl) (T^-1 + diag c) diag(pr), B = pl b, for all
 * channels or for each; every channel has a step size and M output channels of its own, side by side.
 * T has d on its diagonal; dl and du have one number more at both ends, which nothing reads: dl[i] stands left of d[i],
 * du[i + 1] right of it.
 */
import { entry, identity, type Matrix, matrix } from "../../math/matrix.ts";
import { logUniform } from "../../math/random.ts";
import { solve } from "../../math/solve.ts";
import { defineFamily, type Values } from "../family.ts";

/** The numbers of a parametrisation for row n of N. */
interface Start {
  readonly p: (n: number) => number;
  readonly lower: number;
  readonly upper: number;
  readonly diagonal: (n: number, N: number) => number;
  /** Standard deviation of what is added to the diagonal. */
  readonly noise: number;
  readonly c: (n: number) => number;
  readonly b: number;
  /** Factor of the first numbers beside the diagonal. */
  readonly first: number;
}

const zero = (): number => 0;
const skew = { lower: -0.5, upper: 0.5, c: zero, b: 1, first: 1 };
const lower = { lower: -1, upper: 0, diagonal: () => 1, noise: 0, b: 1, first: 1 };
const one = (): number => 1;
const root = (n: number): number => Math.sqrt(2 * n + 1);
const starts: Readonly<Record<string, Start>> = {
  legs: { ...lower, p: root, c: (n) => -n / (2 * n + 1) },
  lagt: { ...lower, p: one, c: () => -0.5 },
  jac: { ...lower, p: (n) => Math.sqrt(2 * n + 2), c: zero, b: 2 },
  legt: { ...skew, p: root, diagonal: (n, N) => (n === 0 || n === N - 1 ? 0.5 : 0), noise: 1e-2 },
  cheb: { ...skew, p: one, diagonal: zero, noise: 1e-3, first: Math.SQRT2 },
  chebii: { ...skew, p: one, diagonal: zero, noise: 1e-3 },
};
const startOf = (measure: string): Start => starts[measure] ?? { ...lower, p: one, c: one };

type Transition = Readonly<Record<"dl" | "d" | "du" | "pl" | "pr" | "c" | "b", Values>>;

/** A and B of channel `h`; NaN where T has no inverse. */
function transition({ dl, d, du, pl, pr, c, b }: Transition, N: number, h: number): { readonly A: Matrix; readonly B: readonly number[] } {
  const at = (values: Values, n: number, size = N): number => values.at(values.shape.length === 1 ? n : h * size + n);
  const T = matrix(N, N, (i, j) => {
    if (i === j) return at(d, i);
    return j === i - 1 ? at(dl, i, N + 1) : j === i + 1 ? at(du, j, N + 1) : 0;
  });
  const inverse = solve(T, identity(N)) ?? matrix(N, N, () => NaN);
  return {
    A: matrix(N, N, (i, j) => -at(pl, i) * (entry(inverse, i, j) + (i === j ? at(c, i) : 0)) * at(pr, j)),
    B: Array.from({ length: N }, (_, n) => at(pl, n) * at(b, n)),
  };
}

export const lssl = defineFamily({
  name: "lssl",
  source:
    "Gu et al., Combining Recurrent, Convolutional, and Continuous-time Models with Linear State-Space Layers, 2021, section 4 and appendix D",
  structure: "dense",
  params: {
    C: { doc: "Output matrix.", dims: ["H", "M", "N"] },
    D: { doc: "Skip connection.", dims: ["H", "M"] },
    log_dt: { doc: "Logarithm of the step size.", dims: ["H"] },
    dl: { doc: "Left of the diagonal of T.", dims: ["N+1"], or: [["H", "N+1"]] },
    d: { doc: "Diagonal of T.", dims: ["N"], or: [["H", "N"]] },
    du: { doc: "Right of the diagonal of T.", dims: ["N+1"], or: [["H", "N+1"]] },
    pl: { doc: "Factors of the rows of A, and of B.", dims: ["N"], or: [["H", "N"]] },
    pr: { doc: "Factors of the columns of A.", dims: ["N"], or: [["H", "N"]] },
    c: { doc: "What is added to the diagonal of the inverse of T.", dims: ["N"], or: [["H", "N"]] },
    b: { doc: "B without its factors.", dims: ["N"], or: [["H", "N"]] },
  },
  options: {
    init: { doc: "The basis that A and B start from.", default: "legs", choices: Object.keys(starts) },
    dt_min: { doc: "Least step size at the start.", default: 0.001 },
    dt_max: { doc: "Largest step size at the start.", default: 0.1 },
  },
  init: {
    C: ({ random }) => random.normal,
    D: ({ random }) => random.normal,
    log_dt: ({ random, options }) => logUniform(random, options.dt_min, options.dt_max),
    dl: (context) => beside(context, "lower"),
    du: (context) => beside(context, "upper"),
    d: ({ sizes: { N }, options: { init }, random }) => {
      const { diagonal, noise } = startOf(init);
      return (i) => diagonal(i % N, N) + noise * random.normal();
    },
    pl: ({ sizes: { N }, options: { init } }) => {
      return (i) => startOf(init).p(i % N);
    },
    pr: ({ sizes: { N }, options: { init } }) => {
      return (i) => startOf(init).p(i % N);
    },
    c: ({ sizes: { N }, options: { init } }) => {
      return (i) => startOf(init).c(i % N);
    },
    b: ({ options: { init } }) => {
      return () => startOf(init).b;
    },
  },
  system: ({ C, D, log_dt, ...rest }, { H, N, M = 1 }) => {
    const own = Object.values(rest).some((values) => values.shape.length === 2);
    const systems = Array.from({ length: own ? H : 1 }, (_, h) => transition(rest, N, h));
    const tiled = (count: number, pick: (system: (typeof systems)[number]) => ArrayLike<number>): Float64Array => {
      const data = new Float64Array(H * count);
      for (let h = 0; h < H; h++)
        data.set(
          systems.slice(own ? h : 0, (own ? h : 0) + 1).flatMap((s) => Array.from(pick(s))),
          h * count,
        );
      return data;
    };
    return {
      structure: "dense",
      groups: H,
      states: N,
      inputs: 1,
      outputs: M,
      A: tiled(N * N, ({ A }) => A.data),
      B: tiled(N, ({ B }) => B),
      C: C.data,
      D: D.data,
      delta: log_dt.data.map(Math.exp),
    };
  },
});

/** The numbers beside the diagonal: none at the ends. */
function beside(
  { sizes: { N }, options: { init } }: { readonly sizes: { readonly N: number }; readonly options: { readonly init: string } },
  side: "lower" | "upper",
): (i: number) => number {
  const start = startOf(init);
  return (i) => {
    const k = i % (N + 1);
    return k === 0 || k === N ? 0 : start[side] * (k === 1 ? start.first : 1);
  };
}
