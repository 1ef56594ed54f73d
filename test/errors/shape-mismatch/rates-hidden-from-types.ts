import { add, linear, model, pack, sequence, type Seq, type Tensor } from "recurve";

export default model("wrong", { u: sequence(4) }, ({ u }) => {
  const low = linear(pack(u, 2), { width: 4 }) as unknown as Tensor<Seq<4>>;
  return { y: add(u, low) };
  //          ^ shape-mismatch: dim L is L/2 in [B L/2 H=4] and L in [B L H=4]
});
