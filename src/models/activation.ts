/** Activations by their names, as configurations of published blocks write them. */
import { arg, call } from "../ir/expr.ts";
import { elu, gelu, geluTanh, mapTensors, relu, sigmoid, silu, softplus, squaredRelu, tanh, type Unary } from "../dsl/pointwise.ts";
import { split } from "../dsl/shape.ts";
import type { Channels, Tensor, WithWidth } from "../dsl/tensor.ts";

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
export function gatedHalves<S extends Channels, const W extends number>(x: Tensor<S>, width: W): Tensor<WithWidth<S, W>> {
  const [a, b] = split(x, [width, width]);
  return mapTensors(call("mul", arg(0), call("sigmoid", arg(1))), a, b);
}
