import { model, mul, sequence } from "recurve";

export default model("wrong", { u: sequence(1) }, ({ u }) => ({ y: mul(u, 1 / 0) }));
//                                                                 ^ not-finite: Infinity
