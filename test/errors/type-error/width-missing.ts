import { linear, model, sequence } from "recurve";

export default model("wrong", { u: sequence(1) }, ({ u }) => ({ y: linear(u, { name: "encoder" }) }));
//                                                                           ^ type-error: Property 'width' is missing
