/** Activations by their names, as configurations of published blocks write them. */
import { elu, gelu, geluTanh, mul, relu, sigmoid, silu, softplus, squaredRelu, tanh, type Unary } from "../dsl/pointwise.ts";
import { split } from "../dsl/shape.ts";
import type { Channels, Seq, Tensor } from "../dsl/tensor.ts";

const activations = {
  id: (x) => x,
  tanh: (x) => tanh(x),
  relu,
  gelu,
  "gelu-tanh": geluTanh,
  elu,
  silu,
  sigmoid,
  softplus,
  "squared-relu": squaredRelu,
} as const satisfies Readonly<Record<string, Unary>>;

/** A pointwise function of every channel by itself; `id` is none. */
export type Activation = keyof typeof activations;

/** The activation of that name. */
export function activate<S extends Channels>(x: Tensor<S>, name: Activation): Tensor<S> {
  const apply: Unary = activations[name];
  return apply(x);
}

/** a sigmoid(b), where a and b are the halves of the channels of x; `width` is that of one. */
export function gatedHalves<const W extends number>(x: Tensor<Seq<number>>, width: W): Tensor<Seq<W>> {
  const [a, b] = split(x, [width, width]);
  return mul(a, sigmoid(b));
}
