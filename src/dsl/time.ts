/** Layers that move a sequence along time: backwards, and later. */
import { constant } from "./init.ts";
import { makeTensor, type Sequence, type Tensor } from "./tensor.ts";
import { fail, fixedParameter, here, layerName, trace, valueOf } from "./trace.ts";

/**
 * The sequence backwards: y_t = x_{L-1-t}. A model with it needs whole sequences: it has no streams and no recurrence mode.
 */
export function reverse<S extends Sequence>(x: Tensor<S>): Tensor<S> {
  const running = trace();
  return makeTensor(x.shape, running.builder.reverse(valueOf(x), here()), running);
}

/** The sequence `steps` later, zeros first: y_t = x_{t-steps}. */
export function delay<S extends Sequence>(x: Tensor<S>, steps = 1): Tensor<S> {
  if (!Number.isInteger(steps) || steps < 0) fail("bad-width", `a delay of ${steps} steps`, "give a whole number of steps, at least 0");
  if (steps === 0) return x;
  const running = trace();
  const layer = layerName("delay", undefined);
  const taps = (name: string, value: number, count: number) =>
    fixedParameter(
      layer,
      name,
      [
        { name: "H", size: x.shape.H },
        { name: "K", size: count },
      ],
      constant(value),
    );
  const kernel = running.builder.concat([taps("first", 1, 1), taps("others", 0, steps)], here());
  return makeTensor(x.shape, running.builder.conv(valueOf(x), kernel, here()), running);
}

/** The sum of all steps so far: y_t = y_{t-1} + x_t; `turn`: of angles, modulo 2 pi, from -pi to pi. */
export function cumulate<S extends Sequence>(x: Tensor<S>, kind: "sum" | "turn" = "sum"): Tensor<S> {
  const running = trace();
  return makeTensor(x.shape, running.builder.cumulate(kind, [valueOf(x)], here()), running);
}
