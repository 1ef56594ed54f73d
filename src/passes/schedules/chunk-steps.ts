/** Into how many time steps a selective recurrence is cut where it runs as matrix products. */
import type { SelectiveForm } from "../../ir/graph.ts";

/**
 * Steps of a chunk: with a large state few chunks, because each writes its state; with a small one more, because the products
 * between steps grow with the chunk. A power of two, at most 64.
 */
export const chunkSteps = ({ state, width, correction }: SelectiveForm): number => {
  if (correction) return 16;
  return state * width >= 1024 ? 64 : 32;
};
