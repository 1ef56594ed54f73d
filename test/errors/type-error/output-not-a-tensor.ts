import { model, sequence } from "recurve";

export default model("wrong", { u: sequence(1) }, () => ({ y: 3 }));
//                                                         ^ type-error: 'number' is not assignable to type 'AnyTensor'
