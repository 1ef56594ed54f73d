import { concat, mean, model, sequence } from "recurve";

export default model("wrong", { u: sequence(4) }, ({ u }) => ({ y: concat(u, mean(u)) }));
//                                                                           ^ type-error: dim L is missing
