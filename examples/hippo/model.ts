/** Four memories of one signal: the whole past, the past that fades, and a sliding window in two bases. */
import { hippo, hippoLegs, model, sequence } from "recurve";
import { FADE, STATES, WINDOW } from "./sizes.ts";

const state = STATES;

export default model("hippo", { u: sequence(1) }, ({ u }) => ({
  scaled: hippoLegs(u, { state }),
  legs: hippo(u, { basis: "legs", state, delta: 1 / FADE }),
  legt: hippo(u, { basis: "legt", state, delta: 2 / WINDOW }),
  fourier: hippo(u, { basis: "fourier", state, delta: 2 / WINDOW }),
}));
