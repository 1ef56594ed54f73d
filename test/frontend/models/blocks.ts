/** A block of layers in a file of its own, generic in its width. */
import * as recurve from "recurve";
import { pointwise, type Seq, type Tensor } from "recurve";
import { clamp, shift, slope } from "./constants.ts";

/** x where positive, `slope` x elsewhere, cut off at `high`. */
const leaky = (high: number) => pointwise((x: number) => clamp(x > 0 ? x : slope * x + shift, high));

export function block<H extends number>(x: Tensor<Seq<H>>, name: string): Tensor<Seq<H>> {
  return recurve.scope(name, () => {
    const inner = recurve.linear(x, { width: 2 * x.shape.H, name: "up" });
    return recurve.linear(leaky(6)(inner), { width: x.shape.H, name: "down" });
  });
}
