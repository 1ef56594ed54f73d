/** The model's own names and shapes. */
import type { Scheme } from "../scheme.ts";
import { as } from "../sources.ts";

export const identity: Scheme = {
  name: "identity",
  doc: "Every tensor has its parameter's own name and shape.",
  source: "",
  stored: ({ name, shape }) => as(name, shape),
  ignores: () => false,
  options: [],
  untold: [],
};
