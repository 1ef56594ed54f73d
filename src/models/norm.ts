/** Normalizations by their names, and the one that PyTorch has not: a layer norm with two parameters in all. */
import { arg, call } from "../ir/expr.ts";
import { constant } from "../dsl/init.ts";
import { batchNorm, layerNorm } from "../dsl/layers.ts";
import { makeTensor, type Channels, type Tensor } from "../dsl/tensor.ts";
import { fixedParameter, here, layerName, parameter, trace, valueOf, type Named } from "../dsl/trace.ts";

/**
 * `layer`: over the channels, with a weight and bias for each; `batch`: by the statistics of training; `scalar`:
 * `scalarLayerNorm`; `none`.
 */
export type NormKind = "layer" | "batch" | "scalar" | "none";

/** The norm of that name. */
export function normalize<S extends Channels>(x: Tensor<S>, kind: NormKind, options: Named & { readonly eps?: number } = {}): Tensor<S> {
  switch (kind) {
    case "layer":
      return layerNorm(x, options);
    case "batch":
      return batchNorm(x, options);
    case "scalar":
      return scalarLayerNorm(x, options);
    case "none":
      return x;
  }
}

/**
 * (s / sigma) (x - mu + m) over the channels of each time step, sigma biased and without an eps: a constant input is not
 * a number. The published TransposedLN.
 * Shapes: `m`, `s` `[]`.
 * Source: state-spaces/s4, src/models/nn/normalization.py.
 */
export function scalarLayerNorm<S extends Channels>(x: Tensor<S>, options: Named = {}): Tensor<S> {
  const running = trace();
  const { builder } = running;
  const width = x.shape.H;
  const layer = layerName("norm", options.name);
  const vector = (leaf: string, value: number, rows: number, columns: number): number =>
    fixedParameter(
      layer,
      leaf,
      [
        { name: "O", size: rows },
        { name: "I", size: columns },
      ],
      constant(value),
    );
  const [average, spread] = [vector("average", 1 / width, 1, width), vector("spread", 1, width, 1)];
  const mean = (value: number): number => builder.matmul(value, average, "H", here());
  const everywhere = (value: number): number => builder.matmul(value, spread, "H", here());
  const input = valueOf(x);
  const centred = builder.map(call("sub", arg(0), arg(1)), [input, everywhere(mean(input))], here());
  const variance = mean(builder.map(call("mul", arg(0), arg(0)), [centred], here()));
  const inverse = everywhere(builder.map(call("rsqrt", arg(0)), [variance], here()));
  const [m, s] = [parameter(layer, "m", [], constant(0)), parameter(layer, "s", [], constant(1))];
  const scaled = call("mul", call("mul", arg(3), arg(1)), call("add", arg(0), arg(2)));
  return makeTensor(x.shape, builder.map(scaled, [centred, inverse, m, s], here()), running);
}
