import { linear, model, sequence } from "recurve";

export default model("wrong", { u: sequence(1) }, ({ u }) => ({ y: linear(u, { width: 0 }) }));
//                                                                 ^ bad-width: a width of 0
