/** Checkpoints of `S4Model` in the S4 repository's example.py, built on the minimal S4D of models/s4/s4d.py. */
import type { Scheme } from "../scheme.ts";

/** A model may call the layer's `nn.Sequential(Conv1d, GLU)` simply `output_linear`. */
const SHORT = /(^|\.)output_linear\.(weight|bias)$/;
const CONVOLUTION = /(^|\.)output_linear\.0\.weight$/;

export const s4model: Scheme = {
  name: "s4model",
  doc: "encoder, s4_layers.i.{D, kernel.*, output_linear.0.*}, norms.i, decoder; the output map is a convolution of width 1.",
  source: "state-spaces/s4, example.py and models/s4/s4d.py",
  stored: (param) => {
    const name = param.name.replace(SHORT, "$1output_linear.0.$2");
    return { name, shapes: CONVOLUTION.test(name) ? [param.shape, [...param.shape, 1]] : [param.shape] };
  },
  ignores: () => false,
};
