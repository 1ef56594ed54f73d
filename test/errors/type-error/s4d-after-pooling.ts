import { last, model, s4d, sequence } from "recurve";

export default model("wrong", { u: sequence(3) }, ({ u }) => ({ y: s4d(last(u), { state: 4 }) }));
//                                                                     ^ type-error: dim L is missing
