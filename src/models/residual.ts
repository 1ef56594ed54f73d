/** How a block joins what came in with what its layer made of it. */
import { arg, call } from "../ir/expr.ts";
import { constant } from "../dsl/init.ts";
import { linear } from "../dsl/layers.ts";
import { add, mul, sigmoid, sub } from "../dsl/pointwise.ts";
import { makeTensor, type Seq, type Tensor } from "../dsl/tensor.ts";
import { here, layerName, parameter, trace, valueOf } from "../dsl/trace.ts";

/**
 * Of x and y, in layer i of 1, 2, ..: `residual` x + y; `affine` x + c y, c a parameter; `decay` sqrt(1 - 1/i) x + y / sqrt(i);
 * `highway` (1 - r) x + r y with r = sigmoid(Wx x + Wy y); `none` y.
 */
export type ResidualKind = "residual" | "affine" | "decay" | "highway" | "none";

/**
 * The join of that name.
 * Shapes: `affine` `[]`; highway's `Wx`, `Wy`: `weight` `[H H]`, `bias` `[H]`.
 * Source: state-spaces/s4, src/models/nn/residual.py.
 */
export function joinResidual<H extends number>(
  x: Tensor<Seq<H>>,
  y: Tensor<Seq<H>>,
  kind: ResidualKind,
  layer: number,
  name = "residual",
): Tensor<Seq<H>> {
  switch (kind) {
    case "residual":
      return add(x, y);
    case "affine": {
      const running = trace();
      const c = parameter(layerName("residual", name), "affine", [], constant(1));
      const sum = call("add", arg(0), call("mul", arg(1), arg(2)));
      return makeTensor(x.shape, running.builder.map(sum, [valueOf(x), valueOf(y), c], here()), running);
    }
    case "decay":
      return add(mul(x, Math.sqrt(1 - 1 / layer)), mul(y, 1 / Math.sqrt(layer)));
    case "highway": {
      const width = x.shape.H;
      const r = sigmoid(add(linear(x, { width, name: `${name}.Wx` }), linear(y, { width, name: `${name}.Wy` })));
      return add(x, mul(r, sub(y, x)));
    }
    case "none":
      return y;
  }
}
