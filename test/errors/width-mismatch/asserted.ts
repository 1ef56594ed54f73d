import { concat, model, ofWidth, sequence } from "recurve";

export default model("wrong", { u: sequence(3) }, ({ u }) => ({ y: ofWidth(concat(u, u), 7) }));
//                                                                 ^ width-mismatch: H is 6, not 7
