import { gelu, linear, model, sequence, type Seq, type Tensor } from "recurve";

function block(x: Tensor<Seq<32>>): Tensor<Seq<32>> {
  return gelu(x);
}

export default model("wrong", { u: sequence(1) }, ({ u }) => ({ y: block(linear(u, { width: 33 })) }));
//                                                                       ^ type-error: dim H is 33 here and must be 32
