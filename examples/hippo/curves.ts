/** Curves to begin with, of values from -1 to 1. */
import { LENGTH } from "./sizes.ts";

/** A curve by what it is at x from 0 to 1. */
type Shape = (x: number) => number;

const wave = (x: number, cycles: number, phase = 0): number => Math.sin(2 * Math.PI * (cycles * x + phase));

/** By the name a person chooses them by. */
export const curves: Readonly<Record<string, Shape>> = {
  waves: (x) => 0.45 * wave(x, 1.6, 0.1) + 0.3 * wave(x, 4.1, 0.45) + 0.18 * wave(x, 7.3, 0.7),
  chirp: (x) => 0.8 * wave(x * x, 9),
  steps: (x) => [0.6, -0.3, 0.2, 0.8, -0.7, 0][Math.floor(6 * x)] ?? 0,
  bump: (x) => 0.9 * Math.exp(-(((x - 0.3) / 0.05) ** 2)),
};

/** The samples of a curve. */
export const sampled = (shape: Shape): Float32Array<ArrayBuffer> =>
  Float32Array.from({ length: LENGTH }, (_, i) => shape((i + 0.5) / LENGTH));
