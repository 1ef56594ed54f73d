import { conv, model, sequence } from "recurve";

export default model("wrong", { u: sequence(4) }, ({ u }) => ({ y: conv(u, { width: 4, causal: false }) }));
//                                                                                     ^ type-error: Type 'false' is not assignable to type 'true'
