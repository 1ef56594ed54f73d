/**
 * A shift register read by C: of the last N inputs, spread by B when they enter, so that the response is finite,
 * K_l = sum_n B_n C_{n+l} for l below N. With B = e_0 the taps are C.
 */
import { defineFamily } from "../family.ts";

export const shift = defineFamily({
  name: "shift",
  source: "Fu et al., Hungry Hungry Hippos: Towards Language Modeling with State Space Models, 2023, section 3.1",
  structure: "fir",
  params: {
    B: { doc: "Where in the register an input enters; e_0 at the start.", dims: ["H", "N"] },
    C: { doc: "Reads the register.", dims: ["M", "H", "N"], or: [["H", "N"]] },
    D: { doc: "Skip connection.", dims: ["H"] },
  },
  options: {},
  init: {
    B:
      ({ sizes: { N } }) =>
      (i) =>
        i % N === 0 ? 1 : 0,
    C: ({ random }) => random.normal,
    D: ({ random }) => random.normal,
  },
  system: ({ B, C, D }, { H, N }) => {
    const tap = (h: number, l: number): number => {
      let sum = l === 0 ? D.at(h) : 0;
      for (let n = 0; n + l < N; n++) sum += B.at(h * N + n) * C.at(h * N + n + l);
      return sum;
    };
    return {
      structure: "fir",
      channels: H,
      taps: N,
      kernel: Float64Array.from({ length: H * N }, (_, i) => tap(Math.floor(i / N), i % N)),
    };
  },
});
