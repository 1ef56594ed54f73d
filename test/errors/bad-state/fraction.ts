import { model, s4d, sequence } from "recurve";

export default model("wrong", { u: sequence(1) }, ({ u }) => ({ y: s4d(u, { state: 2.5 }) }));
//                                                                 ^ bad-state: 2.5
