/**
 * A continuous state space model as numbers: what families produce and the structure pass rewrites. Plain data in
 * float64; tensors are row-major, complex ones interleaved `[.. c=2]`. Its discrete counterpart is the interpreter's.
 */

/** x' = diag(A) x + B u, y = C x + D u on every channel by itself. */
export interface DiagonalSystem {
  readonly structure: "diagonal";
  readonly channels: number;
  /** Stored states per channel. */
  readonly states: number;
  /**
   * Each stored state stands for itself and its conjugate, so that y = 2 Re(C x) + D u. A real eigenvalue among them
   * has no conjugate: its C is stored halved. Without pairs y = Re(C x) + D u.
   */
  readonly pairs: boolean;
  /** `[H N c=2]`, as are B and C. C is applied without conjugation. */
  readonly A: Float64Array;
  readonly B: Float64Array;
  readonly C: Float64Array;
  /** `[H]` */
  readonly D: Float64Array;
  /** `[H N]`: each state has a step of its own. */
  readonly delta: Float64Array;
}

/** x' = A x + B u, y = C x + D u on every group of `inputs` neighbouring channels by itself. */
export interface DenseSystem {
  readonly structure: "dense";
  /** Systems stored: 1 where all groups of channels share one. */
  readonly groups: number;
  readonly states: number;
  readonly inputs: number;
  readonly outputs: number;
  /** `[G N N2]` */
  readonly A: Float64Array;
  /** `[G N M]` */
  readonly B: Float64Array;
  /** `[G P N]` */
  readonly C: Float64Array;
  /** `[G P M]` */
  readonly D: Float64Array;
  /** `[G]` */
  readonly delta: Float64Array;
}

export type ContinuousSystem = DiagonalSystem | DenseSystem;

/**
 * The same model as systems of one input and one output: (A, B[:, m], C[p, :], D[p, m]) for every group, output p and
 * input m, in that order. `copies` is the number of groups of channels.
 */
export function splitChannels(system: DenseSystem, copies: number): DenseSystem {
  const { groups, states: n, inputs, outputs, A, B, C, D, delta } = system;
  const pairs = outputs * inputs;
  if (pairs === 1) return system;
  const total = copies * pairs;
  /** The stored system, output and input of system i of the result. */
  const of = (i: number): readonly [g: number, p: number, m: number] => [
    Math.floor(i / pairs) % groups,
    Math.floor((i % pairs) / inputs),
    i % inputs,
  ];
  const made = (count: number, f: (g: number, p: number, m: number, k: number) => number | undefined): Float64Array =>
    Float64Array.from({ length: total * count }, (_, i) => f(...of(Math.floor(i / count)), i % count) ?? NaN);
  return {
    structure: "dense",
    groups: total,
    states: n,
    inputs: 1,
    outputs: 1,
    A: made(n * n, (g, _p, _m, k) => A[g * n * n + k]),
    B: made(n, (g, _p, m, k) => B[(g * n + k) * inputs + m]),
    C: made(n, (g, p, _m, k) => C[(g * outputs + p) * n + k]),
    D: made(1, (g, p, m) => D[(g * outputs + p) * inputs + m]),
    delta: made(1, (g) => delta[g]),
  };
}
