/**
 * S5: one diagonal complex system that reads and writes all channels. `P` is the number of stored states: half the state
 * size N with conjugate symmetry, N without. A bidirectional layer is two nodes that share everything but C.
 * lambda = Lambda_re + i Lambda_im, delta = exp(log_step), a step size for each state.
 */
import { complex, type Complex, complexArray, conj, complexAt } from "../../math/complex.ts";
import { logUniform, type Random } from "../../math/random.ts";
import { defineFamily } from "../family.ts";
import { nplr } from "../nplr.ts";

/** The least decay that `clip_eigs` leaves. */
const clip = -1e-4;

/** Eigenvalues and eigenvectors of -I/2 + skew, the normal part of LegS; those with Im < 0 first. */
function legsModes(N: number): { readonly lambda: readonly Complex[]; readonly vectors: readonly (readonly Complex[])[] } {
  const { lambda, V = [] } = nplr("legs", N, 1);
  return { lambda: [...lambda, ...lambda.map(conj)], vectors: [...V, ...V.map((v) => v.map(conj))] };
}

interface Blocks {
  readonly blocks: number;
  readonly conj_sym: boolean;
}

/** Stored states of one of the equal blocks on A's diagonal, and its modes. */
function blockOf(P: number, { blocks, conj_sym }: Blocks): { readonly stored: number; readonly modes: ReturnType<typeof legsModes> } {
  const stored = Math.ceil(P / blocks);
  return { stored, modes: legsModes(conj_sym ? 2 * stored : stored) };
}

/** A real [N H] normal matrix seen by the modes: V^* B, row by row. */
function inputMatrix(P: number, H: number, options: Blocks, random: Random): Float64Array {
  const { stored, modes } = blockOf(P, options);
  const size = modes.vectors.length;
  const std = 1 / Math.sqrt(size * options.blocks);
  const real = Array.from({ length: Math.ceil(P / stored) * size * H }, () => std * random.normal());
  return complexArray(P * H, (i) => {
    const [p, h] = [Math.floor(i / H), i % H];
    const start = Math.floor(p / stored) * size;
    return dot((modes.vectors[p % stored] ?? []).map(conj), (n) => complex(real[(start + n) * H + h] ?? NaN));
  });
}

/** A complex [H N] normal matrix that reads the modes: C V. */
function outputMatrix(P: number, H: number, options: Blocks, random: Random): Float64Array {
  const { stored, modes } = blockOf(P, options);
  const size = modes.vectors.length;
  const std = 1 / Math.sqrt(size * options.blocks);
  const columns = Math.ceil(P / stored) * size;
  const made = Float64Array.from({ length: H * columns * 2 }, () => std * random.normal());
  return complexArray(H * P, (i) => {
    const [h, p] = [Math.floor(i / P), i % P];
    const start = Math.floor(p / stored) * size;
    return dot(modes.vectors[p % stored] ?? [], (n) => complexAt(made, h * columns + start + n));
  });
}

function dot(vector: readonly Complex[], other: (n: number) => Complex): Complex {
  let [re, im] = [0, 0];
  for (const [n, a] of vector.entries()) {
    const b = other(n);
    re += a.re * b.re - a.im * b.im;
    im += a.re * b.im + a.im * b.re;
  }
  return complex(re, im);
}

export const s5 = defineFamily({
  name: "s5",
  source: "Smith et al., Simplified State Space Layers for Sequence Modeling, 2023, section 3; names of lindermanlab/S5",
  structure: "mimo",
  params: {
    Lambda_re: { doc: "Re lambda.", dims: ["P"] },
    Lambda_im: { doc: "Im lambda.", dims: ["P"] },
    B: { doc: "Input matrix.", dims: ["P", "H", "c"] },
    C: { doc: "Output matrix, applied without conjugation.", dims: ["H", "P", "c"] },
    D: { doc: "Skip connection, each channel by itself.", dims: ["H"] },
    log_step: { doc: "Logarithm of the step size of each state.", dims: ["P", "1"], or: [["P"]] },
  },
  options: {
    conj_sym: { doc: "Each stored state stands for itself and its conjugate.", default: true },
    clip_eigs: { doc: "No Re lambda above -1e-4.", default: false },
    blocks: { doc: "LegS blocks on the diagonal of A that the poles start from.", default: 1 },
    skip: { doc: "Whether D u is added.", default: true },
    dt_min: { doc: "Least step size at the start.", default: 0.001 },
    dt_max: { doc: "Largest step size at the start.", default: 0.1 },
  },
  init: {
    Lambda_re: () => () => -0.5,
    Lambda_im: ({ count, options }) => {
      const { stored, modes } = blockOf(count, options);
      return (i) => modes.lambda[i % stored]?.im ?? NaN;
    },
    B: ({ sizes: { P = 1, H }, options, random }) => inputMatrix(P, H, options, random),
    C: ({ sizes: { P = 1, H }, options, random }) => outputMatrix(P, H, options, random),
    D: ({ random }) => random.normal,
    log_step: ({ random, options }) => logUniform(random, options.dt_min, options.dt_max),
  },
  system: ({ Lambda_re, Lambda_im, B, C, D, log_step }, { H, P: states = 0 }, { conj_sym, clip_eigs, skip }) => ({
    structure: "mimo",
    channels: H,
    states,
    pairs: conj_sym,
    A: complexArray(states, (n) => complex(clip_eigs ? Math.min(Lambda_re.at(n), clip) : Lambda_re.at(n), Lambda_im.at(n))),
    B: B.data,
    C: C.data,
    D: skip ? D.data : new Float64Array(H),
    delta: log_step.data.map(Math.exp),
  }),
});
