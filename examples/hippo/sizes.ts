/** The sizes that the model, its page and its test agree on. Units: samples, unless said otherwise. */

/** N, coefficients of each memory. */
export const STATES = 32;
/** Length of a curve. */
export const LENGTH = 512;
/** What `legt` and `fourier` remember: their window of 2 units of time. */
export const WINDOW = 192;
/** One unit of time of `legs`: it fades as e^-s. */
export const FADE = 96;
