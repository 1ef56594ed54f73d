import { model, sequence } from "recurve";
import { s4Block } from "recurve/models";

export default model("m", { u: sequence(2), mask: sequence(2) }, ({ u, mask }) => ({ y: s4Block(u, { state: 4, mask }) }));
//@112 type-error: 'Tensor<Seq<2>>' ... 'Tensor<Seq<1>>'
