/** Step sizes of every head, as Mamba-2 and 3 make them. */
import { arg, call, constant, type Expr } from "../ir/expr.ts";
import { uniform } from "../dsl/init.ts";
import { makeTensor, type Channels, type Tensor } from "../dsl/tensor.ts";
import { here, layerName, parameter, trace, valueOf } from "../dsl/trace.ts";

/** What step sizes from 0.001 to 0.1 are softplus of. */
export const deltaBias = uniform(Math.log(Math.expm1(0.001)), Math.log(Math.expm1(0.1)));

/** softplus(x + b), not below the first limit nor above the second, which may be infinite. Shapes: `dt_bias` `[H]`. */
export function stepSize<S extends Channels>(x: Tensor<S>, [low, high]: readonly [low: number, high: number] = [0, Infinity]): Tensor<S> {
  const running = trace();
  const bias = parameter(layerName("delta", ""), "dt_bias", [{ name: "H", size: x.shape.H }], deltaBias);
  const delta: Expr = call("softplus", call("add", arg(0), arg(1)));
  const least = low > 0 ? call("max", delta, constant(low)) : delta;
  const limited = high < Infinity ? call("min", least, constant(high)) : least;
  return makeTensor(x.shape, running.builder.map(limited, [valueOf(x), bias], here()), running);
}
