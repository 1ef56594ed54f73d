import { model, sequence } from "recurve";

export default model("wrong", { u: sequence(1) }, ({ v }) => ({ y: v }));
//                                                   ^ type-error: Property 'v' does not exist on type '{ readonly u: Tensor<Seq<1>>; }'
