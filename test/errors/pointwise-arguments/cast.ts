import { model, pointwise, sequence, type Seq, type Tensor } from "recurve";

const gated = pointwise((x: number, gate: number) => x * gate);
const careless = gated as unknown as (x: Tensor<Seq<1>>) => Tensor<Seq<1>>;

export default model("wrong", { u: sequence(1) }, ({ u }) => ({ y: careless(u) }));
//                                                                 ^ pointwise-arguments: 2 arguments was called with 1
