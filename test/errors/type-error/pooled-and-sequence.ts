import { mean, model, mul, sequence } from "recurve";

export default model("wrong", { u: sequence(3) }, ({ u }) => ({ y: mul(mean(u), u) }));
//                                                                              ^ type-error: dim L is one too many
