/**
 * The long convolution of Hyena: a filter of N steps, given by what a small network made of the positions, times a window
 * e^{-t |decay|} + shift over t from 0 to 1, and a skip connection.
 */
import { defineFamily } from "../family.ts";

/** What the window falls to, and where of its length: at the slowest and at the fastest channel. */
const [target, slow, fast] = [0.01, 1.5, 0.3];

export const hyena = defineFamily({
  name: "hyena",
  source: "Poli et al., Hyena Hierarchy: Towards Larger Convolutional Language Models, 2023, section 3.3; HazyResearch/safari, hyena.py",
  structure: "fir",
  params: {
    filter: { doc: "The filter before its window.", dims: ["N", "H"] },
    decay: { doc: "How fast the window falls; its sign is left out.", dims: ["H"] },
    D: { doc: "Skip connection.", dims: ["H"] },
  },
  options: { shift: { doc: "What the window falls to.", default: 0 } },
  init: {
    filter: ({ random }) => random.normal,
    decay:
      ({ count }) =>
      (i) =>
        Math.log(target) * (1 / slow + (count === 1 ? 0 : i / (count - 1)) * (1 / fast - 1 / slow)),
    D: ({ random }) => random.normal,
  },
  system: ({ filter, decay, D }, { H, N }, { shift }) => {
    const tap = (h: number, l: number): number => {
      const window = Math.exp(-(N === 1 ? 0 : l / (N - 1)) * Math.abs(decay.at(h))) + shift;
      return filter.at(l * H + h) * window + (l === 0 ? D.at(h) : 0);
    };
    return {
      structure: "fir",
      channels: H,
      taps: N,
      kernel: Float64Array.from({ length: H * N }, (_, i) => tap(Math.floor(i / N), i % N)),
    };
  },
});
