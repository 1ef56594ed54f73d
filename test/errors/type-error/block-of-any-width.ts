import { gelu, linear, model, sequence, type Seq, type Tensor } from "recurve";

function block(x: Tensor<Seq<number>>): Tensor<Seq<number>> {
  return gelu(x);
}

export default model("wrong", { u: sequence(1) }, ({ u }) => ({ y: block(linear(u, { width: 8 })) }));
//                                                                       ^ type-error: 'Tensor<Seq<number>>' ... make the function generic
