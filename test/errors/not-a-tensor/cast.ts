import { gelu, model, sequence, type Seq, type Tensor } from "recurve";

const fake = { shape: { L: "L", H: 4 } } as Tensor<Seq<4>>;

export default model("wrong", { u: sequence(4) }, () => ({ y: gelu(fake) }));
//                                                            ^ not-a-tensor: expected a tensor, got an object
