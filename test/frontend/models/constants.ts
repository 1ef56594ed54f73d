/** Numbers and functions that `blocks.ts` uses in its pointwise functions. */
export const slope = 0.25;
export const shift = 2 ** -4;
export const clamp = (x: number, high: number): number => Math.min(Math.max(x, -high), high);
