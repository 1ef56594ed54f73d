/** The model's own names and shapes. */
import type { Scheme } from "../scheme.ts";

export const identity: Scheme = {
  name: "identity",
  doc: "Every tensor has its parameter's own name and shape.",
  source: "",
  stored: ({ name, shape }) => ({ name, shapes: [shape] }),
  ignores: () => false,
};
