import { linear, model, sequence, type Seq, type Tensor } from "recurve";

function block<H extends number>(x: Tensor<Seq<H>>): Tensor<Seq<H>> {
  return linear(x, { width: 8 });
//^ type-error: 'shape.H' are incompatible ... generic in it (<H extends number>)
}

export default model("wrong", { u: sequence(1) }, ({ u }) => ({ y: block(u) }));
