import { gelu, type Seq, type Tensor } from "recurve";

export default function net(x: Tensor<Seq<4>>): Tensor<Seq<4>> {
//@1 model-wrong-default: the default export is a function, not a model
  return gelu(x);
}
