/**
 * Fourier bases: sliding windows, with and without the correction at the window's end, fading ones, and the Fourier
 * recurrent unit. States lie in pairs (cosine, sine) of frequency m at 2m and 2m + 1; the sine of frequency 0 is dead.
 */
import { type Matrix, matrix } from "../../math/matrix.ts";
import { type Basis, type BasisOptions, type LowRank, type Operator, vectorOf } from "../basis.ts";

/** The cosines at s = 0. */
const amplitudes = (N: number): Float64Array => vectorOf(N, (n) => (n === 0 ? 1 : n % 2 === 0 ? Math.SQRT2 : 0));

/** Rotations of frequency w m minus `fade` I. */
const rotations = (N: number, w: number, fade = 0): Matrix =>
  matrix(N, N, (n, k) => {
    const frequency = w * Math.floor(n / 2);
    if (n === k) return -fade;
    if (n % 2 === 0 && k === n + 1) return -frequency;
    return n % 2 === 1 && k === n - 1 ? frequency : 0;
  });

/** Rotations less `strength` p p^T, driven by `strength` p. */
function windowed(N: number, w: number, strength: number): Operator {
  const p = amplitudes(N);
  const K = rotations(N, w);
  return {
    A: matrix(N, N, (n, k) => (K.data[n * N + k] ?? NaN) - strength * (p[n] ?? NaN) * (p[k] ?? NaN)),
    B: p.map((x) => strength * x),
  };
}
const lowRank = (N: number, strength: number): LowRank => ({ P: [amplitudes(N).map((x) => Math.sqrt(strength) * x)], shift: 0 });

/** 1, sqrt 2 cos(w m s), sqrt 2 sin(w m s) */
function wave(n: number, angle: number): number {
  if (n < 2) return n === 0 ? 1 : 0;
  return Math.SQRT2 * (n % 2 === 0 ? Math.cos(Math.floor(n / 2) * angle) : Math.sin(Math.floor(n / 2) * angle));
}

const source = "Gu et al., HiPPO, 2020, appendix D.4; Gu et al., How to Train Your HiPPO, 2022";
const past = "the last `window` units of time, all weighted alike: window/delta samples";

export const fourier: Basis = {
  name: "fourier",
  source,
  timescale: past,
  reads: ["window"],
  memory: "window",
  window: 2,
  pairs: true,
  operator: (N) => windowed(N, Math.PI, 1),
  lowRank: (N) => lowRank(N, 1),
  functions: {
    kernel: (n, s) => (s <= 2 ? wave(n, Math.PI * s) / 2 : 0),
    exact: false,
    weight: (n, s) => wave(n, Math.PI * s),
  },
};

export const fourier2: Basis = {
  ...fourier,
  name: "fourier2",
  window: 1,
  operator: (N) => windowed(N, 2 * Math.PI, 2),
  lowRank: (N) => lowRank(N, 2),
  functions: {
    kernel: (n, s) => (s <= 1 ? wave(n, 2 * Math.PI * s) : 0),
    exact: false,
    weight: (n, s) => wave(n, 2 * Math.PI * s),
  },
};

export const fourierDecay: Basis = {
  name: "fourier_decay",
  source,
  timescale: "about the last `window` units of time, without a sharp end: what leaves the window is only in part forgotten",
  reads: ["window"],
  memory: "window",
  window: 2,
  pairs: true,
  operator: (N) => windowed(N, Math.PI, 0.5),
  lowRank: (N) => lowRank(N, 0.5),
};

export const foud: Basis = {
  name: "foud",
  source,
  timescale: "the whole past, faded by e^(-s/2) with its age s: a few 2/delta samples, frequencies 2 pi m",
  reads: [],
  memory: "fading",
  pairs: true,
  operator: (N) => ({ A: rotations(N, 2 * Math.PI, 0.5), B: amplitudes(N) }),
  lowRank: () => ({ P: [], shift: -0.5 }),
  functions: { kernel: (n, s) => wave(n, 2 * Math.PI * s) * Math.exp(-s / 2), exact: true },
};

/**
 * The complex basis e^(2 pi i n s / window) of n = 0, 1, .. alone, real parts at 2n and imaginary parts at 2n + 1: A = diag(2 pi i n) - 1 1^T,
 * B = 1, in units of the window.
 */
export const fourierComplex: Basis = {
  name: "fourier_complex",
  source: "Gu et al., HiPPO, 2020, appendix D.4",
  timescale: "about the last `window` units of time, as fourier_decay: the real and imaginary parts of one-sided complex waves",
  reads: ["window"],
  memory: "window",
  window: 1,
  pairs: true,
  operator: (N) => {
    const K = rotations(N, 2 * Math.PI);
    return {
      A: matrix(N, N, (n, k) => (K.data[n * N + k] ?? NaN) - (n % 2 === k % 2 ? 1 : 0)),
      B: vectorOf(N, (n) => 1 - (n % 2)),
    };
  },
  lowRank: (N) => ({ P: [vectorOf(N, (n) => 1 - (n % 2)), vectorOf(N, (n) => n % 2)], shift: 0 }),
};

/** In the frame that turns with each frequency, where its time-varying input e^(2 pi i f t / window) stands still. */
export const fru: Basis = {
  name: "fru",
  source:
    "Zhang, Lin, Song and Dhillon, Learning Long Term Dependencies via Fourier Recurrent Units, 2018; Gu et al., HiPPO, 2020, section 2.3",
  timescale: "the whole past, which never fades: waves of period window/m, reconstructing only what is younger than one window",
  reads: ["window", "frequencies"],
  memory: "window",
  window: 1,
  pairs: true,
  operator: (N, options) => {
    const turns = (n: number): number => 2 * Math.PI * frequencyOf(n, options);
    return {
      A: matrix(N, N, (n, k) => (Math.floor(n / 2) !== Math.floor(k / 2) || n === k ? 0 : n > k ? turns(n) : -turns(n))),
      B: vectorOf(N, (n) => (n % 2 === 1 ? 0 : frequencyOf(n, options) === 0 ? 1 : Math.SQRT2)),
    };
  },
  lowRank: () => ({ P: [], shift: 0 }),
  functions: {
    kernel: (n, s, options) => {
      const f = frequencyOf(n, options);
      if (f === 0) return 1 - (n % 2);
      return Math.SQRT2 * (n % 2 === 0 ? Math.cos(2 * Math.PI * f * s) : Math.sin(2 * Math.PI * f * s));
    },
    exact: true,
  },
};

/** Turns of the wave of state n within the window. */
const frequencyOf = (n: number, { frequencies }: BasisOptions): number => frequencies?.[Math.floor(n / 2)] ?? Math.floor(n / 2);
