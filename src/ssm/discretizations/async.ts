/**
 * Events, each as wide as the model's own step: an event is held for a fixed width and then leaves the state to itself, so
 * that what it adds does not depend on when the next one comes. Abar = e^{A width delta}, with delta the time from one event
 * to the next in units of that step; Bbar = A^-1 (e^{A width} - I) B. On uniformly sampled data delta is the same for all
 * events, and the system is time-invariant: at delta = 1 it is zoh with step `width`, at another sampling rate it
 * forgets more or less between samples that enter alike. A width of its own on each channel stands in A and B.
 */
import { exp, phi1, scale } from "../../math/complex.ts";
import { expm } from "../../math/expm.ts";
import { scaleMatrix } from "../../math/matrix.ts";
import type { Discretization } from "../discretization.ts";
import { zoh } from "./zoh.ts";

/** `width` is how long the model holds an event. Units: the model's time. */
export const asynchronous = (width = 1, name = width === 1 ? "async" : `async(${width})`): Discretization => ({
  name,
  source: "Schöne et al., Scalable Event-by-event Processing of Neuromorphic Sensory Signals With Deep State-Space Models, 2024, section 3",
  order: Infinity,
  events: true,
  scalar: (lambda, delta) => {
    const z = scale(lambda, width);
    return { abar: exp(scale(z, delta)), bbar: scale(phi1(z), width) };
  },
  dense: (A, B, delta) => {
    const held = zoh.dense(A, B, width);
    return held === undefined ? undefined : { abar: expm(scaleMatrix(A, width * delta)), bbar: held.bbar };
  },
});
