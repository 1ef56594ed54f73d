import { embed, model, sequence } from "recurve";

export default model("wrong", { u: sequence(3) }, ({ u }) => ({ y: embed(u, { width: 8 }) }));
//                                                                       ^ type-error: dim V is missing
