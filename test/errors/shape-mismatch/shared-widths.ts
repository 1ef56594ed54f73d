import { linear, model, sequence, shared, type Seq, type Tensor } from "recurve";

const mix = shared("mix", <H extends number>(x: Tensor<Seq<H>>) => linear(x, { width: 2, name: "map" }));
//@68 shape-mismatch: mix.map.weight is [O=2 I=4] in the first call of this shared block and [O=2 I=3] here

export default model("wrong", { u: sequence(4), v: sequence(3) }, ({ u, v }) => ({ a: mix(u), b: mix(v) }));
