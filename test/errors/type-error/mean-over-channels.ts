import { mean, model, sequence } from "recurve";

export default model("wrong", { u: sequence(4) }, ({ u }) => ({ y: mean(u, "H") }));
//                                                                         ^ type-error: '"H"' is not assignable to parameter of type '"L"'
