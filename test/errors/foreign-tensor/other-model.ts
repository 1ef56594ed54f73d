import { add, model, sequence, type Seq, type Tensor } from "recurve";

const kept: Tensor<Seq<4>>[] = [];
model("other", { u: sequence(4) }, ({ u }) => {
  kept.push(u);
  return { y: u };
});

export default model("wrong", { u: sequence(4) }, ({ u }) => ({ y: kept.reduce((sum, x) => add(sum, x), u) }));
//                                                                                         ^ foreign-tensor: another model
